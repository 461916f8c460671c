import { type Obstacle, obstacleOf } from "../publish/core/obstacles.js";
import { publicationOf, publishesToConsul } from "../publish/core/publication.js";
import {
  aliveNameOf,
  type HeldCheck,
  type HeldService,
  META_OWNER,
  type ServiceEntry,
  ttlCheckId,
} from "../publish/core/service-entry.js";
import { readOwner } from "../publish/ownership.js";
import type { Examination } from "./examination.js";
import { nameIn } from "./local-nodes.js";

/** An entry that should be in Consul for a node here, and what is there. */
export interface OwnRegistration {
  readonly wanted: ServiceEntry;
  readonly held: HeldService | undefined;
  /** Its checks, and those of the machine. */
  readonly checks: readonly HeldCheck[];
}

/** What should be published of the nodes here, with what the agent has. @throws ConsulError */
export async function ownRegistrations(examination: Examination): Promise<OwnRegistration[]> {
  const wanted = await wantedEntries(examination);
  if (wanted.length === 0) return [];
  const client = await examination.connect();
  const [services, checks] = await Promise.all([client.services(), client.checks()]);
  return wanted.map((entry) => {
    const held =
      services.find((service) => isSame(entry, service)) ?? services.find((service) => isOfThisPlace(entry, service));
    return {
      wanted: entry,
      held,
      checks: checks.filter(({ serviceId }) => serviceId === "" || serviceId === held?.id),
    };
  });
}

/** Why the agent itself leaves the entry out of DNS; undefined when it does not. */
export function whyCritical({ held, checks }: OwnRegistration): Obstacle | "not-passed" | undefined {
  if (!held) return undefined;
  const isPassed = !checks.some(({ checkId, status }) => checkId === ttlCheckId(held.id) && status === "critical");
  return isPassed ? obstacleOf(held.id, checks) : "not-passed";
}

/** Empty where nothing is published. */
export async function wantedEntries({
  config,
  machine,
  nodes,
}: Pick<Examination, "config" | "machine" | "nodes">): Promise<ServiceEntry[]> {
  if (!publishesToConsul(config)) return [];
  const identity = { hostName: machine.hostName, port: config.port, owner: await readOwner(config.port) };
  const here = await nodes();
  return here.flatMap((node) => {
    const publication = publicationOf(node, config, identity, nameIn(here));
    return publication.outcome === "publish" ? publication.entries : [];
  });
}

/** By its id; or one of this very place that was given an id of its own, or another because --instance differs. */
function isSame(entry: ServiceEntry, held: HeldService): boolean {
  return held.id === entry.id || (isOfThisPlace(entry, held) && held.service === entry.service);
}

/** It may be of another service, where serve has another --domain. */
function isOfThisPlace(entry: ServiceEntry, held: HeldService): boolean {
  const ending = entry.id.slice(entry.id.lastIndexOf(`:${entry.aliveName}`));
  const isOwn = held.meta[META_OWNER] === entry.meta[META_OWNER] && aliveNameOf(held) === entry.aliveName;
  return isOwn && held.id.endsWith(ending);
}
