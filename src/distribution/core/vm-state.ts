import type { Call } from "../wire/link.js";
import { atom, type Term } from "../wire/term.js";

/** What a VM says of itself and its links. Names are as the VM has them: they may hold any character. */
export interface VmState {
  /** `25`; undefined: it gave something else. */
  readonly release: string | undefined;
  /** Nodes that it is linked with, without those of this program. */
  readonly visible: readonly string[];
  readonly hidden: readonly string[];
  /** Nodes to which it is making a connection now, or one is being made from there: no answer has come yet. */
  readonly connecting: readonly string[];
  /** False with `-connect_all false` or the parameter of kernel: links are made one by one. */
  readonly connectAll: boolean;
  /** `dist_auto_connect` of kernel; undefined: links are made when a message is sent. */
  readonly autoConnect: "never" | "once" | undefined;
  /** `prevent_overlapping_partitions` of kernel, since OTP 25: global ends links of nodes that do not all see each other. */
  readonly preventsPartitions: boolean | undefined;
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
    connecting: connecting(links),
    connectAll: connectsAll(atomIn(parameter(connectAll)), argument),
    autoConnect: auto === "never" || auto === "once" ? auto : undefined,
    preventsPartitions: prevents && atomIn(parameter(prevents)) !== "false",
  };
}

/** Names of this program's own probes. */
const OWN = /^srv-epmd-probe-[0-9]+@/;

/** Undefined when it is no list of node names. */
function nodesIn(term: Term | undefined): string[] | undefined {
  if (term?.kind !== "list" || term.tail) return undefined;
  const names = term.elements.map(atomIn);
  if (names.some((name) => name === undefined || !/^[^@]+@[^@]+$/s.test(name))) return undefined;
  return (names as string[]).filter((name) => !OWN.test(name));
}

/** Of net_kernel's table, whose records begin with `{connection, Node, Id, State` in OTP 23 to 29. */
function connecting(table: Term | undefined): string[] {
  if (table?.kind !== "list") return [];
  return table.elements.flatMap((record) => {
    const [tag, node, , state] = record.kind === "tuple" ? record.elements : [];
    const name = atomIn(node);
    const isPending = atomIn(tag) === "connection" && atomIn(state) === "pending";
    return isPending && name !== undefined && !OWN.test(name) ? [name] : [];
  });
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
