import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Environment } from "../../src/config/nomad.js";
import type { OptionKey } from "../../src/config/options.js";
import { type Daemon, start } from "../../src/daemon/daemon.js";
import { names as askNames, portPlease } from "../../src/epmd/client.js";
import { runCommand } from "../support/command-line.js";
import { type FakeNomad, startFakeNomad } from "../support/fake-nomad.js";
import { http } from "../support/http.js";
import { collectLog } from "../support/log-lines.js";
import { rawNode } from "../support/raw-epmd.js";
import { serveConfig } from "../support/registered-node.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const ALLOC = "0a1b2c3d-1111-2222-3333-444444444444";
const NODE = "svc-0a1b2c3d";
const open: { close: () => Promise<unknown> }[] = [];

let fake: FakeNomad;
let secrets: string;

beforeEach(async () => {
  secrets = await temporaryFolder("nomad-entries");
  fake = await startFakeNomad(join(secrets, "api.sock"));
  open.push(fake);
});
afterEach(async () => {
  for (const { close } of open.splice(0).reverse()) await close();
});

/** A whole daemon in this process, in an allocation whose port dist is the same inside and outside. */
async function daemon(flags: Partial<Record<OptionKey, string | readonly string[]>> = {}, env: Environment = {}) {
  const { log, lines } = collectLog();
  const allocation = { NOMAD_SECRETS_DIR: secrets, NOMAD_ALLOC_ID: ALLOC, NOMAD_TOKEN: "identity", ...env };
  const domain = ["svc-dist.service.nomad"];
  const config = serveConfig({ port: "0", admin: "127.0.0.1:0", domain, ...flags }, allocation);
  const running = await start(config, { log });
  open.push(running);
  const json = async (path: string) => JSON.parse((await http(running.adminAddress ?? "", path)).body);
  const readiness = async () => {
    const { ready, checks } = (await json("/v1/status")).readiness;
    const faults = checks.filter(({ ok }: { ok: boolean }) => !ok);
    return {
      ready,
      faults: Object.fromEntries(faults.map(({ name, reason }: Record<string, string>) => [name, reason])),
    };
  };
  const nodes = async () =>
    (await json("/v1/nodes")).nodes as { name: string; publication: string; code?: string; reason?: string }[];
  return { running, json, readiness, nodes, lines };
}

async function register({ port }: Daemon, name = NODE, at = 20001) {
  const node = await rawNode(port, { name, port: at });
  open.push(node);
  return node;
}

const entry = (over: object = {}) =>
  fake.register({ ServiceName: "svc-dist", AllocID: ALLOC, Tags: [NODE], Port: 20001, ...over });

describe("the entry of this allocation", () => {
  test("is there and right: ready, and the node is in Nomad", async () => {
    entry();
    const { running, readiness, nodes, lines } = await daemon();
    expect(running.settings).toMatchObject({ publish: "nomad", nomad: fake.url, consul: undefined });
    await register(running);
    await waitFor(async () => (await nodes())[0]?.publication === "in-nomad", { what: "the entry" });
    expect(await readiness()).toEqual({ ready: true, faults: {} });
    const said = lines.filter(({ node, msg }) => node === NODE && msg === "Nomad's catalogue leads to the node");
    expect(said).toHaveLength(1);
  });

  test.each<[string, object | undefined, string, RegExp]>([
    [
      "no entry",
      undefined,
      "NOMAD_NO_ENTRY",
      /no entry of the service svc-dist in the namespace default for the allocation 0a1b2c3d/,
    ],
    ["another's entry", { AllocID: "ffffffff-0" }, "NOMAD_NO_ENTRY", /no entry/],
    ["no such tag", { Tags: ["web"] }, "NOMAD_NO_TAG", /has the tags web, and not svc-0a1b2c3d/],
    [
      "another port",
      { Port: 20002 },
      "NOMAD_OTHER_PORT",
      /leads to 127\.0\.0\.1:20002, and peers reach the node at port 20001/,
    ],
  ])("%s: not ready, with the reason, and one line in the log", async (_, over, code, reason) => {
    if (over) entry(over);
    const { running, readiness, nodes, lines } = await daemon();
    await register(running);
    await waitFor(async () => (await nodes())[0]?.publication === "not-in-nomad", { what: "the fault" });
    expect((await nodes())[0]).toMatchObject({ code, reason: expect.stringMatching(reason) });
    const { ready, faults } = await readiness();
    expect(ready).toBe(false);
    expect(faults.entry).toMatch(reason);
    const told = () => lines.filter((line) => line.code === code);
    await waitFor(() => told().length === 1, { what: "the line in the log" });
    expect(told()[0]).toMatchObject({ level: "warn", node: NODE });
    // Mended: Nomad registers what the job says.
    entry();
    await waitFor(async () => (await readiness()).ready, { what: "readiness" });
    expect(told()).toHaveLength(1);
    expect(lines.filter(({ msg }) => msg === "Nomad's catalogue leads to the node again")).toHaveLength(1);
  });

  test("that goes away after it was right, as at the stop of an allocation: not ready, and no warning", async () => {
    const id = entry();
    const { running, readiness, nodes, lines } = await daemon();
    await register(running);
    await waitFor(async () => (await nodes())[0]?.publication === "in-nomad", { what: "the entry" });
    fake.deregister(id);
    await waitFor(() => lines.some(({ msg }) => /Nomad has taken the entry/.test(String(msg))), { what: "the line" });
    expect((await readiness()).ready).toBe(false);
    expect(lines.filter(({ level }) => level === "warn")).toEqual([]);
  });

  test("leaves helpers and names that --publish leaves out alone", async () => {
    const { running, readiness, nodes } = await daemon({ publish: ["svc-*"] });
    await register(running, "rpc-1a2b-svc", 20005);
    await register(running, "other", 20006);
    await waitFor(() => fake.held > 0, { what: "the blocking query" });
    await waitFor(async () => (await readiness()).ready, { what: "readiness" });
    expect((await nodes()).map(({ publication }) => publication)).toEqual(["off", "off"]);
  });
});

