import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Of test/peer the files that take longest, and those that take a quarter of a minute or more though they are small: none of
 * them is the last to run, alone.
 */
export const LONG = [
  "gateway-examples",
  "page",
  "doctor-vms",
  "consul-login",
  "module-wait",
  "gateway-rabbitmq",
  "doctor-cluster",
  "module-discovery",
  "readyz-cluster",
  "install",
  "gateway-mesh",
  "cluster-examples",
  "name-servers",
  "module-reload",
  "gateway-rabbitmq4",
  "connect-rabbitmq",
  "examples",
  "doctor-consul-servers",
];

/** As vitest sorts, which knows durations only from an earlier run here, but these first. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => place(one) - place(other));
  }
}

function place({ moduleId }: TestSpecification): number {
  const found = LONG.indexOf(basename(moduleId, ".test.ts"));
  return /\/test\/peer\//.test(moduleId) && found >= 0 ? found : LONG.length;
}
