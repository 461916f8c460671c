import type { IpPort } from "../config/network-values.js";
import type { Cookie } from "../distribution/cookie.js";
import type { Probe } from "../distribution/core/words.js";
import { probeNode } from "../distribution/probe.js";
import { isHelperName } from "../names/node-name.js";
import { LOOPBACK } from "../net/endpoint.js";
import { thisMachine } from "../os/machine.js";
import { type VmProcess, vmProcess } from "../os/vm-process.js";
import { type LocalNode, nameIn } from "./local-epmd.js";

/** A VM that lives here, as a peer sees it that dials it, and its process. */
export interface LocalVm {
  readonly node: LocalNode;
  /** Where it is dialled on this machine. */
  readonly place: IpPort;
  readonly probe: Probe;
  /** Undefined where this user may not see it. */
  readonly process: VmProcess | undefined;
}

/** Loopback answers at once. Milliseconds. */
const PROBE_TIMEOUT = 3_000;

interface Dialling {
  /** For TLS (SNI). */
  readonly serverName: string | undefined;
  /** With one they are joined for a moment: it shows whether it is theirs. */
  readonly cookie: Cookie | undefined;
}

/** The VMs of the nodes here, without helpers and without nodes that live elsewhere. Never rejects. */
export function localVms(nodes: readonly LocalNode[], { serverName, cookie }: Dialling): Promise<LocalVm[]> {
  const isAlive = nameIn(nodes);
  const here = nodes.filter(({ aliveName, address }) => address === undefined && !isHelperName(aliveName, isAlive));
  return Promise.all(
    here.map(async (node): Promise<LocalVm> => {
      const { aliveName, port, family } = node;
      const place = { address: LOOPBACK[family], port };
      const [probe, process] = await Promise.all([
        probeNode(place, {
          isAsked: (name) => name.startsWith(`${aliveName}@`),
          ...{ timeout: PROBE_TIMEOUT, from: thisMachine().hostName, serverName, cookie, random: Math.random },
        }),
        vmProcess(port),
      ]);
      return { node, place, probe, process };
    }),
  );
}

/** Alive names of those that refuse the cookie that was given, or that accept it. */
export function namesByCookie(vms: readonly LocalVm[], said: "refused" | "same"): string[] {
  return namesOf(vms.filter(({ probe }) => "joined" in probe && probe.joined?.cookie === said));
}

export const namesOf = (vms: readonly LocalVm[]): string[] => vms.map(({ node }) => node.aliveName);

/** Those that ask this machine's resolver and the EPMD at the address it gives. */
export function stockNames(vms: readonly LocalVm[]): string[] {
  return namesOf(vms.filter(({ process }) => process?.asksResolver));
}

/** Those whose processes this user may not see. Where nothing listens there is none to be seen: the VM has ended. */
export function unseenNames(vms: readonly LocalVm[]): string[] {
  return namesOf(vms.filter(({ process, probe }) => !process && probe.result !== "refused"));
}

/** Whether a node speaks TLS; undefined where a probe does not tell. */
export function speaksTls(probe: Probe): boolean | undefined {
  if (probe.result === "tls" || ("tls" in probe && probe.tls && !probe.tls.isConnect)) return true;
  return probe.result === "node" || probe.result === "other-node" || probe.result === "erlang" ? false : undefined;
}
