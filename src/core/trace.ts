import type { Endpoint } from "./endpoint.js";

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
      /** Records of the answer section, presentation form: `node.example. 0 SRV 1 1 9100 target.example.` */
      readonly records: readonly string[];
    }
  | { readonly step: "probe"; readonly endpoint: Endpoint; readonly result: string; readonly elapsedMs: number }
  /** In the order of RFC 2782 and RFC 6724; a probe that follows may put another first. */
  | { readonly step: "order"; readonly endpoints: readonly Endpoint[] };

export type Trace = (event: TraceEvent) => void;
