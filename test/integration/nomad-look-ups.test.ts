import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Environment } from "../../src/config/nomad.js";
import type { OptionKey } from "../../src/config/options.js";
import { Domains } from "../../src/names/domains.js";
import { parseNodeName } from "../../src/names/node-name.js";
import { NomadSide } from "../../src/nomad/side.js";
import { composeResolution } from "../../src/resolve/compose.js";
import type { ResolveOptions } from "../../src/resolve/node-resolver.js";
import { type Source, TRAITS } from "../../src/resolve/source.js";
import { runCommand, startCommand } from "../support/command-line.js";
import { a as aRecord, startFakeDns } from "../support/fake-dns-server.js";
import { listenWith } from "../support/fake-node.js";
import { type FakeNomad, startFakeNomad } from "../support/fake-nomad.js";
import { collectLog } from "../support/log-lines.js";
import { serveConfig } from "../support/registered-node.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const NOBODY_HERE: Source = {
  name: "registry",
  ...TRAITS.registry,
  lookUp: () => ({ outcome: "not-found", code: "NODE_NOT_REGISTERED", reason: "nobody" }),
};

let fake: FakeNomad;
let secrets: string;
let dns: Awaited<ReturnType<typeof startFakeDns>>;
const open: { readonly close: () => Promise<unknown> }[] = [];

beforeEach(async () => {
  secrets = await temporaryFolder("nomad-look-ups");
  fake = await startFakeNomad(join(secrets, "api.sock"));
  // It answers whatever it is asked: who is led here was led past Nomad.
  dns = await startFakeDns(() => ({ answers: [aRecord("box9.example", "10.9.9.9")] }));
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  await Promise.all([fake.close(), dns.close()]);
});

function look(flags: Partial<Record<OptionKey, string | readonly string[]>> = {}, env: Environment = {}) {
  const { log } = collectLog();
  const domain = ["svc.service.nomad"];
  const allocation = { NOMAD_SECRETS_DIR: secrets, NOMAD_TOKEN: "identity", ...env };
  const config = serveConfig({ domain, dns: [`127.0.0.1:${dns.port}`], timeout: "1s", ...flags }, allocation);
  const machine = { hostName: "box", names: new Set(["localhost", "box"]), addresses: () => ["10.0.0.1"] };
  const nomad = new NomadSide(config, log, { timeoutMs: 500 });
  const resolving = composeResolution({
    ...{ settings: config, machine, domains: new Domains(config, machine), registry: NOBODY_HERE, servers: [], nomad },
    upstreams: { connect: () => Promise.reject(new Error("no Consul here")), aliveNames: () => [], follow: false },
    ...{ watchNodesFile: false, ownPort: () => undefined, log },
  });
  open.push(resolving, nomad);
  return async (name: string, options: Partial<ResolveOptions> = {}) =>
    resolving.nodes.resolve(parseNodeName(name), { sameHost: true, mayProbe: false, ...options });
}

