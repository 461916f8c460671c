import type { NodeName } from "../node-name.js";
import { partsOf } from "../service-domain.js";
import { fillTemplate } from "../values.js";
import { canonicalName } from "./record.js";

/**
 * Name whose SRV records say where a node is.
 * @param template `--srv-name`, such as `{name}.{host}`; `{service}` is the first label of the host
 */
export function srvOwner(template: string, node: NodeName & { readonly host: string }): string {
  return canonicalName(fillTemplate(template, partsOf(node)));
}
