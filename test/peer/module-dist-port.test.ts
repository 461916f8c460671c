import { createServer } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { DEFAULT_COOKIE, type ErlangNode, startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { moduleFolder } from "../support/module-folder.js";
import { findOtp } from "../support/otp.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";

const COOKIE = `["-setcookie", "${DEFAULT_COOKIE}"]`;

/** Nodes that a node starts, of any name, have its environment, and so its ERL_DIST_PORT. */
const CHILDREN: Readonly<Record<string, { readonly releases: readonly number[]; readonly start: string }>> = {
  "peer:start of a random name": {
    releases: [25, 27, 29],
    start: `{ok, _, Node} = peer:start(#{name => peer:random_name(), host => "127.0.0.1", connection => standard_io, args => ${COOKIE}})`,
  },
  "peer:start of a name like its own, as RabbitMQ 4 does it": {
    releases: [25, 27, 29],
    start: `{ok, _, Node} = peer:start(#{name => peer:random_name("a"), host => "127.0.0.1", connection => standard_io, args => ${COOKIE}})`,
  },
  "peer:start of a name, over TCP": {
    releases: [25, 27, 29],
    start: `{ok, _, Node} = peer:start(#{name => "child", host => "127.0.0.1", connection => 0, args => ${COOKIE}})`,
  },
  "peer:start of a name": {
    releases: [25, 27, 29],
    start: `{ok, _, Node} = peer:start(#{name => "child", host => "127.0.0.1", connection => standard_io, args => ${COOKIE}})`,
  },
  "slave:start": {
    releases: [23, 25, 27],
    start: `{ok, Node} = slave:start("127.0.0.1", "child", "-setcookie ${DEFAULT_COOKIE}")`,
  },
};

for (const release of [23, 25, 27, 29] as const) {
  const peers: Peer[] = [`otp${release}`];
  requirePeer(...peers)(`on OTP ${release}, with ERL_DIST_PORT`, () => {
    const otp = findOtp(release);
    let daemon: Daemon;
    let distPort: number;
    let node: ErlangNode | undefined;
    beforeAll(async () => {
      [daemon, distPort] = await Promise.all([startDaemon({ args: ["--register", "none"] }), freePort()]);
    });
    afterEach(() => node?.kill());
    afterAll(() => daemon.stop());

    const start = async (name: string) =>
      startNode({
        name: `${name}@127.0.0.1`,
        epmdPort: daemon.port,
        env: {
          ERL_DIST_PORT: String(distPort),
          ERL_FLAGS: `-pa ${await moduleFolder(otp)} -epmd_module srv_epmd -start_epmd false`,
        },
        ...(otp && { otp }),
      });

    for (const [title, { releases, start: expression }] of Object.entries(CHILDREN)) {
      if (!releases.includes(release)) continue;
      test(`${title} works, on a port of its own`, async () => {
        node = await start("a");
        const names = `{ok, Names} = net_adm:names(), [[${distPort}], [Port || {Name, Port} <- Names, Name =/= "a"]]`;
        const value = await node.eval(`${expression}, pong = net_adm:ping(Node), ${names}`);
        const [[own], [its]] = JSON.parse(value) as [[number], [number]];
        expect(own).toBe(distPort);
        expect(its).not.toBe(distPort);
        expect(await node.eval(`{ok, L} = net_adm:names(), proplists:get_value("a", L)`)).toBe(String(distPort));
      });
    }

    test("a second node says that it takes another port, and whose that one is", async () => {
      node = await start("a");
      const second = await start("b");
      await second.child.waitForOutput(
        new RegExp(`srv_epmd: b takes any free port: ERL_DIST_PORT=${distPort} is that of a, which is registered here`),
      );
      expect(await second.ping("a@127.0.0.1")).toBe("pong");
      await second.kill();
    });

    test("a port that something else has is a mistake, and the start fails with it", async () => {
      const other = createServer().listen(distPort, "127.0.0.1");
      await expect(start("a")).rejects.toThrow(/eaddrinuse/);
      other.close();
    });
  });
}
