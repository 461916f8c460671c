import type { Family } from "../../net/endpoint.js";
import { canonicalIp, formatIp } from "../../net/ip.js";
import type { Call } from "../wire/link.js";
import { atom, type Term } from "../wire/term.js";
import { isProbeName } from "./probe-names.js";

/** What a VM says of itself and its links. Names are as the VM has them: they may hold any character. */
export interface VmState {
  /** `25`; undefined: it gave something else. */
  readonly release: string | undefined;
  /** Nodes that it is linked with, without those of this program. */
  readonly visible: readonly string[];
  readonly hidden: readonly string[];
  /** Nodes that it is dialling now: no answer has come yet. */
  readonly connecting: readonly string[];
  /** The other end of each of its links. */
  readonly ends: readonly LinkEnd[];
  /** Of the links that it has, ours among them: a VM dials in the families of its `-proto_dist` alone. */
  readonly families: readonly Family[];
  /** False with `-connect_all false` or the parameter of kernel: links are made one by one. */
  readonly connectAll: boolean;
  /** `dist_auto_connect` of kernel; undefined: links are made when a message is sent. */
  readonly autoConnect: "never" | "once" | undefined;
  /** `prevent_overlapping_partitions` of kernel, since OTP 25: global ends links of nodes that do not all see each other. */
  readonly preventsPartitions: boolean | undefined;
}

/** Where the other end of a link is: the place that was dialled, or the port of the moment from which that node has dialled. */
export interface LinkEnd {
  readonly node: string;
  readonly address: string;
  readonly port: number;
}

const call = (module: string, name: string, ...args: readonly string[]): Call => ({
  module,
  name,
  args: args.map(atom),
});

/**
 * What a VM is asked, by rpc: it changes nothing. Every atom in it is in each VM already, but for that of the last call,
 * which older releases do not know.
 * @param flags names of the node's distribution flags
 */
export function questions(flags: readonly string[]): readonly Call[] {
  return [
    call("erlang", "nodes", "visible"),
    call("erlang", "nodes", "hidden"),
    call("erlang", "system_info", "otp_release"),
    call("application", "get_env", "kernel", "connect_all"),
    call("init", "get_argument", "connect_all"),
    call("application", "get_env", "kernel", "dist_auto_connect"),
    call("ets", "tab2list", "sys_dist"),
    ...(flags.includes("MANDATORY_25_DIGEST")
      ? [call("application", "get_env", "kernel", "prevent_overlapping_partitions")]
      : []),
  ];
}

/** Undefined where the lists of nodes are none. @param answers in the order of the questions */
export function vmState(answers: readonly Term[]): VmState | undefined {
  const [visible, hidden, release, connectAll, argument, autoConnect, links, prevents] = answers;
  const [shown, unshown] = [nodesIn(visible), nodesIn(hidden)];
  if (!shown || !unshown) return undefined;
  const auto = atomIn(parameter(autoConnect));
  return {
    release: release?.kind === "string" && /^[0-9]{1,3}$/.test(release.text) ? release.text : undefined,
    visible: shown,
    hidden: unshown,
    ...connectionsIn(links),
    connectAll: connectsAll(atomIn(parameter(connectAll)), argument),
    autoConnect: auto === "never" || auto === "once" ? auto : undefined,
    preventsPartitions: prevents && atomIn(parameter(prevents)) !== "false",
  };
}

/** Undefined when it is no list of node names. */
function nodesIn(term: Term | undefined): string[] | undefined {
  if (term?.kind !== "list" || term.tail) return undefined;
  const names = term.elements.map(atomIn);
  if (names.some((name) => name === undefined || !/^[^@]+@[^@]+$/s.test(name))) return undefined;
  return (names as string[]).filter((name) => !isProbeName(name));
}

/**
 * Of net_kernel's table, whose records begin with `{connection, Node, Id, State, Owner, Controller, PendingOwner,
 * {net_address, {Ip, Port}, Host, Protocol, Family}` in OTP 23 to 29. Of a link that is being made there is no address; the
 * protocol is there where the VM dials, and not where it is dialled.
 */
function connectionsIn(table: Term | undefined): Pick<VmState, "connecting" | "ends" | "families"> {
  const connecting: string[] = [];
  const families = new Set<Family>();
  const ends: LinkEnd[] = [];
  for (const record of table?.kind === "list" ? table.elements : []) {
    const [tag, node, , state, , , , at] = record.kind === "tuple" ? record.elements : [];
    const name = atomIn(node);
    if (atomIn(tag) !== "connection" || name === undefined) continue;
    const [, address, , protocol, family] = at?.kind === "tuple" ? at.elements : [];
    const spoken = FAMILIES[atomIn(family) ?? ""];
    if (atomIn(state) === "up" && spoken) families.add(spoken);
    if (isProbeName(name)) continue;
    const place = placeIn(address);
    if (atomIn(state) === "pending" && atomIn(protocol) !== "undefined") connecting.push(name);
    if (atomIn(state) === "up" && place) ends.push({ node: name, ...place });
  }
  return { connecting, ends, families: Array.from(families) };
}

const FAMILIES: Readonly<Record<string, Family>> = { inet: 4, inet6: 6 };

/** `{Ip, Port}` */
function placeIn(term: Term | undefined): Pick<LinkEnd, "address" | "port"> | undefined {
  const [ip, port] = term?.kind === "tuple" ? term.elements : [];
  const groups = ip?.kind === "tuple" ? ip.elements.flatMap(numberIn) : [];
  const [number] = numberIn(port);
  if (number === undefined) return undefined;
  if (groups.length === 4 && groups.every((octet) => octet < 256)) return { address: formatIp(groups), port: number };
  if (groups.length !== 8) return undefined;
  // A VM of -proto_dist inet6_tcp has the IPv4 address of another as an IPv4-mapped one.
  const address = canonicalIp(formatIp(groups.flatMap((group) => [group >> 8, group & 0xff])));
  return address === undefined ? undefined : { address, port: number };
}

/** A number of 16 bits. */
function numberIn(term: Term | undefined): number[] {
  return term?.kind === "integer" && term.value >= 0n && term.value <= 0xffffn ? [Number(term.value)] : [];
}

const atomIn = (term: Term | undefined) => (term?.kind === "atom" ? term.name : undefined);

/** The value in `{ok, Value}` of application:get_env/2. */
function parameter(term: Term | undefined): Term | undefined {
  if (term?.kind !== "tuple" || term.elements.length !== 2) return undefined;
  const [ok, value] = term.elements;
  return atomIn(ok) === "ok" ? value : undefined;
}

/** As global:init/1: the parameter, else `{ok, [["false"]]}` of init:get_argument/1. */
function connectsAll(set: string | undefined, argument: Term | undefined): boolean {
  if (set === "true" || set === "false") return set === "true";
  const values = parameter(argument);
  const [first] = values?.kind === "list" ? values.elements : [];
  const [value] = first?.kind === "list" ? first.elements : [];
  return !(value?.kind === "string" && value.text === "false");
}
