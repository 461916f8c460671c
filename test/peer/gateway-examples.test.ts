import { readFileSync } from "node:fs";
import { chmod, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "../support/child.js";
import { consoleBlocks, runShown } from "../support/console-blocks.js";
import { findConsul } from "../support/consul-agent.js";
import { findEjabberd } from "../support/ejabberd.js";
import { cleanEnvironment } from "../support/environment.js";
import { findRabbitmq } from "../support/rabbitmq.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { sharedLibraries, type UnpackedServer } from "../support/unpacked.js";

const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
/** Milliseconds: three brokers boot in 20 s on two cores with nothing else to do. */
const TIMEOUT = 300_000;

/**
 * A checkout with one example that is built and whose srv-epmd is not on the PATH.
 * @param prepare the environment in which an unpacked server is as if installed
 */
async function checkout(
  example: string,
  server: UnpackedServer | undefined,
  prepare: (server: UnpackedServer, folder: string) => NodeJS.ProcessEnv | Promise<NodeJS.ProcessEnv>,
): Promise<{ readonly cwd: string; readonly bin: string; readonly env: NodeJS.ProcessEnv }> {
  if (server === undefined) throw new Error(`${example} is not there: bash test/install-peers.sh`);
  const folder = await temporaryFolder(example);
  const [cwd, bin] = [join(folder, "examples", example), join(folder, "bin")];
  await cp(join(EXAMPLES, example), cwd, { recursive: true });
  for (const name of ["private.sh", "machines.sh"]) await cp(join(EXAMPLES, name), join(folder, "examples", name));
  await symlink(dirname(BIN), join(folder, "dist"));
  await mkdir(bin);
  const env = {
    PATH: `${dirname(server.otp.program("erl"))}:${process.env.PATH}`,
    LD_LIBRARY_PATH: sharedLibraries(server),
    ...(await prepare(server, folder)),
  };
  return { cwd, bin, env };
}

/** Does what the README of an example shows. */
async function runExample(...of: Parameters<typeof checkout>): Promise<void> {
  const { cwd, bin, env } = await checkout(...of);
  const shown = consoleBlocks(readFileSync(join(cwd, "README.md"), "utf8")).flatMap((block) => block.shown);
  await runShown(shown, { cwd, bin, env, timeout: TIMEOUT });
}

requirePeer(
  "rabbitmq",
  "consul",
  "netns",
)("the example rabbitmq", () => {
  const asInstalled = (server: UnpackedServer) => ({
    RABBITMQ_SCRIPTS_DIR: server.path("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"),
    ERL_LIBS: server.path("usr/lib/erlang/lib"),
  });

  test(
    "does and prints what its README shows, in a checkout without srv-epmd on the PATH",
    () => runExample("rabbitmq", findRabbitmq(), asInstalled),
    TIMEOUT,
  );

  test(
    "does the same by mutual TLS of Consul Connect",
    async () => {
      const { cwd, env } = await checkout("rabbitmq", findRabbitmq(), asInstalled);
      const { code, stdout, stderr } = await run("./run.sh", ["connect"], {
        cwd,
        env: cleanEnvironment(env),
        timeout: TIMEOUT,
      });
      expect(code, stderr).toBe(0);
      // On n1, n2 and n3, and again on n3 after its broker has come back.
      expect(stdout.match(/^orders {2}quorum {2}running$/gm), stdout).toHaveLength(4);
      expect(stdout).toMatch(/^orders {2}\[n.@rmq[^\]]*, n.@rmq[^\]]*, n.@rmq[^\]]*\]$/m);
    },
    TIMEOUT,
  );
});

requirePeer(
  "erl",
  "consul",
  "netns",
)("an example whose server is not installed", () => {
  test("says so in one line", async () => {
    const env = cleanEnvironment({
      PATH: `${dirname(findConsul() ?? "")}:${process.env.PATH}`,
      RABBITMQ_SCRIPTS_DIR: "/nowhere",
    });
    const { code, stdout, stderr } = await run(join(EXAMPLES, "rabbitmq/run.sh"), [], { env });
    const missing = "/nowhere/rabbitmq-server /nowhere/rabbitmqctl";
    expect({ code, stdout, stderr }).toEqual({
      ...{ code: 1, stdout: "" },
      stderr: `not found: ${missing} (examples/README.md says what is needed)\n`,
    });
  });
});

requirePeer(
  "ejabberd",
  "epmd",
  "consul",
  "netns",
)("the example ejabberd", () => {
  test(
    "does and prints what its README shows, in a checkout without srv-epmd on the PATH",
    () =>
      runExample("ejabberd", findEjabberd(), async (server, folder) => {
        const EJABBERDCTL = join(folder, "ejabberdctl");
        const libraries = [server.path("usr/lib/*-linux-gnu"), server.path("usr/lib/erlang/lib")].join(":");
        const script = await readFile(server.path("usr/sbin/ejabberdctl"), "utf8");
        const here = script.replace(/^ERL_LIBS=.*$/m, `ERL_LIBS=${libraries}`);
        await writeFile(EJABBERDCTL, here.replace(/^ERL=.*$/m, `ERL=${server.otp.program("erl")}`));
        await chmod(EJABBERDCTL, 0o755);
        return { EJABBERDCTL };
      }),
    TIMEOUT,
  );
});
