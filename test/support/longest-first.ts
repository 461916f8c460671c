import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files of test/peer that take half a minute or more, so that none of them is the last to run, alone. */
export const LONG = [
  "gateway-examples",
  "consul-login",
  "doctor-vms",
  "gateway-rabbitmq",
  "page",
  "module-wait",
  "gateway-rabbitmq4",
  "doctor-cluster",
  "connect-rabbitmq",
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
