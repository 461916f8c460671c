import { RecentLookUps } from "../admin/core/view.js";
import type { Registry } from "../epmd/core/registry.js";
import { Observations } from "./core/observations.js";
import { Metrics } from "./metrics.js";

/** What is kept of what happens in the daemon, to be shown. */
export interface Observed {
  readonly observations: Observations;
  readonly metrics: Metrics;
  readonly recent: RecentLookUps;
}

export function observeDaemon(registry: Registry): Observed {
  const observations = new Observations();
  const metrics = new Metrics();
  const recent = new RecentLookUps();
  observations.subscribe(metrics.take);
  observations.subscribe((event) => {
    if (event.type === "look-up") recent.add(event);
  });
  registry.subscribe(({ type, node }) => {
    observations.emit({ type: "node", change: type, name: node.aliveName, port: node.port });
  });
  return { observations, metrics, recent };
}
