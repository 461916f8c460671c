import type { NodeName } from "../node-name.js";
import { fillTemplate } from "../values.js";
import { canonicalName } from "./record.js";

/**
 * Name whose SRV records say where a node is.
 * @param template `--srv-name`, such as `{name}.{host}`; `{service}` is the first label of the host
 */
export function srvOwner(template: string, { aliveName, host }: NodeName & { readonly host: string }): string {
  const service = host.split(".", 1)[0] ?? host;
  return canonicalName(fillTemplate(template, { name: aliveName, host, service }));
}