test("a service that the token may not read makes nothing else not ready", async () => {
  entry();
  fake.misbehave(({ path }) => (path.includes("namespace=other") ? { status: 403, body: "Forbidden" } : undefined));
  const { running, readiness, nodes } = await daemon();
  await register(running);
  await waitFor(async () => (await nodes())[0]?.publication === "in-nomad", { what: "the entry" });
  const at = { address: "127.0.0.1", port: running.port };
  const asked = await portPlease(at, "x@svc.other.service.nomad", { timeout: 5_000 });
  expect(asked).toBeUndefined();
  await waitFor(() => fake.requests.filter(({ path }) => path.includes("namespace=other")).length > 1, {
    what: "a retry",
  });
  expect(await readiness()).toEqual({ ready: true, faults: {} });
});

describe("an API that does not tell", () => {
  test.each<[string, () => void, RegExp]>([
    ["no token", () => {}, /401.*identity \{ env = true file = true \}/],
    ["a token that is refused", () => fake.misbehave(() => ({ status: 403, body: "Forbidden" })), /Forbidden \(403\)/],
    ["no leader", () => fake.misbehave(() => ({ status: 500, body: "No cluster leader" })), /No cluster leader/],
    ["garbage", () => fake.misbehave(() => ({ status: 200, body: "<html>", type: "text/html" })), /is not Nomad/],
  ])("%s: not ready, said once, and ready again", async (what, breakIt, reason) => {
    entry();
    breakIt();
    const { running, readiness, nodes, lines } = await daemon({}, what === "no token" ? { NOMAD_TOKEN: "" } : {});
    await register(running);
    await waitFor(async () => reason.test((await readiness()).faults.nomad ?? ""), { what: "the reason" });
    expect((await readiness()).ready).toBe(false);
    await waitFor(async () => (await nodes())[0]?.publication === "unknown", { what: "the node's state" });
    const said = () => lines.filter(({ level, msg }) => level === "warn" && /Nomad does not tell/.test(String(msg)));
    expect(said()).toHaveLength(1);
    if (what === "no token") return;
    fake.misbehave(undefined);
    await waitFor(async () => (await readiness()).ready, { what: "readiness", timeout: 15_000 });
    expect(said()).toHaveLength(1);
    expect(lines.filter(({ msg }) => /Nomad tells again/.test(String(msg)))).toHaveLength(1);
  });

  test("a socket that goes away and returns with an index from the beginning: what was known stays, and changes are seen again", async () => {
    const first = entry();
    const { running, readiness, nodes, json } = await daemon();
    await register(running);
    await waitFor(async () => (await readiness()).ready, { what: "readiness" });
    await fake.stop();
    const fault = async () => (await json("/v1/status")).nomad.trouble?.fault;
    await waitFor(async () => (await fault()) === "refused", { what: "the outage, and that nothing listens" });
    expect((await readiness()).faults.nomad).toBeDefined();
    expect((await nodes())[0]?.publication).toBe("in-nomad");
    await fake.restart(1);
    await waitFor(async () => (await readiness()).ready, { what: "readiness", timeout: 15_000 });
    fake.deregister(first);
    await waitFor(async () => (await nodes())[0]?.publication === "not-in-nomad", { what: "the change" });
  });

  test.each<[string, number | undefined]>([
    ["a lower index", 3],
    ["no index", undefined],
  ])("blocking queries that return early with %s: asked at a bounded rate, and changes are seen", async (_, index) => {
    const first = entry();
    const { running, readiness, nodes } = await daemon();
    await register(running);
    await waitFor(async () => (await readiness()).ready, { what: "readiness" });
    fake.misbehave(() => ({ index }));
    const before = fake.requests.length;
    fake.deregister(first);
    await waitFor(async () => (await nodes())[0]?.publication === "not-in-nomad", { what: "the change" });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(fake.requests.length - before).toBeLessThan(60);
  });
});

