import { afterEach, describe, expect, test } from "vitest";
import { ConsulClient } from "../../src/consul/client.js";
import { start } from "../../src/daemon/daemon.js";
import { createLogger } from "../../src/daemon/logger.js";
import { runCommand, startCommand } from "../support/command-line.js";
import { startFakeConsul } from "../support/fake-consul.js";
import { http, readEvents } from "../support/http.js";
import { collectLog } from "../support/log-lines.js";
import { ask, rawNode, request } from "../support/raw-epmd.js";
import { serveConfig } from "../support/registered-node.js";
import { serviceEntry } from "../support/service-entry.js";
import { waitFor } from "../support/wait-for.js";

/** CSI of C1 drives a terminal, U+202E turns what follows round, U+2066 begins an isolate, U+200B is not seen at all. */
const EVIL = "a\u009b31m\u202eb\u2066\u200bc";
const SHOWN = "a\\x9b31m\\u{202e}b\\u{2066}\\u{200b}c";
const IN_JSON = "a\\u009b31m\\u202eb\\u2066\\u200bc";
const UNSEEN = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const open: { close: () => Promise<unknown> | undefined }[] = [];

afterEach(async () => {
  for (const { close } of open.splice(0).reverse()) await close();
});

/** A daemon in which a node of that name lives. */
async function daemon() {
  const lines: string[] = [];
  const log = createLogger({ level: "debug", format: "json", write: (line) => lines.push(line) });
  const running = await start(
    serveConfig({ port: "0", admin: "127.0.0.1:0", domain: ["demo.test"], dnsListen: "127.0.0.1:0" }),
    { log },
  );
  open.push(running);
  const node = await rawNode(running.port, { name: EVIL });
  open.push(node);
  return { port: running.port, admin: running.adminAddress ?? "", lines };
}

async function expectShown(args: readonly string[], shown: string): Promise<void> {
  for (const stdoutIsTerminal of [false, true]) {
    const { stdout, stderr } = await runCommand(args, { stdoutIsTerminal, env: { NO_COLOR: "1" } });
    expect(stdout + stderr).toContain(shown);
    expect(stdout + stderr).not.toMatch(UNSEEN);
  }
}

describe("a name with characters that are not seen is written out", () => {
  test("by names", async () => {
    const { port } = await daemon();
    await expectShown(["names", `127.0.0.1:${port}`], SHOWN);
    await expectShown(["names", `127.0.0.1:${port}`, "--json"], IN_JSON);
  });

  test("by names --cluster, in columns as wide as what is shown", async () => {
    const fake = await startFakeConsul();
    open.push(fake);
    const client = new ConsulClient({ url: fake.url, log: collectLog().log });
    for (const name of [EVIL, "plain"]) {
      await client.register(serviceEntry(name, { id: `srv-epmd:box1:${name.length}` }));
    }
    client.close();
    const names = ["names", "--cluster", "--match", "*@svc", "--consul", fake.url];
    await expectShown(names, SHOWN);
    await expectShown([...names, "--json"], IN_JSON);
    const { stdout } = await runCommand(names);
    const columns = stdout.split("\n").flatMap((line) => (line.includes("10.0.0.1") ? [line.indexOf("10.0.0.1")] : []));
    expect(columns).toHaveLength(2);
    expect(new Set(columns).size).toBe(1);
  });

  test("by resolve", async () => {
    const node = ["--node", `${EVIL}@h=10.0.0.1:1`];
    await expectShown(["resolve", `${EVIL}@h`, ...node], SHOWN);
    await expectShown(["resolve", `${EVIL}@h`, ...node, "--trace"], SHOWN);
    await expectShown(["resolve", `${EVIL}@h`, ...node, "--json"], IN_JSON);
  });

  test.each([
    { how: "in place", flags: [], terminal: true, shown: SHOWN },
    { how: "line by line", flags: [], terminal: false, shown: SHOWN },
    { how: "as JSON", flags: ["--json"], terminal: false, shown: IN_JSON },
  ])("by resolve --watch, $how", async ({ flags, terminal, shown }) => {
    const args = ["resolve", "--watch", `${EVIL}@h`, "--node", `${EVIL}@h=10.0.0.1:1`, ...flags];
    const command = startCommand(args, { stdoutIsTerminal: terminal, env: { NO_COLOR: "1" } });
    await waitFor(() => command.stdout() !== "", { what: "the first look-up" });
    command.signal("SIGTERM");
    await command.done;
    expect(command.stdout()).toContain(shown);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what moves the cursor is ours
    expect(command.stdout().replaceAll(/\u001b\[[0-9]*[AJ]/g, "")).not.toMatch(UNSEEN);
  });

  test("by wait, whether the node is there or not", async () => {
    const node = ["--node", `${EVIL}@h=10.0.0.1:1`];
    await expectShown(["wait", `${EVIL}@h`, ...node], SHOWN);
    await expectShown(["wait", `${EVIL}@h`, ...node, "--json"], IN_JSON);
    await expectShown(["wait", `${EVIL}@elsewhere.invalid.`, "--timeout", "100ms", "--dns", "127.0.0.1:1"], SHOWN);
  });

  // Two runs of all checks.
  test("by doctor", { timeout: 60_000 }, async () => {
    const { port } = await daemon();
    const args = ["doctor", "--all", "--port", String(port), "--admin", "none", "--consul", "http://127.0.0.1:1"];
    await expectShown(args, SHOWN);
    await expectShown([...args, "--json"], IN_JSON);
  });

  test("by complaints", async () => {
    await expectShown(["names", EVIL], SHOWN);
    await expectShown(["serve", "--port", EVIL], SHOWN);
  });

  test("over HTTP", async () => {
    const { port, admin } = await daemon();
    const events = await readEvents(admin, "/v1/events");
    open.push({ close: async () => events.close() });
    await ask(port, request("z", `${EVIL}@h`));
    await waitFor(() => events.events.length > 0, { what: "the event" });
    expect(events.raw()).toContain(IN_JSON);
    expect(events.raw()).not.toMatch(UNSEEN);
    const node = encodeURIComponent(EVIL);
    for (const [path, shown] of [
      ["/", SHOWN],
      ["/v1/nodes", IN_JSON],
      ["/v1/status", IN_JSON],
      [`/v1/resolve?node=${node}`, IN_JSON],
      [`/v1/resolve?node=@${node}`, SHOWN],
      [`/v1/cluster?match=${node}`, SHOWN],
    ] as const) {
      const { body } = await http(admin, path);
      expect(body).toContain(shown);
      expect(body).not.toMatch(UNSEEN);
    }
  });

  test("in the log, for machines and for a terminal", async () => {
    const { port, lines } = await daemon();
    await ask(port, request("z", `${EVIL}@h`));
    const registered = lines.find((line) => line.includes("node registered")) ?? "";
    expect(registered).toContain(IN_JSON);
    expect(JSON.parse(registered)).toMatchObject({ node: EVIL });
    expect(lines.join("")).not.toMatch(UNSEEN);

    const pretty: string[] = [];
    createLogger({ level: "info", format: "pretty", write: (line) => pretty.push(line) }).info({ node: EVIL }, EVIL);
    expect(pretty.join("")).toContain(`${SHOWN} node=`);
    expect(pretty.join("")).not.toMatch(UNSEEN);
  });
});
