import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, test } from "vitest";
import { ROOT } from "../../src/build/settings.js";
import { waitFor } from "../support/wait-for.js";
import { requireLab } from "./lab/needs.js";
import { expectSteady } from "./lab/observer.js";
import { whenNothingIsListed } from "./lab/scenarios.js";
import { useWay } from "./lab/way.js";

/** Of `nomad setup consul`. */
const ROLE = "nomad-default-tasks";

requireLab("consul", "mix")("the sidecar job where Consul has ACLs", () => {
  const way = useWay({ file: "sidecar.nomad.hcl", hasModule: true, lab: { consul: "acl" } });

  // As nomad/README.md says.
  beforeAll(async () => {
    const { lab } = way();
    const rules = await readFile(join(ROOT, "nomad/consul-policy.hcl"), "utf8");
    await lab.consul("acl", "policy", "create", "-name", "srv-epmd", "-rules", rules);
    const { ID } = JSON.parse(await lab.consul("acl", "role", "read", "-name", ROLE, "-format", "json")) as {
      ID: string;
    };
    await lab.consul("acl", "role", "update", "-policy-name", "srv-epmd", "-id", ID);
  });

  test("its nodes are published with the task's token", async () => {
    const { run, complete, observer } = way();
    await run(5);
    await complete(5);
    expectSteady(observer.report(), { fewest: 3 });
  });

  test("a job that is stopped leaves nothing, and its tokens end", async () => {
    const { lab, job } = way();
    await job.stop();
    await whenNothingIsListed(lab);
    const tokens = () => lab.ask<{ AuthMethod?: string }[]>("consul", "/v1/acl/tokens");
    const areGone = async () => (await tokens()).every(({ AuthMethod }) => AuthMethod !== "nomad-workloads");
    await waitFor(areGone, { what: "the end of the tasks' tokens", timeout: 60_000 });
  });
});
