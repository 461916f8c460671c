import { type Finding, problemsOf, withoutNodes } from "./core/finding.js";
import type { Examination } from "./examination.js";
import { lookAtEpmd } from "./local-epmd.js";

/** A finding without what was found of nodes here that have left since: a VM that ends does so within a moment. */
export async function withoutEnded(finding: Finding, { nodes, config }: Examination): Promise<Finding> {
  const before = (await nodes()).map(({ aliveName }) => aliveName);
  const told = new Set(problemsOf(finding).map(({ about }) => about));
  const named = before.filter((name) => told.has(name));
  if (named.length === 0) return finding;
  const { holder } = await lookAtEpmd(config.port);
  if (holder.kind !== "srv-epmd" && holder.kind !== "stock") return finding;
  const now = new Set(holder.names.map(({ name }) => name));
  return withoutNodes(
    named.filter((name) => !now.has(name)),
    finding,
  );
}