describe("a node under service.nomad", () => {
  test("is found by its tag, with the address and port that Nomad gives, and no name server is asked", async () => {
    fake.register({ Tags: ["web", "svc-a"], Address: "10.0.0.7", Port: 20001 });
    fake.register({ Tags: ["svc-b"], Address: "fd00::8", Port: 20002 });
    const find = look();
    expect(await find("svc-a@svc.service.nomad")).toEqual({
      ...{ outcome: "found", source: "catalogue", ttl: 0, stale: false },
      endpoints: [{ address: "10.0.0.7", port: 20001, family: 4, priority: 1, weight: 1, target: "10.0.0.7" }],
    });
    // A word, another case, a bare name, another family.
    for (const name of ["svc-a@svc", "SVC-A@svc.service.nomad", "svc-a", "svc-a.svc.service.nomad"]) {
      expect(await find(name), name).toMatchObject({ outcome: "found", endpoints: [{ address: "10.0.0.7" }] });
    }
    expect(await find("svc-b@svc/6")).toMatchObject({ endpoints: [{ address: "fd00::8", port: 20002, family: 6 }] });
    expect(await find("svc-b@svc/4")).toMatchObject({ outcome: "not-found", code: "CATALOGUE_NO_ADDRESS" });
    expect(dns.queries).toEqual([]);
  });

  test("is found while the servers have no leader, and one of them has lost it", async () => {
    const id = fake.register({ Tags: ["a"], Address: "10.0.0.7", Port: 20001 });
    const find = look();
    expect(await find("a@svc")).toMatchObject({ outcome: "found" });
    fake.hasLeader = false;
    fake.deregister(id);
    await waitFor(() => fake.requests.length > 2, { what: "the refusal of the list, and another query" });
    expect(await find("a@svc")).toMatchObject({ outcome: "found", endpoints: [{ port: 20001 }], stale: true });
    // The log of the servers is read to its end: it is really gone.
    fake.hasLeader = true;
    await waitFor(async () => (await find("a@svc")).outcome === "not-found", { what: "the end of the node" });
  });

  test("is looked up in the namespace of the host, else in that of the allocation", async () => {
    fake.register({ Tags: ["a"], Port: 1001, Namespace: "default" });
    fake.register({ Tags: ["a"], Port: 1002, Namespace: "prod" });
    const port = async (find: ReturnType<typeof look>, name: string) => {
      const found = await find(name);
      return found.outcome === "found" ? found.endpoints[0]?.port : found;
    };
    expect(await port(look(), "a@svc.service.nomad")).toBe(1001);
    expect(await port(look({}, { NOMAD_NAMESPACE: "prod" }), "a@svc.service.nomad")).toBe(1002);
    expect(await port(look({}, { NOMAD_NAMESPACE: "prod" }), "a@svc.default.service.nomad")).toBe(1001);
    expect(await port(look({ domain: ["x.prod.service.nomad"] }), "a@svc")).toBe(1002);
  });

  test("by an address means the endpoint of its domain that has the address", async () => {
    fake.register({ Tags: ["a"], Address: "10.0.0.7", Port: 1001 });
    fake.register({ Tags: ["a"], Address: "10.0.0.8", Port: 1002 });
    const find = look();
    expect(await find("a@10.0.0.8")).toMatchObject({ endpoints: [{ address: "10.0.0.8", port: 1002 }] });
    expect(await find("a@10.0.0.9")).toMatchObject({ code: "CATALOGUE_NO_ADDRESS" });
  });

  test("whose address is a host name: that is looked up", async () => {
    fake.register({ Tags: ["a"], Address: "box9.example", Port: 1001 });
    expect(await look()("a@svc")).toMatchObject({
      endpoints: [{ address: "10.9.9.9", port: 1001, target: "box9.example" }],
    });
  });

  test("whose address is a host name that no name server answers for: other entries do not wait for it", async () => {
    dns.handle(() => undefined);
    const id = fake.register({ Tags: ["a"], Address: "box9.example", Port: 1001 });
    const find = look({ timeout: "3s" });
    expect(await find("a@svc")).toMatchObject({
      outcome: "unavailable",
      code: expect.stringMatching(/^DNS_|^LOOKUP_/),
    });
    fake.register({ Tags: ["a"], Address: "10.0.0.7", Port: 1002 });
    await waitFor(async () => (await find("a@svc")).outcome === "found", { what: "the other entry" });
    const before = performance.now();
    expect(await find("a@svc")).toMatchObject({ endpoints: [{ address: "10.0.0.7" }] });
    expect(performance.now() - before).toBeLessThan(2_000);
    fake.deregister(id);
  });

  test.each([
    [
      "no service",
      "a@none.service.nomad",
      "CATALOGUE_NO_SERVICE",
      "no instance of the service none in the namespace default",
    ],
    ["another namespace", "a@svc.none.service.nomad", "CATALOGUE_NO_SERVICE", "in the namespace none"],
    [
      "no tag",
      "b@svc.service.nomad",
      "CATALOGUE_NO_NODE",
      "no instance of the service svc in the namespace default has the tag b",
    ],
    ["no name of Nomad's", "a@a_b.service.nomad", "NAME_NOT_NOMAD", '"a_b" is no service'],
    ["too many labels", "a@x.y.z.service.nomad", "NAME_NOT_NOMAD", "3 labels"],
  ])("that is not there (%s) is not found, with a code, and nothing else is asked", async (_, name, code, reason) => {
    fake.register({ Tags: ["a"], Port: 1001 });
    const find = look({ fallback: ["epmd", "9100"], helpers: "ask" });
    expect(await find(name)).toMatchObject({ outcome: "not-found", code, reason: expect.stringContaining(reason) });
    expect(dns.queries).toEqual([]);
  });

  test("is seen within moments when it comes, goes or changes", async () => {
    const find = look();
    expect(await find("a@svc")).toMatchObject({ code: "CATALOGUE_NO_SERVICE" });
    const id = fake.register({ Tags: ["a"], Port: 1001 });
    await waitFor(async () => (await find("a@svc")).outcome === "found", { what: "the node" });
    fake.deregister(id);
    await waitFor(async () => (await find("a@svc")).outcome === "not-found", { what: "its end" });
  });

  test("from memory is answered at once, without a promise", async () => {
    fake.register({ Tags: ["a"], Port: 1001 });
    const { log } = collectLog();
    const config = serveConfig({ domain: ["svc.service.nomad"] }, { NOMAD_SECRETS_DIR: secrets, NOMAD_TOKEN: "t" });
    const machine = { hostName: "box", names: new Set(["localhost"]), addresses: () => [] };
    const nomad = new NomadSide(config, log);
    const resolving = composeResolution({
      ...{
        settings: config,
        machine,
        domains: new Domains(config, machine),
        registry: NOBODY_HERE,
        servers: [],
        nomad,
      },
      upstreams: { connect: () => Promise.reject(new Error("none")), aliveNames: () => [], follow: false },
      ...{ watchNodesFile: false, ownPort: () => undefined, log },
    });
    open.push(resolving, nomad);
    const first = resolving.nodes.resolve(parseNodeName("a@svc"), { sameHost: true });
    expect(first).toBeInstanceOf(Promise);
    await first;
    const next = await waitFor(
      () => {
        const answer = resolving.nodes.resolve(parseNodeName("a@svc"), { sameHost: true });
        // On a busy machine the next query leaves late, and look-ups wait for what it may bring.
        return answer instanceof Promise ? undefined : answer;
      },
      { what: "an answer without a promise" },
    );
    expect(next).toMatchObject({ outcome: "found" });
  });

  test("with the entry of a dead allocation beside it: the one that accepts comes first", async () => {
    const alive = await listenWith((socket) => socket.end());
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const dead = (gone.address() as { port: number }).port;
    await new Promise((resolve) => gone.close(resolve));
    for (const Port of [dead, alive]) fake.register({ Tags: ["a"], Port });
    const find = look();
    // The order is random.
    for (let i = 0; i < 8; i++) {
      const found = await find("a@svc", { mayProbe: true });
      expect(found).toMatchObject({ outcome: "found", endpoints: [{ port: alive }, { port: dead }] });
    }
    // Strangers too, for whom nothing is probed, get what refused a connection last.
    for (let i = 0; i < 8; i++) {
      expect(await find("a@svc")).toMatchObject({ endpoints: [{ port: alive }, { port: dead }] });
    }
  });
});

