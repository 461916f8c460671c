import { beforeAll, expect, test } from "vitest";
import { beginVm, bootVm } from "../support/booting-vm.js";
import { startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { moduleFolder } from "../support/module-folder.js";
import { createIsolated, type Host } from "../support/netns.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";

const PORT = "ERL_DIST_PORT must be a port from 1 to 65535, or 0 for any free one";
const PATTERN = "SRV_EPMD_CONNECT must be a pattern such as *@svc.service.consul, or several with commas between them";

for (const release of [23, 25, 27, 29]) {
  const peers: Peer[] = [`otp${release}`, "erl"];
  requirePeer(...peers)(`variables of the module on OTP ${release}`, () => {
    let daemon: Daemon;
    beforeAll(async () => {
      daemon = await startDaemon();
    });
    const boot = (env: NodeJS.ProcessEnv, name?: string) =>
      bootVm({ release, epmdPort: daemon.port, env, ...(name !== undefined && { name }) });

    test.concurrent.each([
      ["ERL_DIST_PORT", "abc", PORT],
      ["ERL_DIST_PORT", "70000", PORT],
      ["ERL_DIST_PORT", "-1", PORT],
      ["ERL_DIST_PORT", "20002 ", PORT],
      ["SRV_EPMD_CONNECT", "*", PATTERN],
      ["SRV_EPMD_CONNECT", "@svc", PATTERN],
      ["SRV_EPMD_CONNECT", "*@svc,node_b", PATTERN],
      [
        "SRV_EPMD_LOG",
        "DEBUG",
        "SRV_EPMD_LOG must be debug, to log each call, or a higher level of the logger, to log none",
      ],
    ])(
      "end its start with one line: %s=%j",
      async (variable, value, must) => {
        const { code, said } = await boot({ [variable]: value });
        expect(code).toBe(1);
        expect(said.match(/srv_epmd: .*/g)).toEqual([`srv_epmd: ${must}; it is "${value}"'`]);
      },
      40_000,
    );

    test.concurrent("are of no concern to a helper, which does not use them", async () => {
      const env = { ERL_DIST_PORT: "abc", SRV_EPMD_CONNECT: "*", SRV_EPMD_WAIT: "soon" };
      expect(await boot(env, "rpc-1a2b3c-a@127.0.0.1")).toMatchObject({ code: 0 });
    }, 40_000);
  });
}

requirePeer("erl")("a variable of the module", () => {
  /** What a VM without distribution is told that is to register with these variables; undefined: nothing is wrong with them. */
  const judge = async (variable: string, values: readonly string[], driver: string) => {
    const node = await startNode({ args: ["-pa", await moduleFolder()] });
    const told: (string | undefined)[] = [];
    for (const value of values) {
      const text = JSON.stringify(Array.from(value, (character) => character.codePointAt(0)));
      // erl_epmd does not run.
      const answer = await node.eval(`os:putenv("${variable}", ${text}),
        try srv_epmd:register_node(a, 9, ${driver}) of {error, Said} -> atom_to_list(Said) catch exit:{noproc, _} -> ok end`);
      // Text with letters beyond Latin-1 is shown as a list.
      const said = answer.startsWith("[") ? String.fromCodePoint(...(JSON.parse(answer) as number[])) : answer;
      told.push(said === "ok" ? undefined : said);
    }
    await node.kill();
    return told;
  };

  test.each([
    [
      "ERL_DIST_PORT",
      ["1", "65535", "0", "00080"],
      ["65536", "+5", "0x10", "1e3", "20002\n", " 20002", "9101,9102", "２０００２", "$NOMAD_PORT_dist"],
    ],
    ["ERL_EPMD_PORT", ["1", "4369"], ["0", "epmd", "4369/tcp"]],
    [
      "SRV_EPMD_CONNECT",
      ["*@svc", "node_?@b.c.", "*@a, n*@b ,c@10.0.0.1", "*@fd00::1", "*@_srv.x", "a@localhost"],
      [
        "*@",
        "*@a,",
        ",*@a",
        "*@a;*@b",
        "*@a b",
        "a@b@c",
        "*@10.0.0.300",
        "*@-x",
        "*@a..b",
        "*@*",
        "* @a",
        "svc",
        `*@${"x".repeat(64)}`,
      ],
    ],
    ["SRV_EPMD_ADDRESS", ["127.0.0.1", "10.0.0.7"], ["fd00::1", "sidecar", "10.1", "10.0.0.7:4369", "4369"]],
    ["SRV_EPMD_WAIT", ["0", "2.5s", "1h"], ["soon", "2h", "10s\n", "-1"]],
    ["SRV_EPMD_LOG", ["debug", "info", "notice", "none"], ["true", "1", "verbose", "debug "]],
  ])(
    "%s is what it can be: %j and not %j",
    async (variable, good, bad) => {
      expect(await judge(variable, good, "inet_tcp")).toEqual(good.map(() => undefined));
      const told = await judge(variable, bad, "inet_tcp");
      for (const [index, value] of bad.entries()) {
        expect(told[index], value).toContain(`srv_epmd: ${variable} must be `);
      }
    },
    60_000,
  );

  test("whose value is long is told, its beginning at least", async () => {
    const [told] = await judge("SRV_EPMD_CONNECT", ["x".repeat(5_000)], "inet_tcp");
    expect(told).toContain(`srv_epmd: ${PATTERN}; it is \\"${"x".repeat(100)}\\"`);
  });
});

requirePeer("erl", "netns")("a node with -proto_dist inet6_tcp", () => {
  let host: Host;
  const args = ["-proto_dist", "inet6_tcp"];
  beforeAll(async () => {
    host = await createIsolated({ addresses: [] });
    await host.run("ip", "addr", "del", "::1/128", "dev", "lo");
    await startDaemon({ port: 4369, netns: host });
  });
  const boot = (release: number, env: NodeJS.ProcessEnv = {}) =>
    bootVm({ release, epmdPort: 4369, netns: host, name: "a@::1", args, env });

  for (const release of [23, 25, 27, 29]) {
    const peers: Peer[] = [`otp${release}`];
    requirePeer(...peers)(`on OTP ${release}`, () => {
      test("on a machine without ::1 is told that, and at once", async () => {
        const { code, said } = await boot(release);
        expect(code).toBe(1);
        expect(said).toMatch(
          /'srv_epmd: this machine has no ::1 \(eaddrnotavail\), where a node with inet6_tcp registers: /,
        );
        expect(said).not.toContain("waits for it");
      }, 30_000);
    });
  }

  test("whose EPMD listens on 127.0.0.1 alone is told that, when the wait begins and when it is over", async () => {
    await host.run("ip", "addr", "add", "::1/128", "dev", "lo");
    const { code, said } = await boot(25, { SRV_EPMD_WAIT: "1s" });
    expect(code).toBe(1);
    expect(said).toMatch(
      /no srv-epmd answers at ::1 port 4369 yet \(econnrefused\); an EPMD answers at 127\.0\.0\.1; a waits for it, at most 1\.0 s/,
    );
    expect(said).toMatch(
      /'srv_epmd: the EPMD at 127\.0\.0\.1 port 4369 does not listen on ::1 \(econnrefused\), where a node with inet6_tcp registers: see that this machine has ::1, and restart srv-epmd'/,
    );
  }, 30_000);

  test("where no EPMD is at either loopback is told of none", async () => {
    const port = await freePort();
    const node = await beginVm({ epmdPort: port, netns: host, name: "a@::1", args, env: { SRV_EPMD_WAIT: "500ms" } });
    expect((await node.exited).code).toBe(1);
    expect(node.stderr() + node.stdout()).toMatch(
      /no srv-epmd answered at ::1 port [0-9]+ within .*: start it, or wait/,
    );
  }, 30_000);
});
