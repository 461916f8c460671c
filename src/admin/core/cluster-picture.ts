import { type ClusterNode, compare } from "../../catalogue/core/instances.js";
import { twiceNamed } from "../../catalogue/core/twice.js";
import { hostPort } from "../../net/ip.js";
import type { LocalNode, Status } from "./status.js";

/**
 * How a node stands in the catalogue: its health there, or, of a node that is alive here and not listed, `pending` (it has
 * registered a moment ago), `missing` (it should be listed) or `local` (it is not meant to be).
 */
export type NodeState = ClusterNode["health"] | "pending" | "missing" | "local";

export interface PlacedNode {
  /** Full name; the alive name of a node that is in no catalogue. */
  readonly node: string;
  readonly state: NodeState;
  /** `ip:port`, one for each IP version; of a node that is in no catalogue its port alone. */
  readonly places: readonly string[];
  /** It is registered with this srv-epmd. */
  readonly here: boolean;
  /** The catalogue leads to it. */
  readonly isPublished: boolean;
  /** The catalogue has it as a hidden node. */
  readonly hidden: boolean;
  /** Nodes of this name live at several places. */
  readonly isTwice: boolean;
}

export interface PictureMachine {
  /** Name of the Consul node, id of the Nomad client, or an address. */
  readonly machine: string;
  readonly here: boolean;
  /** By name. */
  readonly nodes: readonly PlacedNode[];
}

/** Connections to a node, as far as they are known. */
export interface PictureLink {
  /** A machine, or a node, as the picture has it. */
  readonly from: string;
  /** A node, as the picture has it. */
  readonly to: string;
  /** `relay`: links of VMs through the gateway. `held`: the EPMD connection of a VM on another machine. */
  readonly kind: "relay" | "held";
  readonly count: number;
}

export interface ClusterPicture {
  /** This machine first, then by name. */
  readonly machines: readonly PictureMachine[];
  readonly links: readonly PictureLink[];
}

type PictureInput = Pick<Status, "hostName" | "instance" | "nodes" | "cluster" | "relays">;

/** The nodes that the catalogue lists and those alive here, by machine, with what is known of their links. */
export function clusterPicture(status: PictureInput): ClusterPicture {
  const { hostName, nodes, relays } = status;
  const listed = listedNodes(status);
  const twice = new Set(twiceNamed(listed).map(({ node }) => node.toLowerCase()));
  const isTwice = (node: string) => twice.has(node.toLowerCase());
  const here = localOf(status);
  const pairs = listed.map((entry) => ({ entry, local: here(entry) }));
  const own = pairs.find(({ local }) => local && local.address === undefined)?.entry.machine ?? hostName;
  const spots = new Spots();
  const names = new Map<LocalNode, string>();
  for (const { entry, local } of pairs) {
    const { node, health, address, port, instance, hidden = false } = entry;
    if (local) names.set(local, node);
    const state = local && stateOf(local) === "missing" ? "missing" : health;
    spots.add(local?.address ?? entry.machine, instance, {
      ...{ node, state, places: [hostPort(address, port)], here: local !== undefined, isTwice: isTwice(node) },
      ...{ isPublished: state !== "missing" && state !== "critical", hidden },
    });
  }
  for (const local of nodes) {
    if (names.has(local)) continue;
    const { name: node, address, port, elsewhere = [] } = local;
    const places = [address === undefined ? String(port) : hostPort(address, port)];
    const state = stateOf(local);
    spots.add(address ?? own, "", { ...UNLISTED, node, state, places, here: true, isTwice: elsewhere.length > 0 });
  }
  const links = new Map<string, PictureLink>();
  for (const { node, openLinks, endpoints } of relays?.relays ?? []) {
    const [place] = endpoints;
    if (openLinks === 0 || !place) continue;
    if (!spots.has(node)) {
      const beyond = { node, places: [hostPort(place)], here: false, isTwice: false };
      spots.add(place.address, "", { ...UNLISTED, ...beyond, state: "unknown" });
    }
    links.set(node, { from: own, to: node, kind: "relay", count: (links.get(node)?.count ?? 0) + openLinks });
  }
  const held = nodes
    .filter(({ address }) => address !== undefined)
    .map((local): PictureLink => ({ from: own, to: names.get(local) ?? local.name, kind: "held", count: 1 }));
  return { machines: spots.machines(own), links: [...links.values(), ...held] };
}