describe("while Nomad does not answer", () => {
  test.each<[string, () => Promise<void> | void, string, RegExp]>([
    ["no socket", () => fake.stop(), "NOMAD_UNAVAILABLE", /api\.sock.*ENOENT/],
    [
      "a refusal",
      () => fake.misbehave(() => ({ status: 403, body: "Forbidden" })),
      "NOMAD_FORBIDDEN",
      /Forbidden \(403\)/,
    ],
    [
      "no leader",
      () => fake.misbehave(() => ({ status: 500, body: "No cluster leader" })),
      "NOMAD_UNAVAILABLE",
      /leader/,
    ],
    ["another program", () => fake.misbehave(() => ({ status: 404, body: "nope" })), "NOMAD_UNKNOWN", /nope \(404\)/],
    ["silence", () => fake.misbehave(() => "hang"), "NOMAD_UNAVAILABLE", /timed out|does not tell/],
    [
      "100 MB",
      () => fake.misbehave(() => ({ bytes: 100 << 20 })),
      "NOMAD_UNAVAILABLE",
      /longer than|timed out|does not tell/,
    ],
  ])(
    "and never has (%s): unavailable, with the code and the reason, within the time of the look-up",
    async (_, breakIt, code, cause) => {
      await breakIt();
      const startedAt = performance.now();
      expect(await look()("a@svc")).toMatchObject({
        outcome: "unavailable",
        code,
        cause: expect.stringMatching(cause),
      });
      expect(performance.now() - startedAt).toBeLessThan(4_000);
      expect(dns.queries).toEqual([]);
    },
  );

  test("what it told last is used, and a node that it had not is not called absent", async () => {
    fake.register({ Tags: ["a"], Port: 1001 });
    const find = look();
    expect(await find("a@svc")).toMatchObject({ outcome: "found", stale: false });
    await fake.stop();
    await waitFor(async () => (await find("b@svc")).outcome === "unavailable", { what: "the outage" });
    expect(await find("a@svc")).toMatchObject({ outcome: "found", stale: true });
    expect(await find("b@svc")).toMatchObject({ outcome: "unavailable", code: "NOMAD_UNAVAILABLE" });
    await fake.restart(1);
    await waitFor(async () => (await find("b@svc")).outcome === "not-found", { what: "the API", timeout: 15_000 });
    expect(await find("a@svc")).toMatchObject({ outcome: "found", stale: false });
  });

  test("what it told last is used no longer than --stale-ttl", async () => {
    fake.register({ Tags: ["a"], Port: 1001 });
    const find = look({ staleTtl: "200ms" });
    await find("a@svc");
    await fake.stop();
    await waitFor(async () => (await find("a@svc")).outcome === "unavailable", { what: "the end of the stale answer" });
  });
});

