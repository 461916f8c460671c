import type { InboundLink, Refusal } from "../../connect/core/inbound.js";
import { anyText, type Fields, list, natural, object, optional, port } from "./fields.js";
import type { RelayTarget } from "./target.js";

/** What the relay process says of itself. */
export interface RelayStatus {
  readonly pid: number;
  /** Start of the process, milliseconds since 1970. */
  readonly since: number;
  /** Daemons connected now. */
  readonly daemons: number;
  readonly relays: readonly RelayState[];
  /** Since the start, with closed relays; `openLinks`: now. */
  readonly totals: RelayTraffic & { readonly dialsFailed: number; readonly linksRefused: number };
  /** Absent while it is no native end. */
  readonly native?: NativeStatus;
}

/** Of a native end of Consul Connect. */
export interface NativeStatus {
  readonly port: number;
  /** Why there is no certificate, or why it is not renewed; or why nobody can be let in. */
  readonly trouble?: string | undefined;
  /** Ours, once there is one. */
  readonly certificate?: { readonly service: string; readonly uri: string; readonly validBefore: string } | undefined;
  readonly nodes: readonly string[];
  /** From callers. */
  readonly links: readonly InboundLink[];
  /** Callers that were not let in since the start, by code. */
  readonly refused: Readonly<Partial<Record<Refusal["code"], number>>>;
}

interface RelayTraffic {
  readonly openLinks: number;
  /** All links, also those whose endpoints could not be reached. */
  readonly links: number;
  readonly bytesToNode: number;
  readonly bytesFromNode: number;
}

export interface RelayState extends RelayTarget, RelayTraffic {
  readonly port: number;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/**
 * Reads a status. The relay process may be of another release: what it says is displayed, counted and compared, so each
 * part has to be what it is taken for.
 * @throws ProtocolError RELAY_LINE
 */
export function relayStatus(fields: Fields): RelayStatus {
  const totals = object(fields.totals, "totals");
  return {
    pid: natural(fields, "pid"),
    since: natural(fields, "since"),
    daemons: natural(fields, "daemons"),
    relays: objects(fields, "relays").map(relayState),
    totals: {
      ...traffic(totals),
      dialsFailed: natural(totals, "dialsFailed"),
      linksRefused: natural(totals, "linksRefused"),
    },
    ...(fields.native !== undefined && { native: nativeStatus(object(fields.native, "native")) }),
  };
}

function relayState(fields: Fields): RelayState {
  const peer = fields.peer === undefined ? undefined : object(fields.peer, "peer");
  return {
    node: anyText(fields, "node"),
    address: anyText(fields, "address"),
    endpoints: objects(fields, "endpoints").map((one) => ({ address: anyText(one, "address"), port: port(one) })),
    ...(peer && { peer: { service: anyText(peer, "service"), ...optional(peer, "datacenter", anyText) } }),
    port: port(fields),
    since: natural(fields, "since"),
    ...traffic(fields),
  };
}

function nativeStatus(fields: Fields): NativeStatus {
  const certificate = fields.certificate === undefined ? undefined : object(fields.certificate, "certificate");
  return {
    port: port(fields),
    ...optional(fields, "trouble", anyText),
    ...(certificate && {
      certificate: {
        service: anyText(certificate, "service"),
        uri: anyText(certificate, "uri"),
        validBefore: anyText(certificate, "validBefore"),
      },
    }),
    nodes: list(fields, "nodes").map((node) => anyText({ node }, "node")),
    links: objects(fields, "links").map((one) => {
      return { node: anyText(one, "node"), caller: anyText(one, "caller"), since: natural(one, "since") };
    }),
    refused: counts(object(fields.refused, "refused")),
  };
}

function traffic(fields: Fields): RelayTraffic {
  return {
    openLinks: natural(fields, "openLinks"),
    links: natural(fields, "links"),
    bytesToNode: natural(fields, "bytesToNode"),
    bytesFromNode: natural(fields, "bytesFromNode"),
  };
}

function objects(fields: Fields, key: string): Fields[] {
  return list(fields, key).map((item) => object(item, key));
}

/** Another release may have other codes. */
function counts(fields: Fields): NativeStatus["refused"] {
  return Object.fromEntries(Object.keys(fields).map((code) => [code, natural(fields, code)]));
}
