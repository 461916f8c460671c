import type { ListeningProcess } from "../os/sockets.js";
import { listed } from "../text.js";
import type { NamedPort } from "./wire/messages.js";

/** A stock epmd that has the port. */
export interface StockEpmd {
  readonly names: readonly NamedPort[];
  readonly port: number;
  /** Undefined where this user may not see it. */
  readonly process: ListeningProcess | undefined;
}

/** `the nodes node_a (port 20001), node_b (port 20002)`, or `no nodes` */
export function nodesWords(names: readonly NamedPort[]): string {
  return names.length === 0
    ? "no nodes"
    : `the nodes ${listed(names.map(({ name, port }) => `${name} (port ${port})`))}`;
}

/** How srv-epmd gets the port of a stock epmd, and its nodes: for the error of serve, and for doctor. */
export function takeOver({ names, port, process }: StockEpmd): string {
  // systemd holds the socket of epmd.socket, and starts epmd again for the next client.
  const isUnit = process?.pid === 1 && /systemd|init/.test(process.command);
  const unit = isUnit ? "systemctl disable --now epmd.socket epmd.service" : undefined;
  const later = 'Start VMs with -start_epmd false (ERL_ZFLAGS="-start_epmd false"), else they start a stock epmd again';
  if (names.length === 0) {
    const end = unit ?? `epmd -port ${port} -kill`;
    return `stop it (${end}) and start srv-epmd, or start srv-epmd with --replace-epmd. ${later}`;
  }
  const end = unit ?? `kill ${process?.pid ?? "<its process>"}`;
  return `move its nodes: stop it (${end}; epmd -kill is refused while nodes are registered) and start srv-epmd at once. VMs since OTP 25 register with it within 2 s and keep their links; restart older ones. ${later}`;
}
