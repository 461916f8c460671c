import { hostPort } from "../../net/ip.js";
import type { RelayState } from "../../relay/wire/protocol.js";
import type { Status } from "../core/view.js";
import { type Content, html, nothing, section, table } from "./html.js";
import { age, bytes, code, counted, fewOf, nodeName } from "./words.js";

/** The relays of the gateway; nothing without a relay process. */
export function relaySection({ relays: status }: Status, now: number): Content {
  if (status === undefined) return undefined;
  const { relays, totals, pid, since } = status;
  const beside = html`process ${pid}, up for ${age(since, now)}: ${counted(totals.openLinks, "open link")} of
${totals.links} since then, ${bytes(totals.bytesToNode)} to nodes, ${bytes(totals.bytesFromNode)} from them, ${counted(totals.dialsFailed, "failed dial")}`;
  if (relays.length === 0) {
    const how = "A relay is opened when a VM asks for a node on another machine.";
    return section("relays", "Relays of the gateway", beside, nothing("No relay is open. ", how));
  }
  const body = table<RelayState>({
    label: "Relays of the gateway",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node), kind: "wide" },
      { title: "Listens on", cell: ({ address, port }) => code(hostPort(address, port)), kind: "address" },
      {
        title: "Leads to",
        cell: ({ endpoints }) =>
          fewOf(
            endpoints.map(({ address, port }) => hostPort(address, port)),
            2,
          ),
      },
      { title: "Open links", cell: ({ openLinks }) => openLinks, kind: "number" },
      { title: "All links", cell: ({ links }) => links, kind: "number" },
      { title: "To the node", cell: ({ bytesToNode }) => bytes(bytesToNode), kind: "number" },
      { title: "From the node", cell: ({ bytesFromNode }) => bytes(bytesFromNode), kind: "number" },
      { title: "Up for", cell: ({ since }) => age(since, now), kind: "number" },
    ],
    rows: relays,
    keyOf: ({ address, port }) => hostPort(address, port),
  });
  return section("relays", "Relays of the gateway", beside, body);
}
