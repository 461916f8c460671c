import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { ROOT } from "../../src/build/settings.js";
import { waitFor } from "../support/wait-for.js";
import { requireLab } from "./lab/needs.js";
import { expectSteady } from "./lab/observer.js";
import { whenNothingIsListed } from "./lab/scenarios.js";
import { watchVms } from "./lab/vms.js";
import { useWay } from "./lab/way.js";

/** The auth method of nomad/README.md, which the jobs name. */
const METHOD = "srv-epmd";
/** Milliseconds after which Consul is to have exactly the living, whatever became of the tokens. */
const HEALED = 35_000;

requireLab("consul", "mix")("the sidecar job where Consul has ACLs", () => {
  const way = useWay({ file: "sidecar.nomad.hcl", hasModule: true, lab: { consul: "acl" } });

  // As nomad/README.md says, from what `nomad setup consul` has made.
  beforeAll(async () => {
    const { consul } = way().lab;
    const create = (...what: string[]) => consul("acl", ...what.slice(0, 1), "create", ...what.slice(1));
    const rules = await readFile(join(ROOT, "nomad/consul-policy.hcl"), "utf8");
    await create("policy", "-name", "srv-epmd", "-rules", rules);
    await create("role", "-name", "srv-epmd", "-policy-name", "srv-epmd");
    const made = await consul("acl", "auth-method", "read", "-name", "nomad-workloads", "-format", "json");
    const config = JSON.stringify((JSON.parse(made) as { Config: object }).Config);
    await create("auth-method", "-name", METHOD, "-type", "jwt", "-max-token-ttl", "1h", "-config", config);
    const forTask = 'value.nomad_task == "srv-epmd"';
    await create(
      "binding-rule",
      "-method",
      METHOD,
      "-bind-type",
      "role",
      "-bind-name",
      "srv-epmd",
      "-selector",
      forTask,
    );
  });

  const tokensOfTasks = async () => {
    const tokens = await way().lab.ask<{ AccessorID: string; AuthMethod?: string }[]>("consul", "/v1/acl/tokens");
    return tokens.filter(({ AuthMethod }) => AuthMethod === METHOD);
  };
  /** Consul has every VM that lives, and no other. */
  const whenExact = (count: number, timeout: number) => {
    const { lab } = way();
    const vms = watchVms(lab.folder);
    const isExact = async () => {
      const found = await lab.ask<{ Service: { Address: string; Port: number } }[]>(
        "consul",
        "/v1/health/service/svc-dist",
      );
      const listed = found.map(({ Service }) => `${Service.Address}:${Service.Port}`).sort();
      const living = vms()
        .map(({ address }) => address)
        .sort();
      if (listed.join() !== living.join())
        throw new Error(`Consul has ${listed.join(", ")}, and ${living.join(", ")} live`);
      return living.length >= count;
    };
    return waitFor(isExact, { what: "Consul with exactly the living", timeout, interval: 200 });
  };

  test("tokens that are deleted are made anew: within 35 s Consul has exactly the living", async () => {
    const { lab, job, run, complete, observer } = way();
    const [allocation] = await job.running();
    expect((await tokensOfTasks()).length).toBeGreaterThanOrEqual(3);
    for (const { AccessorID } of await tokensOfTasks()) await lab.consul("acl", "token", "delete", "-id", AccessorID);
    await lab.nomad("alloc", "signal", "-s", "SIGKILL", "-task", "svc", allocation?.ID ?? "");
    await run(4);
    await whenExact(2, HEALED);
    await complete(4);
    expectSteady(observer.report(), { fewest: 2, dead: HEALED });
  });

  test("tokens that end after two minutes", async () => {
    const { lab, job, run, complete, observer } = way();
    await lab.consul("acl", "auth-method", "update", "-name", METHOD, "-max-token-ttl", "2m");
    await job.stop();
    await run(3);
    await complete(3);
    observer.report();
    await sleep(5 * 60_000);
    expectSteady(observer.report(), { fewest: 3 });
    const [allocation] = await job.running();
    await lab.nomad("alloc", "signal", "-s", "SIGKILL", "-task", "svc", allocation?.ID ?? "");
    await whenExact(2, HEALED);
    await complete(3);
    expectSteady(observer.report(), { fewest: 2 });
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
    const areGone = async () => {
      const left = await tokensOfTasks();
      if (left.length > 0) throw new Error(`left: ${JSON.stringify(left)}`);
      return true;
    };
    await waitFor(areGone, { what: "the end of the tasks' tokens", timeout: 60_000 });
  });
});
