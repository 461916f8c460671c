import { beforeAll, expect, test } from "vitest";
import { type Cluster, fullName, startCluster } from "../support/cluster.js";
import { type Ejabberd, startEjabberd, VIRTUAL_HOST } from "../support/ejabberd.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** Milliseconds, on a busy machine. */
const BOOT = 300_000;
const TEST = 60_000;

requirePeer(
  "ejabberd",
  "epmd",
  "erl_call",
  "consul",
  "netns",
)("ejabberd nodes on machines of their own, behind gateways", () => {
  let cluster: Cluster;
  let e1: Ejabberd;
  let e2: Ejabberd;

  const start = (index: number, name: string, dir: string) =>
    startEjabberd({ name: fullName(name), netns: cluster.host(index), dir, timeout: BOOT });

  beforeAll(async () => {
    // What the daemons are asked is in their debug log.
    cluster = await startCluster({ hosts: 3, way: "gateway", args: ["--log-level", "debug"] });
    const [dir1, dir2] = await Promise.all([temporaryFolder("e1"), temporaryFolder("e2")]);
    [e1, e2] = await Promise.all([start(0, "e1", dir1), start(1, "e2", dir2)]);
  }, BOOT);

  /** The lines that it prints, sorted. */
  const ctl = async (node: Ejabberd, ...args: string[]) => {
    const { stdout } = await node.ctl(...args);
    return stdout.replaceAll("'", "").trim().split("\n").sort();
  };
  const members = () => Promise.all([e1, e2].map((node) => ctl(node, "list_cluster")));
  const BOTH = ["e1", "e2"].map(fullName);

  test(
    "become a cluster by `ejabberdctl join_cluster`",
    async () => {
      expect(await members()).toEqual([[e1.name], [e2.name]]);
      await ctl(e2, "join_cluster", e1.name);
      expect(await members()).toEqual([BOTH, BOTH]);
      expect(await ctl(e1, "ping", e2.name)).toEqual(["pong"]);
    },
    TEST,
  );

  test(
    "share their users",
    async () => {
      await ctl(e1, "register", "alice", VIRTUAL_HOST, "secret");
      expect(await ctl(e2, "registered_users", VIRTUAL_HOST)).toEqual(["alice"]);
    },
    TEST,
  );

  test(
    "take one back that was killed and started on another machine",
    async () => {
      await e2.kill();
      await ctl(e1, "register", "bob", VIRTUAL_HOST, "secret");
      e2 = await start(2, "e2", e2.dir);
      await waitFor(async () => (await e1.eval("nodes()")).includes(e2.name), { what: "e2 in the cluster" });
      expect(await members()).toEqual([BOTH, BOTH]);
      expect(await ctl(e2, "registered_users", VIRTUAL_HOST)).toEqual(["alice", "bob"]);
    },
    TEST,
  );

  test(
    "do not take the daemon down with `ejabberdctl stopped`, which kills an EPMD that has no more names",
    async () => {
      const daemon = cluster.daemon(2);
      await e2.stop();
      await ctl(e2, "stopped");
      await daemon.waitForLog(({ request, result }) => request === "KILL_REQ" && result === "NO", "the request to end");
      e2 = await start(2, "e2", e2.dir);
      expect(await ctl(e2, "ping", e1.name)).toEqual(["pong"]);
      expect(daemon.child.hasExited()).toBe(false);
    },
    TEST,
  );

  test("show Consul themselves, and none of the helpers that ejabberdctl starts", async () => {
    const helpers = [0, 1, 2].flatMap((index) =>
      cluster
        .daemon(index)
        .log()
        .map(({ node }) => node as string),
    );
    expect(helpers).toContainEqual(expect.stringMatching(/^[0-9a-f]{3}-ctl-e2$/));
    expect(await cluster.published()).toEqual(["e1", "e2"]);
  });
});
