import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Status } from "../../src/admin/core/status.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { type NodeOptions, startNode } from "../support/erlang.js";
import { http } from "../support/http.js";
import { rowsOf, textOf } from "../support/markup.js";
import { moduleFolder } from "../support/module-folder.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const full = (name: string) => `${name}@svc.service.consul`;

requirePeer("erl", "consul")("the status page of a cluster", () => {
  let consul: Consul;
  const running: { readonly stop: () => Promise<unknown> }[] = [];
  const begun = <T extends { readonly stop: () => Promise<unknown> }>(one: T): T => {
    running.unshift(one);
    return one;
  };
  beforeAll(async () => {
    consul = await startConsul();
  });
  afterEach(async () => {
    for (const one of running.splice(0)) await one.stop();
  });
  afterAll(() => consul?.stop());

  const serve = async (instance: string, port = 0) =>
    begun(
      await startDaemon({
        port,
        args: [
          ...["--domain", "svc", "--consul", consul.url, "--dns", `127.0.0.1:${consul.dnsPort}`, "--ttl", "3s"],
          ...["--instance", instance, "--admin", "127.0.0.1:0"],
        ],
      }),
    );
  const stockVm = async (name: string, daemon: Daemon, options: Partial<NodeOptions> = {}) =>
    begun(await startNode({ ...options, name: full(name), epmdPort: daemon.port }));
  const vm = async (name: string, daemon: Daemon) => {
    // Else global cuts further links when one is cut.
    const apart = ["-kernel", "prevent_overlapping_partitions", "false"];
    const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd", ...apart];
    return stockVm(name, daemon, { args });
  };
  const get = async (daemon: Daemon, path: string) => {
    const admin = String(daemon.log().find(({ msg }) => msg === "ready")?.admin);
    return (await http(admin, path)).body;
  };
  /** `node_a: 3 of 3 | itself, linked` */
  const matrix = async (daemon: Daemon) =>
    rowsOf(await get(daemon, "/"), "Links of the nodes here").map(
      ([name, told, ...cells]) => `${name}: ${told} | ${cells.join(", ")}`,
    );
  const becomes = async (daemon: Daemon, ...expected: readonly unknown[]) => {
    let last: readonly string[] = [];
    const isSo = async () => {
      last = await matrix(daemon);
      expect(last).toEqual(expected);
      return true;
    };
    await waitFor(isSo, { what: "the matrix", timeout: 20_000 }).catch((error: unknown) => {
      throw new Error(`${String(error)}; at last: ${last.join("\n")}`);
    });
  };

  test("draws the links that VMs with the module tell, and marks one that is cut", { timeout: 90_000 }, async () => {
    const [here, there] = await Promise.all([serve("here"), serve("there")]);
    const [a, b, c] = [await vm("node_a", here), await vm("node_b", here), await vm("node_c", there)];
    await stockVm("node_d", here);
    expect(textOf(await get(here, "/"))).not.toContain("shown to local peers alone");
    for (const [one, others] of [
      [a, ["node_b", "node_c", "node_d"]],
      [b, ["node_c", "node_d"]],
      [c, ["node_d"]],
    ] as const) {
      for (const other of others) await waitFor(async () => (await one.ping(full(other))) === "pong", { what: other });
    }
    // Both daemons are on this machine, and the catalogue has the nodes of either at it.
    await becomes(
      here,
      "node_a: 3 of 3 | itself, linked, linked, linked",
      "node_b: 3 of 3 | linked, itself, linked, linked",
      "node_d: does not tell | linked, linked, not known, itself",
    );
    await a.eval(`erlang:disconnect_node('${full("node_b")}')`);
    await becomes(
      here,
      "node_a: 2 of 3, 1 missing | itself, not linked, linked, linked",
      "node_b: 2 of 3, 1 missing | not linked, itself, linked, linked",
      "node_d: does not tell | linked, linked, not known, itself",
    );
    expect(textOf(await get(here, "/"))).toContain("node_a is not linked with node_b");
    const { links } = JSON.parse(await get(here, "/v1/status")) as Status;
    expect(links).toMatchObject([
      { name: "node_d", state: "not-offered" },
      { name: "node_b", state: "told", node: full("node_b"), linked: expect.not.arrayContaining([full("node_a")]) },
      { name: "node_a", state: "told", linked: expect.arrayContaining([full("node_c"), full("node_d")]) },
    ]);

    expect(await a.ping(full("node_b"))).toBe("pong");
    a.child.signal("SIGSTOP");
    try {
      await becomes(
        here,
        expect.stringMatching(/^node_a: does not answer , told \d+ s ago \| itself, linked, not known, not known$/),
        "node_b: 3 of 3 | linked, itself, linked, linked",
        "node_d: does not tell | not known, linked, not known, itself",
      );
      const startedAt = performance.now();
      await get(here, "/");
      expect(performance.now() - startedAt).toBeLessThan(900);
      await here.stop();
    } finally {
      a.child.signal("SIGCONT");
    }
    const again = await serve("here", here.port);
    await becomes(
      again,
      "node_a: 3 of 3 | itself, linked, linked, linked",
      "node_b: 3 of 3 | linked, itself, linked, linked",
      "node_d: does not tell | linked, linked, not known, itself",
    );
  });

  test("tells that two live nodes have one name, and where they are", { timeout: 60_000 }, async () => {
    const [here, there] = await Promise.all([serve("here"), serve("there")]);
    await vm("node_a", here);
    await vm("node_a", there);
    const problems = async () => (JSON.parse(await get(here, "/v1/status")) as Status).problems;
    await waitFor(async () => (await problems()).some(({ code }) => code === "NODE_TWICE"), { what: "the problem" });
    expect(await problems()).toMatchObject([
      {
        ...{ code: "NODE_TWICE", level: "error", nodes: [full("node_a")] },
        sentence: expect.stringMatching(
          /^Two nodes are called node_a@svc\.service\.consul, at \S+:\d+ on \S+, \S+:\d+ on \S+: /,
        ),
      },
    ]);
    const text = textOf(await get(here, "/"));
    expect(text).toContain(`Two nodes are called ${full("node_a")}`);
    expect(text.match(/passing: node_a(@svc\.service\.consul)? twice/g)).toHaveLength(2);
  });
});
