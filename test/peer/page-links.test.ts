import { expect, test } from "vitest";
import type { Status } from "../../src/admin/core/status.js";
import { adminOf, useCatalogueDaemons } from "../support/catalogue-daemons.js";
import { fullName } from "../support/cluster.js";
import { http } from "../support/http.js";
import { rowsOf, textOf } from "../support/markup.js";
import { requirePeer } from "../support/require-peer.js";
import type { Daemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

requirePeer("erl", "consul")("the status page of a cluster", () => {
  const { serve, stockVm, vm: moduleVm } = useCatalogueDaemons();
  // Else global cuts further links when one is cut.
  const apart = ["-kernel", "prevent_overlapping_partitions", "false"];
  const vm = (name: string, daemon: Daemon) => moduleVm(name, daemon, { args: apart });
  const get = async (daemon: Daemon, path: string) => {
    return (await http(adminOf(daemon), path)).body;
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
      for (const other of others)
        await waitFor(async () => (await one.ping(fullName(other))) === "pong", { what: other });
    }
    // Both daemons are on this machine, and the catalogue has the nodes of either at it.
    await becomes(
      here,
      "node_a: 3 of 3 | itself, linked, linked, linked",
      "node_b: 3 of 3 | linked, itself, linked, linked",
      "node_d: does not tell | linked, linked, not known, itself",
    );
    await a.eval(`erlang:disconnect_node('${fullName("node_b")}')`);
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
      {
        name: "node_b",
        state: "told",
        node: fullName("node_b"),
        linked: expect.not.arrayContaining([fullName("node_a")]),
      },
      { name: "node_a", state: "told", linked: expect.arrayContaining([fullName("node_c"), fullName("node_d")]) },
    ]);

    expect(await a.ping(fullName("node_b"))).toBe("pong");
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
        ...{ code: "NODE_TWICE", level: "error", nodes: [fullName("node_a")] },
        sentence: expect.stringMatching(
          /^Two nodes are called node_a@svc\.service\.consul, at \S+:\d+ on \S+, \S+:\d+ on \S+: /,
        ),
      },
    ]);
    const text = textOf(await get(here, "/"));
    expect(text).toContain(`Two nodes are called ${fullName("node_a")}`);
    expect(text.match(/passing: node_a(@svc\.service\.consul)? twice/g)).toHaveLength(2);
  });
});
