import type { Endpoint } from "./endpoint.js";
import type { LeftOut, SourceName } from "./resolution.js";

/** What a resolution does, step by step: for the debug log and `resolve --trace`. */
export type TraceEvent =
  | { readonly step: "name"; readonly asked: string; readonly aliveName: string; readonly host: string }
  | { readonly step: "source"; readonly source: string; readonly result: string }
  | {
      readonly step: "query";
      readonly server: string;
      readonly transport: "udp" | "tcp" | "cache";
      readonly qname: string;
      readonly qtype: string;
      /** Milliseconds. */
      readonly elapsedMs: number;
      /** `NOERROR`, `NXDOMAIN`, ...; or what went wrong: `timeout`, `truncated`, `ECONNREFUSED`. */
      readonly result: string;
      /** Why this was asked, when an answer before it was not enough. */
      readonly because?: string;
      /** Those that are set in the answer: aa, tc, ra. */
      readonly flags: readonly string[];
      /** Records of the answer section, presentation form: `node.example. 0 SRV 1 1 9100 target.example.` */
      readonly records: readonly string[];
      /** The same of the additional section. */
      readonly additionals: readonly string[];
    }
  /** A truncated answer stands, because no server gives the whole one over TCP. */
  | {
      readonly step: "partial";
      readonly server: string;
      readonly qname: string;
      readonly qtype: string;
      /** Those of the type asked for. */
      readonly records: number;
    }
  | { readonly step: "hosts-file"; readonly name: string; readonly addresses: readonly string[] }
  /** A bound of a look-up was reached. */
  | ({ readonly step: "left-out" } & LeftOut)
  /** A target is still asked for; the answer goes on without it. */
  | { readonly step: "not-awaited"; readonly targets: readonly string[] }
  | { readonly step: "probe"; readonly endpoint: Endpoint; readonly result: string; readonly elapsedMs: number }
  | {
      readonly step: "order";
      readonly source: SourceName;
      /** As the source gave them: for srv in the order of RFC 2782 and RFC 6724. */
      readonly endpoints: readonly Endpoint[];
    }
  /** The one that accepts connections was put first. */
  | { readonly step: "preferred"; readonly endpoint: Endpoint };

export type Trace = (event: TraceEvent) => void;
