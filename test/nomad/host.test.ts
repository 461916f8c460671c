import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { problemsOf } from "../support/doctor.js";
import { waitFor } from "../support/wait-for.js";
import { examineInside } from "./lab/inside.js";
import { type Allocation, isRunning, type Job, killTask, nomadJob, type Variables } from "./lab/job.js";
import { type Lab, startLab } from "./lab/lab.js";
import { requireLab } from "./lab/needs.js";
import { expectSteady, type Observer } from "./lab/observer.js";
import { elixirRelease, executable } from "./lab/releases.js";
import { observeDns, seesAll, stateOf, tellStoryOf, whenComplete } from "./lab/service.js";
import { DOMAIN } from "./lab/way.js";

const STOCK_JOB = fileURLToPath(new URL("stock.nomad.hcl", import.meta.url));

requireLab("consul", "mix")("the host job, under a job with a release as it is", () => {
  let lab: Lab;
  let epmd: Job;
  let stock: Job;
  let observer: Observer;
  let program: Variables;
  let release: Variables;

  beforeAll(async () => {
    const files = [await executable(), await elixirRelease({ version: "1.0.0", hasModule: false })] as const;
    lab = await startLab();
    const [own, plain] = [await lab.artifacts.offer(files[0]), await lab.artifacts.offer(files[1])];
    program = { srv_epmd: own.url, srv_epmd_checksum: own.checksum };
    release = { release: plain.url, release_checksum: plain.checksum };
    epmd = nomadJob(lab, "host.nomad.hcl", "srv-epmd");
    stock = nomadJob(lab, STOCK_JOB, "stock");
    observer = observeDns(lab, DOMAIN);
  });
  afterAll(async () => {
    await observer?.stop();
    await lab?.down();
  });

  /** Every client has the system job's allocation of this version, and its EPMD is healthy in Consul. */
  const whenEverywhere = (version: number) =>
    waitFor(
      async () => {
        const current = (await epmd.allocations()).filter((each) => isRunning(each) && each.JobVersion === version);
        const passing = await lab.ask<unknown[]>("consul", "/v1/health/service/epmd?passing");
        return current.length === 3 && passing.length === 3;
      },
      { what: `version ${version} of the system job on every client`, timeout: 400_000, interval: 500 },
    );
  const start = async () => {
    tellStoryOf(epmd);
    tellStoryOf(stock);
    await epmd.run(program);
    await whenEverywhere(await epmd.version());
    await stock.run(release);
    expect(await stock.deployed()).toBe("successful");
    await whenComplete(stock, { count: 3, connect: true });
    await waitFor(() => observer.report().fewest.nodes === 3, {
      what: "three nodes in DNS",
      timeout: 60_000,
      interval: 500,
    });
  };

  test("its update, client after client, loses no name and no link", async () => {
    await start();
    const nodes = await stock.running();
    const before = await epmd.version();
    await epmd.run(program, (text) => text.replace(/SRV_EPMD_PORT +=/, 'UPDATE = "1"\n        $&'));
    const version = await epmd.version();
    expect(version).toBeGreaterThan(before);
    let updated = false;
    const update = whenEverywhere(version).finally(() => {
      updated = true;
    });
    const unlinked = async (allocations: readonly Allocation[]) => {
      const states = await Promise.all(allocations.map(stateOf));
      return states.filter((state) => !seesAll(state, states));
    };
    while (!updated) {
      expect(await unlinked(nodes)).toEqual([]);
      await sleep(1_000);
    }
    await update;
    expectSteady(observer.report(), { fewest: 3 });
  });

  test("doctor in its allocations finds nothing wrong, and reaches the node of another client", async () => {
    await start();
    const [nodes, epmds] = [await stock.running(), await epmd.running()];
    expect(epmds).toHaveLength(3);
    for (const here of epmds) {
      const there = nodes.find(({ NodeID }) => NodeID !== here.NodeID) as Allocation;
      const examined = await examineInside(lab, here, (await stateOf(there)).node);
      expect(problemsOf(examined)).toEqual([]);
      expect(examined.code).toBe(0);
    }
  });

  test("a node that is killed is out of DNS, and back under the same name", async () => {
    await start();
    const [allocation] = await stock.running();
    const { node } = await stateOf(allocation as Allocation);
    await killTask(lab, allocation as Allocation, "svc");
    await whenComplete(stock, { count: 3, connect: true });
    expect((await stateOf(allocation as Allocation)).node).toBe(node);
    expectSteady(observer.report(), { fewest: 2 });
  });
});
