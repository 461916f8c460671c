import type { IpPort } from "../config/network-values.js";
import { isInMesh } from "../mesh/core/upstreams.js";
import { isHelperName } from "../names/node-name.js";
import { hostPort } from "../net/ip.js";
import { findListener } from "../os/sockets.js";
import { publishesToConsul } from "../publish/core/publication.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { type LocalNode, NO_NODE, processWords, reachability } from "./local-epmd.js";

export const vmListens: Check = {
  id: "vm-listens",
  title: "VMs here are registered and listen on the port that they registered, not on loopback alone; ERL_DIST_PORT",
  run: async (examination) => {
    const listeners = await examination.listeners();
    if (!listeners) return skip("this system has no /proc/net/tcp, which tells what listens");
    const nodes = await examination.nodes();
    const missing = await unregistered(examination);
    if (nodes.length === 0) return asksNone(examination, listeners) ?? together(missing, NO_NODE);
    const findings = nodes.map((node) => listening(node, examination, listeners));
    return together([...findings, ...missing, ...otherPort(examination, nodes)], NO_NODE);
  },
};

/** VMs whose command line names a node that the srv-epmd here does not have. */
async function unregistered({ epmd, vms: running, config }: Examination): Promise<Finding[]> {
  const { holder } = await epmd();
  if (holder.kind !== "srv-epmd") return [];
  const names = new Set(holder.names.map(({ name }) => name));
  const vms = (await running()).filter(
    ({ aliveName }) => !names.has(aliveName) && !isHelperName(aliveName, (name) => names.has(name)),
  );
  return vms.flatMap(({ pid, aliveName, epmdPort }) => {
    const evidence = `a VM runs here as ${aliveName} (process ${pid}), and is not registered`;
    if (epmdPort === config.port) {
      return warn(
        "VM_UNREGISTERED",
        evidence,
        "it started before srv-epmd, or lost its connection: VMs since OTP 25 register again within 2 s, an older one has to be restarted",
        aliveName,
      );
    }
    // Where srv-epmd has nodes, the VM may belong to another EPMD on purpose.
    if (names.size > 0) return [];
    return warn(
      "VM_OTHER_EPMD",
      `${evidence}: it asks the EPMD on port ${epmdPort}, and srv-epmd has ${config.port}`,
      `give it ERL_EPMD_PORT=${config.port}, or start srv-epmd with --port ${epmdPort}`,
      aliveName,
    );
  });
}

/** A VM with -erl_epmd_port (relx with ERL_DIST_PORT) uses no EPMD. */
function asksNone({ config }: Examination, listeners: readonly IpPort[]): Finding | undefined {
  const port = config.nomad.erlDistPort;
  if (port === undefined || reachability(listeners, port).addresses.length === 0) return undefined;
  return warn(
    "VM_ASKS_NO_EPMD",
    `no node is registered here, and something listens on ERL_DIST_PORT=${port}${processWords(findListener(port))}`,
    "if it is a VM: it started before srv-epmd, or uses no EPMD (-erl_epmd_port, which relx sets with ERL_DIST_PORT). Restart it, or publish it with --publish-node",
  );
}

function listening(
  { aliveName, port, address }: LocalNode,
  { config }: Examination,
  listeners: readonly IpPort[],
): Finding {
  if (address !== undefined) return ok(`${aliveName} lives at ${hostPort(address, port)}`);
  const { addresses, loopbackOnly } = reachability(listeners, port);
  const where = addresses.map((one) => hostPort(one, port)).join(" and ");
  if (addresses.length === 0) {
    return fail(
      "VM_PORT_CLOSED",
      `${aliveName} has registered port ${port}, and nothing listens there`,
      "its VM is in another network namespace, or has closed its listener: run srv-epmd in the network namespace of the VM (nsenter --net -t <its process>). In the same one, the VM hangs or its listener is closed: restart it",
      aliveName,
    );
  }
  if (config.connectNative) {
    if (loopbackOnly) return ok(`${aliveName} listens on ${where}, where the relay process reaches it`);
    return warn(
      "VM_OPEN",
      `${aliveName} listens on ${where}: other machines reach it past Connect, in plain text and whatever intentions say`,
      "start its VM with -kernel inet_dist_use_interface '{127,0,0,1}' ('{0,0,0,0,0,0,0,1}' for inet6_tcp)",
      aliveName,
    );
  }
  if (!loopbackOnly) return ok(`${aliveName} listens on ${where}`);
  if (isInMesh(config)) {
    return ok(`${aliveName} listens on ${where}, where its sidecar proxy reaches it`);
  }
  const evidence = `${aliveName} listens on ${where} alone: peers on other machines are refused`;
  const advice = [
    "start its VM without -kernel inet_dist_use_interface '{127,0,0,1}', or with '{0,0,0,0}' there ('{0,0,0,0,0,0,0,0}' for inet6_tcp)",
    "in a mesh, give --mesh",
  ];
  const say = publishesToConsul(config) ? fail : warn;
  return say("VM_ON_LOOPBACK", evidence, advice, aliveName);
}

function otherPort({ config }: Examination, nodes: readonly LocalNode[]): Finding[] {
  const port = config.nomad.erlDistPort;
  if (port === undefined || nodes.some((node) => node.port === port)) return [];
  return [
    warn(
      "VM_DIST_PORT_UNUSED",
      `ERL_DIST_PORT=${port} is in this environment, and no node listens there`,
      `was it meant for the VM? Plain erl ignores it: give the VM -kernel inet_dist_listen_min ${port} inet_dist_listen_max ${port}, or the srv_epmd module`,
    ),
  ];
}
