import { expect, test } from "vitest";
import { fullName, startCluster } from "../support/cluster.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
)("a VM that registers under the name of a node on another machine", () => {
  test("is neither published nor reached in its place where --publish leaves the name out", async () => {
    const cluster = await startCluster({ hosts: 2, daemons: 1 });
    await cluster.serve(1, "--publish", "web*");
    const box = (index: number) => ({ env: { BOX: `box${index + 1}` } });
    await cluster.node(0, "node_b", box(0));
    const web = await cluster.node(1, "web", box(1));
    const published = async () => (await cluster.published()).join() === "node_b,web";
    await waitFor(published, { what: "the publication of both" });
    const impostor = await cluster.node(1, "node_b", { ...box(1), args: ["-connect_all", "false"] });
    expect(await web.eval(`rpc:call('${fullName("node_b")}', os, getenv, ["BOX"])`)).toBe('"box1"');
    expect(await published()).toBe(true);
    // By a name of this machine it is itself: that is nobody else's.
    const port = await impostor.eval('{port, P, _} = erl_epmd:port_please("node_b", {127,0,0,1}), P > 0');
    expect(port).toBe("true");
  });
});
