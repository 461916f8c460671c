import type { Config } from "../config/config.js";
import { isForTasks, type NomadPort, portOfLabel } from "../config/nomad.js";
import { isInMesh } from "../mesh/core/upstreams.js";
import { hostPort } from "../net/ip.js";
import { noSuchLabel, reach } from "../publish/core/advertised.js";
import { publishesToConsul } from "../publish/core/publication.js";
import { nearest } from "../text.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { type LocalNode, NO_NODE } from "./local-epmd.js";
import { NOT_IN_MESH } from "./way.js";

const NO_CONNECT_PORT = "the relay process does not say at which port it takes callers (see connect-relay)";
const CONNECT_PORT_ADVICE =
  "take callers at the task side of a mapped port (--port-label with its label, or --connect-listen), or say where peers reach it with --advertise-port and --advertise-address";

export const portMapping: Check = {
  id: "port-mapping",
  title: "Nomad's port mapping, --advertise-port and --advertise-address, against the ports of the nodes here",
  run: async ({ config, nodes, connectPort: askConnectPort }) => {
    const { nomad, advertisePort, advertiseAddress, portLabel } = config;
    if (isInMesh(config) && !publishesToConsul(config)) return skip(NOT_IN_MESH);
    if (portLabel !== undefined && !portOfLabel(nomad.ports, portLabel)) {
      return fail("PORT_NO_LABEL", noSuchLabel(portLabel, nomad.ports), labelAdvice(portLabel, nomad.ports));
    }
    const connectPort = config.connectNative ? await askConnectPort() : undefined;
    if (config.connectNative && connectPort === undefined) return skip(NO_CONNECT_PORT);
    const advice = config.connectNative
      ? CONNECT_PORT_ADVICE
      : nomad.ports.length === 0
        ? "say where peers reach it with --advertise-address, of the family in which its VM listens, and --advertise-port"
        : 'let the VM listen on the task side of a mapped port (ERL_AFLAGS="-kernel inet_dist_listen_min $NOMAD_PORT_<label> inet_dist_listen_max $NOMAD_PORT_<label>"), or say where peers reach it with --port-label, --advertise-port and --advertise-address';
    if (nomad.ports.length === 0 && advertisePort === undefined && advertiseAddress.length === 0) {
      return skip("no port is mapped: there is no NOMAD_PORT_<label>, --advertise-port or --advertise-address");
    }
    const findings = (await nodes()).map((node): Finding => {
      const reached = reach(node, { ...config, connectPort });
      if (reached.outcome === "reachable") {
        const { port, addresses } = reached.advertised;
        const places = addresses.map((address) => hostPort(address, port)).join(" and ");
        const told = `${node.aliveName}: port ${connectPort ?? node.port} here is ${places || `port ${port}`} to its peers`;
        return (connectPort === undefined ? unreserved(node, config, told) : undefined) ?? ok(told);
      }
      return fail("PORT_UNMAPPED", `peers cannot reach ${node.aliveName}: ${reached.reason}`, advice, node.aliveName);
    });
    return together(findings, NO_NODE);
  },
};

/** In the host's network a node is reached at any port, and only Nomad's own are kept free for the task. */
function unreserved({ aliveName, port, address }: LocalNode, config: Config, told: string): Finding | undefined {
  const { portLabel, nomad, advertisePort } = config;
  const label = portLabel === undefined ? undefined : portOfLabel(nomad.ports, portLabel);
  if (!label || label.taskPort === port || advertisePort !== undefined || address !== undefined) return undefined;
  return warn(
    "PORT_UNRESERVED",
    [
      told,
      `that is not the port of the label ${label.label}, ${label.taskPort}: Nomad may give ${port} to another task`,
    ],
    `let the VM listen on ${label.taskPort} (ERL_DIST_PORT=${label.taskPort} with the srv_epmd module, else -kernel inet_dist_listen_min ${label.taskPort} inet_dist_listen_max ${label.taskPort})`,
    aliveName,
  );
}

function labelAdvice(wanted: string, ports: readonly NomadPort[]): string {
  const labels = ports.filter(isForTasks).map(({ label }) => label);
  const meant = nearest(wanted, labels);
  if (labels.length === 0)
    return 'give the group a port (network { port "dist" { to = -1 } }), or leave --port-label out';
  const was = meant === undefined ? "" : `was ${meant} meant? Else `;
  return `${was}give the group a port of that label, or leave --port-label out: then the port is used on which the VM listens`;
}
