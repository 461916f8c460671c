import type { NodeDescription } from "../../resolve/core/resolution.js";
import type { FormerNode, RegisteredNode } from "../core/registry.js";

/** Opcodes and response tags, named as in OTP (erts/epmd/src/epmd_int.h). */
export const TAG = {
  ALIVE2_REQ: 120,
  ALIVE2_RESP: 121,
  ALIVE2_X_RESP: 118,
  PORT_PLEASE2_REQ: 122,
  PORT2_RESP: 119,
  NAMES_REQ: 110,
  DUMP_REQ: 100,
  KILL_REQ: 107,
  STOP_REQ: 115,
  /** Not OTP's: of clients of the module. */
  LINKS_REQ: 108,
} as const;

const NODE_TYPE_NORMAL = 77;

/** The description of a node of which only address and port are known: the values that a current VM registers. */
export const SYNTHETIC_DESCRIPTION: NodeDescription = Object.freeze({
  nodeType: NODE_TYPE_NORMAL,
  protocol: 0,
  highestVersion: 6,
  lowestVersion: 5,
  extra: Buffer.alloc(0),
});

/** Creation in an answer that refuses a registration (epmd_srv.c). */
export const REFUSED_CREATION = 99;

export interface Alive2Request extends NodeDescription {
  readonly type: "ALIVE2_REQ";
  /** 0..65535; stock EPMD takes 0. */
  readonly port: number;
  readonly aliveName: string;
}

/** A line of NAMES. */
export interface NamedPort {
  readonly name: string;
  readonly port: number;
}

export interface PortPlease2Request {
  readonly type: "PORT_PLEASE2_REQ";
  readonly name: string;
  /** The name has a host part behind an `@`: such clients read the endpoints in Extra, stock clients send the alive name alone. */
  readonly withHost: boolean;
  /** The name ended with a NUL. EPMDs drop it; a srv-epmd sends it to another EPMD, so that two never ask each other in a loop. */
  readonly forwarded: boolean;
}

export type EpmdRequest =
  | Alive2Request
  /** Well-formed, with values that stock EPMD refuses with result 1. */
  | { readonly type: "ALIVE2_REQ_REFUSED"; readonly highestVersion: number; readonly reason: string }
  | PortPlease2Request
  | {
      readonly type: "NAMES_REQ";
      /** `node_*@svc`, behind the opcode: see NamePattern. Stock EPMDs ignore such bytes. */
      readonly pattern?: string;
    }
  | { readonly type: "DUMP_REQ" }
  | { readonly type: "KILL_REQ" }
  | { readonly type: "STOP_REQ"; readonly aliveName: string }
  /** A VM with the module offers to say, on this connection, with whom it is linked. Stock EPMDs close it. */
  | { readonly type: "LINKS_REQ"; readonly aliveName: string };

export type PortPlease2Response =
  | {
      readonly type: "PORT2_RESP";
      readonly result: 1;
      /** For clients that asked with a host part; a stock client stops reading before it. */
      readonly reason?: string;
    }
  | (NodeDescription & {
      readonly type: "PORT2_RESP";
      readonly result: 0;
      readonly port: number;
      readonly aliveName: string;
    });

export type EpmdResponse =
  | PortPlease2Response
  | {
      /** ALIVE2_X_RESP for nodes of version 6 and up, ALIVE2_RESP for older ones. */
      readonly type: "ALIVE2_RESP";
      readonly extended: boolean;
      readonly result: 0 | 1;
      readonly creation: number;
    }
  | { readonly type: "NAMES_RESP"; readonly epmdPort: number; readonly nodes: readonly RegisteredNode[] }
  /** The answer to NAMES_REQ with a pattern: full names in the format of NAMES_RESP. */
  | { readonly type: "NAMES_MATCH_RESP"; readonly epmdPort: number; readonly names: readonly NamedPort[] }
  | {
      readonly type: "DUMP_RESP";
      readonly epmdPort: number;
      readonly nodes: readonly RegisteredNode[];
      readonly former: readonly FormerNode[];
    }
  | { readonly type: "KILL_RESP"; readonly text: "OK" | "NO" }
  | { readonly type: "STOP_RESP"; readonly text: "STOPPED" | "NOEXIST" };
