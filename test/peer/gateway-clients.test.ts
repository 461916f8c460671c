import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { buildCNode, C_NODE } from "../support/c-node.js";
import { type Child, startChild } from "../support/child.js";
import { type Cluster, fullName, startCluster } from "../support/cluster.js";
import { cleanEnvironment } from "../support/environment.js";
import { DEFAULT_COOKIE, type ErlangNode, startElixirNode } from "../support/erlang.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** Milliseconds that a shell may take to be there, on a busy machine. */
const START = 25_000;
const TEST = 60_000;

requirePeer(
  "erl",
  "consul",
  "netns",
)("through the gateway, clients on one machine and nodes on another", () => {
  let cluster: Cluster;
  let folder: string;
  let b: ErlangNode;
  beforeAll(async () => {
    [cluster, folder] = await Promise.all([startCluster({ hosts: 2, way: "gateway" }), temporaryFolder("clients")]);
    b = await cluster.node(1, "b", { env: { BOX: "box2" } });
    await isPublished("b");
  });

  const isPublished = (name: string) =>
    waitFor(async () => (await cluster.published()).includes(name), { what: `the publication of ${name}` });

  /** A program on the first machine. */
  const start = (command: string, ...args: string[]): Child =>
    startChild(command, args, {
      env: cleanEnvironment({ HOME: folder, LANG: "C.UTF-8", TERM: "xterm" }),
      cwd: folder,
      netns: cluster.host(0),
    });
  /** In a terminal, as a person would. */
  const inTerminal = (...command: string[]) => start("script", "-qc", command.join(" "), "/dev/null");

  test(
    "`erl -remsh` opens a shell on a node",
    async () => {
      const named = ["-name", fullName("console"), "-setcookie", DEFAULT_COOKIE, "-start_epmd", "false"];
      const shell = inTerminal("erl", ...named, "-remsh", fullName("b"));
      await shell.waitForOutput(/\(b@svc\.service\.consul\)1>/, START);
      shell.write('{node(), os:getenv("BOX"), nodes()}.\n');
      // A shell breaks its lines as it likes.
      await shell.waitForOutput(/\{'b@svc\.service\.consul',"box2",\s*\['console@svc\.service\.consul'\]\}/);
      await shell.kill();
    },
    TEST,
  );

  requirePeer("elixir")("and Elixir", () => {
    test(
      "`iex --remsh` and `elixir --rpc-eval` reach a node",
      async () => {
        await startElixirNode({ name: fullName("x"), netns: cluster.host(1), env: { BOX: "box2" } });
        await isPublished("x");
        const named = (name: string) => ["--name", fullName(name), "--cookie", DEFAULT_COOKIE];
        const noEpmd = ["--erl", "'-start_epmd false'"];
        const code = 'IO.inspect({node(), System.get_env("BOX")})';
        const calls = ["--erl", "-start_epmd false", "--rpc-eval", fullName("x"), code];
        const evaluated = start("elixir", ...named("caller"), ...calls);
        await evaluated.waitForOutput(/\{:"x@svc\.service\.consul", "box2"\}/, START);
        const shell = inTerminal("iex", ...named("iex"), ...noEpmd, "--remsh", fullName("x"));
        await shell.waitForOutput(/iex\(x@svc\.service\.consul\)1>/, START);
        shell.write('{node(), System.get_env("BOX")}\n');
        await shell.waitForOutput(/\{:"x@svc\.service\.consul", "box2"\}/);
        await shell.kill();
      },
      TEST,
    );
  });

  requirePeer("ei")("a C node", () => {
    let program: string;
    beforeAll(async () => {
      program = await buildCNode(C_NODE, join(folder, "c-node"));
    });

    test("calls a function of a node", async () => {
      const called = start(program, fullName("c1"), DEFAULT_COOKIE, fullName("b"));
      expect(await called.exited, called.stderr()).toMatchObject({ code: 0 });
      expect(called.stdout()).toBe(`${fullName("b")}\n`);
    });

    test("that has published itself is reached by a node", async () => {
      const cNode = start(program, fullName("c2"), DEFAULT_COOKIE, "--publish", "20200");
      await cNode.waitForOutput(/published/);
      await isPublished("c2");
      const answer = await b.eval(
        `{any, '${fullName("c2")}'} ! {self(), hello}, receive Answer -> Answer after 5000 -> nothing end`,
      );
      expect(answer).toBe(`{'${fullName("c2")}',hello}`);
    });
  });
});
