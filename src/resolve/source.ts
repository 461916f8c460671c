import type { Endpoint } from "../net/endpoint.js";
import type { Found, NodeQuestion, Resolution, SourceName, Trace } from "./core/resolution.js";

export interface LookupContext {
  /** When the answer is due, milliseconds on the clock of the look-up. */
  readonly deadline: number;
  /** The client is on this machine, so that it can use loopback addresses. */
  readonly sameHost: boolean;
  /** The address at which the client asked; a stock client dials it. */
  readonly dialled?: string;
  /** Only sources for strangers are asked: queries that only other sources need are not sent. */
  readonly forStranger?: boolean;
  readonly trace?: Trace;
}

/** When a source is asked, and for whom. */
export interface SourceTraits {
  /** It is asked for strangers too, and for an EPMD that asks for a client of its own. */
  readonly forStrangers: boolean;
  /** It is asked only for hosts of two labels or more, and for addresses. */
  readonly needsFullName: boolean;
  /** For an address as host part it gives the endpoints with that address under the domain of the alive name. */
  readonly usesDomain: boolean;
  /** Several endpoints may be a node's old and new instance: the one that accepts connections goes first. */
  readonly mayProbe: boolean;
  /** When no source finds the node, the reason given by this source replaces the reason of the source asked before it. */
  readonly explainsAbsence: boolean;
}

/** In the order in which they are asked. */
export const TRAITS: Readonly<Record<SourceName, SourceTraits>> = {
  registry: {
    forStrangers: true,
    needsFullName: false,
    usesDomain: false,
    mayProbe: false,
    explainsAbsence: true,
  },
  static: {
    forStrangers: true,
    needsFullName: false,
    usesDomain: false,
    mayProbe: true,
    // Most nodes have no static entry.
    explainsAbsence: false,
  },
  upstream: {
    // An upstream acts as a service of this machine, and mostly listens on loopback addresses.
    forStrangers: false,
    needsFullName: true,
    usesDomain: true,
    mayProbe: true,
    explainsAbsence: true,
  },
  catalogue: {
    // It has what DNS has.
    forStrangers: true,
    needsFullName: true,
    usesDomain: true,
    mayProbe: true,
    // DNS is asked next, and its reason is the one to act on.
    explainsAbsence: false,
  },
  srv: {
    forStrangers: true,
    needsFullName: true,
    usesDomain: true,
    mayProbe: true,
    explainsAbsence: true,
  },
  fallback: {
    forStrangers: false,
    needsFullName: true,
    usesDomain: false,
    mayProbe: true,
    explainsAbsence: true,
  },
};

/** A look-up in which no source found the node. */
export type Unfound = Exclude<Resolution, Found>;

/** A source of endpoints. Its look-up is synchronous where it needs no I/O. */
export interface Source extends SourceTraits {
  readonly name: SourceName;
  /** An endpoint that it gave refused a connection: its cached records are out of date. */
  readonly onRefused?: (question: NodeQuestion, endpoint: Pick<Endpoint, "address" | "port">) => void;
  /** Which nodes it is asked for; absent: all. */
  readonly serves?: (question: NodeQuestion) => boolean;
  readonly lookUp: (question: NodeQuestion, context: LookupContext) => Resolution | Promise<Resolution>;
  /** An answer that may be out of date, for a look-up in which no source found the node. */
  readonly lastGood?: (question: NodeQuestion, context: LookupContext, instead: Unfound) => Found | undefined;
  /** An answer that has come since the look-up, which no source has ended with one. May wait until shortly before the deadline. */
  readonly lateAnswer?: (
    question: NodeQuestion,
    context: LookupContext,
    instead: Unfound,
  ) => Promise<Found | undefined>;
  /** A source that is asked later has found a node that this one did not. */
  readonly foundLater?: (question: NodeQuestion, found: Found) => void;
}
