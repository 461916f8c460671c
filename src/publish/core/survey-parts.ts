import { grouped } from "../../grouped.js";
import { nameKey, type Survey } from "./reconcile.js";
import { aliveNameOf, META_OWNER } from "./service-entry.js";

/**
 * Gives each name the part of a survey that concerns it: what the agent holds under its ids, entries of ours with its
 * name, and the checks of these and of the machine. With the whole survey for each, a thousand names would look at a
 * million services.
 */
export function partsOf(survey: Survey, owner: string): (key: string, ids: Iterable<string>) => Survey {
  const byId = new Map(survey.services.map((service) => [service.id, service]));
  const ours = survey.services.filter(({ meta }) => meta[META_OWNER] === owner);
  const byKey = grouped(ours, (service) => nameKey(aliveNameOf(service) ?? ""));
  const checks = grouped(survey.checks, ({ serviceId }) => serviceId);
  return (key, ids) => {
    const all = new Set(ids);
    const held = Array.from(all).flatMap((id) => byId.get(id) ?? []);
    const services = Array.from(new Set([...held, ...(byKey.get(key) ?? [])]));
    for (const { id } of services) all.add(id);
    const its = Array.from(all).flatMap((id) => checks.get(id) ?? []);
    return { services, checks: [...(checks.get("") ?? []), ...its], critical: survey.critical };
  };
}