describe("the nodes of a service", () => {
  beforeEach(() => {
    entry({ Address: "10.0.0.7" });
    entry({ AllocID: "ffffffff-1", Tags: ["svc-ffffffff", "traefik.enable=true"], Address: "10.0.0.8", Port: 20007 });
    entry({ AllocID: "eeeeeeee-1", Tags: ["svc-eeeeeeee"], Namespace: "prod", Address: "fd00::9", Port: 20008 });
  });

  test("are listed for patterns, as SRV_EPMD_CONNECT asks for them", async () => {
    const { running } = await daemon();
    await register(running);
    const list = async (pattern: string) =>
      (await askNames({ address: "127.0.0.1", port: running.port }, { pattern, timeout: 4_000 })).names;
    expect(await list("svc-*@svc-dist.service.nomad")).toEqual([
      { name: "svc-0a1b2c3d@svc-dist.service.nomad", port: 20001 },
      { name: "svc-ffffffff@svc-dist.service.nomad", port: 20007 },
    ]);
    expect(await list("*@svc-dist.prod.service.nomad")).toEqual([
      { name: "svc-eeeeeeee@svc-dist.prod.service.nomad", port: 20008 },
    ]);
    // A word is a service of Nomad's where each --domain is.
    expect(await list("*f@svc-dist")).toHaveLength(1);
    expect(await list("*@none.service.nomad")).toEqual([]);
    // Each service is followed once, whoever asks for it.
    const firsts = fake.requests.filter(({ path }) => !path.includes("index=")).map(({ path }) => path);
    expect(firsts).toEqual(Array.from(new Set(firsts)));
  });

  test("are in /v1/cluster, and on the page", async () => {
    const { running, json } = await daemon();
    await waitFor(async () => (await json("/v1/cluster")).nodes?.length === 2, { what: "the cluster" });
    expect(await json("/v1/cluster?match=*@svc-dist.prod.service.nomad")).toEqual({
      nomad: fake.url,
      nodes: [
        {
          ...{ node: "svc-eeeeeeee@svc-dist.prod.service.nomad", health: "unknown", address: "fd00::9", port: 20008 },
          ...{ instance: "eeeeeeee", machine: "c1000000" },
        },
      ],
    });
    const page = (await http(running.adminAddress ?? "", "/")).body;
    expect(page).toContain("svc-ffffffff");
    expect(page).toContain("api.sock");
  });

  test("are listed by names --cluster", async () => {
    const ask = (...args: string[]) =>
      runCommand(["names", "--cluster", ...args], { env: { NOMAD_SECRETS_DIR: secrets, NOMAD_TOKEN: "t" } });
    const { code, stdout } = await ask("--match", "*@svc-dist.service.nomad");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\*@svc-dist\.service\.nomad: 2 nodes in Nomad\n/);
    expect(stdout).toMatch(
      /\n {2}svc-ffffffff@svc-dist\.service\.nomad +unknown +10\.0\.0\.8:20007 +- +ffffffff +c1000000\n/,
    );
    const answered = JSON.parse((await ask("--domain", "svc-dist.prod.service.nomad", "--json")).stdout);
    expect(answered).toMatchObject({ nomad: fake.url, nodes: [{ node: "svc-eeeeeeee@svc-dist.prod.service.nomad" }] });
  });

  test("names --cluster says what is wrong with a service's name, and with a socket that is missing", async () => {
    const bad = await runCommand(["names", "--cluster", "--match", "*@a_b.service.nomad"]);
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain('"a_b" is no service of Nomad\'s');
    const none = await runCommand([
      "names",
      "--cluster",
      "--match",
      "*@svc.service.nomad",
      "--nomad-addr",
      "unix:///none/api.sock",
    ]);
    expect(none.code).toBe(3);
    expect(none.stderr).toMatch(/unix:\/\/\/none\/api\.sock.*ENOENT/);
  });
});