/** Of a node that the catalogue does not list. */
const UNLISTED = { isPublished: false, hidden: false } as const;

/** What the catalogue lists, or has listed before it fell silent. */
export function listedNodes({ cluster }: Pick<Status, "cluster">): readonly ClusterNode[] {
  if (cluster.outcome === "listed") return cluster.nodes;
  return (cluster.outcome === "unavailable" && cluster.last?.nodes) || [];
}

export function aliveNameOf(node: string): string {
  return node.slice(0, Math.max(0, node.indexOf("@")));
}

/** The node that is alive here and has an entry; undefined: it is an entry of another one. */
export function localOf(
  status: Pick<Status, "hostName" | "instance" | "nodes">,
): (entry: ClusterNode) => LocalNode | undefined {
  const alive = new Map(status.nodes.map((local) => [local.name, local]));
  return (entry) => {
    const local = alive.get(aliveNameOf(entry.node));
    return local && isEntryOf(entry, local, status) ? local : undefined;
  };
}

/** Whether an entry of this name is of this node. Nomad may have made it, under an id that begins with the allocation's. */
function isEntryOf(
  { instance, machine, port }: ClusterNode,
  local: LocalNode,
  { instance: own, hostName }: Pick<Status, "hostName" | "instance">,
): boolean {
  return instance === own || instance.startsWith(`_nomad-task-${own}`) || (machine === hostName && port === local.port);
}

const STATES: Record<LocalNode["publication"], NodeState> = {
  "in-consul": "passing",
  "in-nomad": "passing",
  "not-in-consul": "missing",
  "not-in-nomad": "missing",
  unknown: "unknown",
  pending: "pending",
  local: "local",
  off: "local",
};

function stateOf({ publication }: LocalNode): NodeState {
  return STATES[publication];
}

interface Spot {
  readonly machine: string;
  readonly instance: string;
  readonly placed: PlacedNode;
}

/** Nodes at their machines. Entries of one node, such as one for each IP version, make one. */
class Spots {
  readonly #byName = new Map<string, Spot[]>();

  has(node: string): boolean {
    return this.#byName.has(node.toLowerCase());
  }

  add(machine: string, instance: string, placed: PlacedNode): void {
    const key = placed.node.toLowerCase();
    const same = this.#byName.get(key) ?? [];
    const index = same.findIndex(
      (spot) =>
        spot.machine === machine &&
        (spot.instance === instance || placed.places.some((place) => spot.placed.places.includes(place))),
    );
    const before = same[index];
    const spot = { machine, instance, placed: before ? merged(before.placed, placed) : placed };
    this.#byName.set(key, before ? same.with(index, spot) : [...same, spot]);
  }

  machines(own: string): PictureMachine[] {
    const byMachine = new Map<string, PlacedNode[]>([[own, []]]);
    for (const { machine, placed } of Array.from(this.#byName.values()).flat()) {
      const nodes = byMachine.get(machine) ?? [];
      nodes.push(placed);
      byMachine.set(machine, nodes);
    }
    return Array.from(byMachine, ([machine, nodes]) => ({
      machine,
      here: machine === own,
      nodes: nodes.sort((a, b) => compare(a.node, b.node)),
    })).sort((a, b) => Number(b.here) - Number(a.here) || compare(a.machine, b.machine));
  }
}

/** The worst first. */
const WORST: readonly NodeState[] = ["missing", "critical", "warning", "pending", "unknown", "local", "passing"];

function merged(one: PlacedNode, other: PlacedNode): PlacedNode {
  return {
    node: one.node,
    state: WORST.find((state) => state === one.state || state === other.state) ?? one.state,
    places: Array.from(new Set([...one.places, ...other.places])),
    here: one.here || other.here,
    isPublished: one.isPublished || other.isPublished,
    hidden: one.hidden || other.hidden,
    isTwice: one.isTwice || other.isTwice,
  };
}
