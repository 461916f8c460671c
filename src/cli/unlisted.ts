import type { AskedService } from "../catalogue/core/matching.js";
import { readRights, readsAll } from "../consul/rights.js";
import { ConsulSide } from "../consul/side.js";
import { tokenOfServe } from "../doctor/core/serve-token.js";
import { listed } from "../text.js";
import type { CommandContext } from "./io.js";

/** Why Consul may have nodes of services though it lists none; undefined: it shows all. Never rejects. */
export async function whyUnlisted(
  asked: readonly AskedService[],
  { config, log }: Pick<CommandContext, "config" | "log">,
): Promise<string | undefined> {
  const services = asked.flatMap((one) => (one.catalogue === "consul" ? one.domain.service : []));
  if (services.length === 0) return undefined;
  const consul = new ConsulSide(config, log);
  try {
    const rights = await readRights(await consul.connect(), services);
    if (readsAll(rights)) return undefined;
    const way = tokenOfServe(config);
    if (way !== undefined)
      return `there may be nodes that Consul does not show: serve has ${way}, and this command has none; give it the same`;
    if (rights.kind !== "known") return undefined;
    return `there may be nodes that Consul does not show: the token lacks ${listed(rights.missing)}`;
  } catch {
    // The list has come from the same agent: it is the better answer.
    return undefined;
  } finally {
    await consul.close();
  }
}