describe("the commands", () => {
  const env = () => ({ NOMAD_SECRETS_DIR: secrets, NOMAD_TOKEN: "identity" });

  test("resolve --json and --trace say that the catalogue was asked", async () => {
    fake.register({ Tags: ["svc-a"], Address: "10.0.0.7", Port: 20001 });
    const json = await runCommand(["resolve", "svc-a@svc.service.nomad", "--json"], { env: env() });
    expect([json.code, JSON.parse(json.stdout)]).toMatchObject([
      0,
      { node: "svc-a@svc.service.nomad", outcome: "found", source: "catalogue", endpoints: [{ port: 20001 }] },
    ]);
    const { stdout } = await runCommand(["resolve", "svc-a@svc.service.nomad", "--trace"], { env: env() });
    expect(stdout).toContain("catalogue of Nomad, service svc in default: 1 instance");
    expect(stdout).toContain("10.0.0.7:20001");
  });

  test("resolve ends with 1 for a node that is none, and with 3 for a socket that is missing, which it names", async () => {
    const none = await runCommand(["resolve", "x@none.service.nomad"], { env: env() });
    expect([none.code, none.stdout]).toEqual([1, expect.stringContaining("the service none in the namespace default")]);
    const away = await runCommand(["resolve", "x@svc.service.nomad", "--nomad-addr", "unix:///none/api.sock"]);
    expect([away.code, away.stdout]).toEqual([3, expect.stringContaining("unix:///none/api.sock")]);
    const file = await runCommand(["resolve", "x@svc.service.nomad", "--nomad-token-file", "/none/token"], {
      env: env(),
    });
    expect([file.code, file.stdout]).toEqual([
      3,
      expect.stringMatching(/Nomad token file cannot be read: .*\/none\/token/),
    ]);
    const long = await runCommand(["resolve", `x@${"s".repeat(64)}.service.nomad`], { env: env() });
    expect([long.code, long.stderr]).toEqual([
      2,
      expect.stringMatching(/s{64}\.service\.nomad.*at most 63 characters.*here are 64/),
    ]);
    const wrong = await runCommand(["resolve", "x@svc.service.nomad"], { env: { ...env(), NOMAD_NAMESPACE: "my ns" } });
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining('NOMAD_NAMESPACE: "my ns" must be a namespace'),
    ]);
  });

  test("the token is the identity's, and where an address is given with a token, that one", async () => {
    await writeFile(join(secrets, "nomad_token"), "from-file");
    const tokens = async (more: NodeJS.ProcessEnv) => {
      const before = fake.requests.length;
      await runCommand(["resolve", "x@svc.service.nomad"], { env: { ...env(), ...more } });
      return new Set(fake.requests.slice(before).map(({ token }) => token));
    };
    expect(await tokens({})).toEqual(new Set(["from-file"]));
    expect(await tokens({ NOMAD_ADDR: fake.url })).toEqual(new Set(["identity"]));
    expect(await tokens({ NOMAD_ADDR: fake.url, NOMAD_TOKEN: "" })).toEqual(new Set(["from-file"]));
  });

  test("wait ends when the node's task starts", async () => {
    const waiting = startCommand(["wait", "svc-a@svc.service.nomad", "--timeout", "20s", "--json"], { env: env() });
    await waitFor(() => fake.held > 0 || fake.requests.length > 1, { what: "the first look-up" });
    fake.register({ Tags: ["svc-a"], Port: 20001 });
    expect(await waiting.done).toBe(0);
    expect(JSON.parse(waiting.stdout())).toMatchObject({ for: "svc-a@svc.service.nomad", there: true });
  });
});
