import { once } from "node:events";
import { renameSync } from "node:fs";
import { mkdir, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { staticNode } from "../../src/config/network-values.js";
import { Registry } from "../../src/epmd/core/registry.js";
import { Domains } from "../../src/names/domains.js";
import { parseNodeName } from "../../src/names/node-name.js";
import type { Endpoint } from "../../src/net/endpoint.js";
import { composeResolution } from "../../src/resolve/compose.js";
import type { Found, NodeQuestion, Resolution, SourceName, TraceEvent } from "../../src/resolve/core/resolution.js";
import { registrySource, staticSource } from "../../src/resolve/local-sources.js";
import { NodeResolver, type ResolutionOptions, type ResolveOptions } from "../../src/resolve/node-resolver.js";
import { type LookupContext, type Source, TRAITS } from "../../src/resolve/source.js";
import { bestOf } from "../support/best-of.js";
import { run } from "../support/child.js";
import { a as aRecord, srv, startFakeDns } from "../support/fake-dns-server.js";
import { freePort } from "../support/free-port.js";
import { collectLog } from "../support/log-lines.js";
import { registration } from "../support/registered-node.js";
import { silentPort } from "../support/silent-port.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** On a machine called box1, which is called box too. */
function domainsOf(...domain: readonly string[]): Domains {
  const { config } = loadConfig({ command: "resolve", flags: { domain }, env: {} });
  return new Domains(config, { names: new Set(["localhost", "box", "box1"]), addresses: () => [] });
}

const LOCAL: ResolveOptions = { sameHost: true };
const NOBODY_HERE: Source = {
  name: "registry",
  ...TRAITS.registry,
  lookUp: () => ({ outcome: "not-found", code: "NODE_NOT_REGISTERED", reason: "nobody" }),
};
/** For look-ups that ask no Consul agent. */
const NO_AGENT = { connect: () => Promise.reject(new Error("asked")), aliveNames: () => [], follow: false };
const ABSENT: Resolution = { outcome: "not-found", code: "SRV_NXDOMAIN", reason: "nobody has it" };
const DOWN: Resolution = { outcome: "unavailable", code: "DNS_TIMEOUT", cause: "nobody answers" };

function endpoint(port: number, address = "127.0.0.1"): Endpoint {
  return { address, port, family: 4, priority: 1, weight: 1, target: "t.test" };
}

function found(source: SourceName, ...ports: number[]): Found {
  return { outcome: "found", source, endpoints: ports.map((port) => endpoint(port)), ttl: 0, stale: false };
}

interface Asked {
  readonly source: SourceName;
  readonly question: NodeQuestion;
  readonly context: LookupContext;
}

/** A resolver over sources that give fixed results, and what they were asked. */
function resolverOf(
  results: Partial<Record<SourceName, Resolution | Promise<Resolution>>>,
  over: Partial<ResolutionOptions> = {},
) {
  const asked: Asked[] = [];
  const refused: (Pick<Endpoint, "address" | "port"> & { readonly host: string })[] = [];
  const sources = Object.entries(results).map(([name, result]): Source => {
    const source = name as SourceName;
    return {
      name: source,
      ...TRAITS[source],
      onRefused: ({ node: { host } }, which) => source === "srv" && refused.push({ ...which, host }),
      lookUp: (question, context) => {
        asked.push({ source, question, context });
        return result;
      },
    };
  });
  const nodes = new NodeResolver({
    sources,
    domains: domainsOf("svc"),
    family: "any",
    preferReachable: true,
    timeout: 4_000,
    now: () => performance.now(),
    ...over,
  });
  return {
    asked,
    refused,
    askedSources: () => asked.map(({ source }) => source),
    resolve: (name: string, options = LOCAL) => nodes.resolve(parseNodeName(name), options),
    nodes,
  };
}

describe("the sources of a look-up", () => {
  test("are asked in their order, and the first hit wins", async () => {
    const { resolve, askedSources } = resolverOf({
      registry: ABSENT,
      static: Promise.resolve(ABSENT),
      srv: Promise.resolve(found("srv", 20001)),
      fallback: found("fallback", 9999),
    });
    expect(await resolve("a@svc")).toEqual(found("srv", 20001));
    expect(askedSources()).toEqual(["registry", "static", "srv"]);
  });

  test("that are not allowed to the client are not asked, and the others know that there is no fallback", async () => {
    const { resolve, asked, askedSources } = resolverOf({
      registry: ABSENT,
      srv: ABSENT,
      fallback: found("fallback", 1),
    });
    expect(await resolve("a", { sameHost: false, forStranger: true })).toEqual(ABSENT);
    expect(askedSources()).toEqual(["registry", "srv"]);
    expect(asked.map(({ context }) => context.forStranger)).toEqual([true, true]);
  });

  test("need no promise where the node is registered here", () => {
    const registry = new Registry();
    const node = registry.register(registration("a", 9100), 0);
    const source = registrySource({ registry, domains: { isOurs: () => true }, advertised: () => undefined });
    const { nodes } = resolverOf({}, { sources: [source] });
    expect(nodes.resolve(parseNodeName("a@svc"), LOCAL)).toEqual({
      ...found("registry"),
      endpoints: [{ ...endpoint(9100), priority: 0, weight: 0, target: "localhost" }],
      description: node,
    });
  });

  test.each([
    { srv: DOWN, fallback: ABSENT, outcome: DOWN },
    { srv: ABSENT, fallback: DOWN, outcome: DOWN },
    { srv: DOWN, fallback: found("fallback", 1), outcome: found("fallback", 1) },
    {
      srv: ABSENT,
      fallback: { outcome: "not-found", code: "FALLBACK_NO_ADDRESS", reason: "no address" },
      outcome: { reason: "no address" },
    },
  ] as const)("that cannot be asked outweigh an absence, and a hit outweighs both: %o", async (given) => {
    const { resolve } = resolverOf({ registry: ABSENT, srv: Promise.resolve(given.srv), fallback: given.fallback });
    expect(await resolve("a@svc")).toMatchObject(given.outcome);
  });

  test("have until the deadline, all together", async () => {
    const never = new Promise<Resolution>(() => {});
    const { resolve, asked } = resolverOf({ registry: ABSENT, srv: never }, { timeout: 60 });
    const startedAt = performance.now();
    expect(await resolve("a@svc")).toEqual({
      outcome: "unavailable",
      code: "LOOKUP_TIMEOUT",
      cause: "no answer within 60 ms",
    });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(await resolve("a@svc", { ...LOCAL, timeout: 20 })).toMatchObject({ cause: "no answer within 20 ms" });
    const deadlines = asked.map(({ context }) => context.deadline);
    expect(deadlines[0]).toBe(deadlines[1]);
  });
});

describe("the host of a name", () => {
  test.each([
    ["a@svc", "svc.service.consul"],
    ["a@SVC.Service.Consul.", "svc.service.consul"],
    ["a@svc.example", "svc.example"],
    ["a.svc.example", "svc.example"],
    ["a", "svc.service.consul"],
    ["a@localhost", "localhost"],
    ["a@box", "box"],
    ["a@FD77:0::1", "fd77::1"],
  ])("in %s is %s", async (name, host) => {
    const { resolve, asked } = resolverOf({ registry: ABSENT });
    await resolve(name);
    expect(asked[0]?.question.node).toMatchObject({ aliveName: "a", host });
  });

  test("that is this machine, or a bare name without a domain, is no business of DNS", async () => {
    const { resolve, askedSources } = resolverOf(
      { registry: ABSENT, static: ABSENT, srv: found("srv", 1), fallback: found("fallback", 1) },
      { domains: domainsOf() },
    );
    for (const name of ["a@localhost", "a@box", "a"]) expect(await resolve(name), name).toEqual(ABSENT);
    expect(new Set(askedSources())).toEqual(new Set(["registry", "static"]));
  });

  test("that is an address means the SRV records of the domain with this address", async () => {
    const { resolve, asked } = resolverOf({ registry: ABSENT, srv: found("srv", 1) });
    await resolve("a@10.0.0.1");
    expect(asked.map(({ question }) => [question.node.host, question.onlyAddress])).toEqual([
      ["10.0.0.1", undefined],
      ["svc.service.consul", "10.0.0.1"],
    ]);
  });

  test("that is an address without a domain can only be served by a fallback", async () => {
    const { resolve, askedSources, nodes } = resolverOf(
      { srv: found("srv", 1), fallback: found("fallback", 9999) },
      { domains: domainsOf() },
    );
    expect(await resolve("a@10.0.0.1")).toEqual(found("fallback", 9999));
    expect(askedSources()).toEqual(["fallback"]);
    expect(nodes.fullName(parseNodeName("a@10.0.0.1"))).toBe("a@10.0.0.1");
  });

  test("of a family that is closed is not looked up", async () => {
    const { resolve, askedSources } = resolverOf({ srv: found("srv", 1) }, { family: 4 });
    expect(await resolve("a@svc/6")).toMatchObject({ outcome: "not-found", reason: expect.stringContaining("IPv6") });
    expect(askedSources()).toEqual([]);
  });

  test("comes from the first --domain whose pattern matches the alive name", async () => {
    const domain = ["web_*=web", "db?=db.example", "box"];
    const { config } = loadConfig({ command: "resolve", flags: { domain }, env: {} });
    const { log } = collectLog();
    const machine = { hostName: "box", names: new Set(["localhost", "box"]), addresses: () => [] };
    const { nodes, close } = composeResolution({
      settings: config,
      machine,
      domains: new Domains(config, machine),
      registry: NOBODY_HERE,
      servers: [],
      upstreams: NO_AGENT,
      watchNodesFile: false,
      ownPort: () => 1,
      log,
    });
    const fullName = (name: string) => nodes.fullName(parseNodeName(name));
    expect(fullName("web_1")).toBe("web_1@web.service.consul");
    expect(fullName("db1")).toBe("db1@db.example");
    // A domain is a service even where the machine has the same name.
    expect(fullName("db10")).toBe("db10@box.service.consul");
    await close();
  });
});

describe("probing", () => {
  /** A listening port, and one where nobody listens. */
  async function openAndClosed() {
    const server = createServer((socket) => socket.destroy());
    let connections = 0;
    server.on("connection", () => connections++);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const open = (server.address() as { port: number }).port;
    return { open, closed: await freePort(), connections: () => connections, close: () => server.close() };
  }

  test("puts first what accepts, last what refuses, and reports the latter", async () => {
    const { open, closed, close } = await openAndClosed();
    const { resolve, refused } = resolverOf({ srv: found("srv", closed, open) });
    expect(await resolve("a@svc")).toEqual(found("srv", open, closed));
    expect(refused.map(({ port }) => port)).toEqual([closed]);
    close();
  });

  test("never turns found into not-found, and keeps the order when nobody accepts", async () => {
    const ports = [await freePort(), await freePort()];
    const { resolve, refused } = resolverOf({ srv: found("srv", ...ports) });
    expect(await resolve("a@svc")).toEqual(found("srv", ...ports));
    expect(refused).toHaveLength(2);
  });

  test("of silent endpoints ends in time, and what was found stays found", async () => {
    const ports = [await silentPort(), await silentPort()];
    for (const timeout of [60, 200, 400]) {
      const { resolve, refused } = resolverOf({ srv: Promise.resolve(found("srv", ...ports)) }, { timeout });
      const startedAt = performance.now();
      expect(await resolve("a@svc"), `${timeout} ms`).toEqual(found("srv", ...ports));
      expect(performance.now() - startedAt).toBeLessThan(timeout + 200);
      expect(refused).toEqual([]);
    }
  });

  test("reports what refused under the name that was asked for, also where the host part was an address", async () => {
    const ports = [await freePort(), await freePort()];
    const { resolve, refused } = resolverOf({ registry: ABSENT, srv: found("srv", ...ports) });
    await resolve("a@127.0.0.1");
    expect(refused.map(({ port, host }) => [port, host])).toEqual(ports.map((port) => [port, "svc.service.consul"]));
  });

  test("reports no endpoint that did not come from DNS", async () => {
    const ports = [await freePort(), await freePort()];
    for (const source of ["static", "fallback"] as const) {
      const { resolve, refused } = resolverOf({ [source]: found(source, ...ports) });
      expect(await resolve("a@svc")).toEqual(found(source, ...ports));
      expect(refused).toEqual([]);
    }
  });

  test("reports no endpoint for troubles of this machine's own, and puts it last nevertheless", async () => {
    const { open, close } = await openAndClosed();
    // The broadcast address of the loopback network: ENETUNREACH, whoever listens.
    const unreachable = endpoint(open, "127.255.255.255");
    const accepting = endpoint(open);
    const { resolve, refused } = resolverOf({ srv: { ...found("srv"), endpoints: [unreachable, accepting] } });
    expect(await resolve("a@svc")).toMatchObject({ endpoints: [accepting, unreachable] });
    expect(refused).toEqual([]);
    close();
  });

  test("is done for 8 endpoints, and the rest is said to be left out", async () => {
    const steps: TraceEvent[] = [];
    const ports = await Promise.all(Array.from({ length: 11 }, () => freePort()));
    const { resolve } = resolverOf({ srv: found("srv", ...ports) });
    const resolution = await resolve("a@svc", { ...LOCAL, trace: (event) => void steps.push(event) });
    expect(resolution).toMatchObject({ leftOut: [{ what: "probes", count: 3, of: 11 }] });
    expect(steps.filter(({ step }) => step === "probe")).toHaveLength(8);
    expect(steps).toContainEqual({ step: "left-out", what: "probes", count: 3, of: 11 });
  });

  test("comes last to an endpoint that was silent a moment ago", async () => {
    const { open, connections, close } = await openAndClosed();
    const silent = endpoint(await silentPort("127.0.0.9"), "127.0.0.9");
    const accepting = endpoint(open);
    const { resolve } = resolverOf({ srv: { ...found("srv"), endpoints: [silent, accepting] } });
    const probed: string[] = [];
    const trace = (event: TraceEvent) => event.step === "probe" && probed.push(event.endpoint.address);
    const resolved = async () => {
      const startedAt = performance.now();
      expect(await resolve("a@svc", { ...LOCAL, trace })).toMatchObject({ endpoints: [accepting, silent] });
      return performance.now() - startedAt;
    };
    await resolved();
    // The Connection Attempt Delay is 250 ms.
    expect(await bestOf(3, resolved)).toBeLessThan(200);
    expect(probed).toEqual(Array(4).fill(accepting.address));
    await waitFor(() => connections() === 4, { what: "all probes" });
    close();
  });

  test("is not done for one endpoint, for nodes here, for strangers, nor with --no-prefer-reachable", async () => {
    const { open, closed, connections, close } = await openAndClosed();
    const single = resolverOf({ srv: found("srv", open) });
    const here = resolverOf({ registry: found("registry", closed, open) });
    const stranger = resolverOf({ srv: found("srv", closed, open) });
    const off = resolverOf({ srv: found("srv", closed, open) }, { preferReachable: false });
    expect(await single.resolve("a@svc")).toEqual(found("srv", open));
    expect(await here.resolve("a@svc")).toEqual(found("registry", closed, open));
    expect(await stranger.resolve("a@svc", { sameHost: false, mayProbe: false })).toEqual(found("srv", closed, open));
    expect(await off.resolve("a@svc")).toEqual(found("srv", closed, open));
    expect(connections()).toBe(0);
    close();
  });

  test("touches only endpoints that the client can use", async () => {
    const { open, closed, connections, close } = await openAndClosed();
    const { resolve } = resolverOf({ srv: found("srv", closed, open) });
    const usable = ({ port }: Endpoint) => port === closed;
    expect(await resolve("a@svc", { ...LOCAL, usable })).toEqual(found("srv", closed, open));
    expect(connections()).toBe(0);
    close();
  });
});

test("endpoints that refused are not in the cache the next time, also where the host part was an address", async () => {
  const ports = [await freePort(), await freePort()];
  const dns = await startFakeDns(({ qname }) => ({
    answers: ports.map((port) => srv(qname, "h.test", port, { ttl: 60 })),
    additionals: [aRecord("h.test", "127.0.0.1", 60)],
  }));
  const flags = { dns: [`127.0.0.1:${dns.port}`], domain: ["svc.test"], maxTtl: "60s" };
  const { config } = loadConfig({ command: "resolve", flags, env: {} });
  const machine = { hostName: "box", names: new Set(["localhost", "box"]), addresses: () => [] };
  const { log } = collectLog();
  for (const name of ["a@svc.test", "a@127.0.0.1"]) {
    dns.queries.length = 0;
    const { nodes, close } = composeResolution({
      settings: config,
      machine,
      domains: new Domains(config, machine),
      registry: NOBODY_HERE,
      servers: [],
      upstreams: NO_AGENT,
      watchNodesFile: false,
      ownPort: () => undefined,
      log,
    });
    for (let times = 0; times < 2; times++)
      expect(await nodes.resolve(parseNodeName(name), LOCAL), name).toMatchObject({ outcome: "found" });
    expect(dns.queries, name).toHaveLength(2);
    await close();
  }
  await dns.close();
});

describe("a nodes file", () => {
  const OPTIONS = {
    nodes: [staticNode("flag@svc.test=10.0.0.9:1")],
    ownNames: new Set(["localhost", "box1"]),
    domains: domainsOf("svc.test"),
  };

  async function nodesFile(text: string) {
    const path = join(await temporaryFolder("nodes"), "nodes");
    await writeFile(path, text);
    const { log, messages, lines } = collectLog();
    const source = staticSource({ ...OPTIONS, nodesFile: path, log }, true);
    const lookUp = (aliveName: string, host = "svc.test") => {
      const node = { aliveName, host, family: undefined, form: "full" } as const;
      const result = source.lookUp({ node, family: "any" }, { deadline: 0, sameHost: true }) as Resolution;
      return result.outcome === "found"
        ? result.endpoints.map(({ address, port }) => `${address} ${port}`)
        : result.outcome;
    };
    return { path, source, lookUp, messages, lines };
  }

  test("is read again when it changes right after the start", async () => {
    const path = join(await temporaryFolder("nodes"), "nodes");
    await writeFile(path, "a@svc.test=10.0.0.1:1\n");
    await writeFile(`${path}.new`, "a@svc.test=10.0.0.1:2\n");
    const { log, messages } = collectLog();
    const source = staticSource({ ...OPTIONS, nodesFile: path, log }, true);
    onTestFinished(() => source.close());
    renameSync(`${path}.new`, path);
    await waitFor(() => messages().includes("nodes file read"), { what: "the new file" });
  });

  test("is read again when its text has changed and its time of modification is set back, as cp -p does", async () => {
    const path = join(await temporaryFolder("nodes"), "nodes");
    const write = async (text: string) => {
      await writeFile(path, text);
      await utimes(path, 1_700_000_000, 1_700_000_000);
    };
    await write("a@svc.test=10.0.0.1:1\n");
    const { log, messages } = collectLog();
    const source = staticSource({ ...OPTIONS, nodesFile: path, log }, true);
    onTestFinished(() => source.close());
    await write("a@svc.test=10.0.0.1:2\n");
    await waitFor(() => messages().includes("nodes file read"), { what: "the new text" });
  });

  test("is read again when another is renamed over it, and on request", async () => {
    const { path, source, lookUp } = await nodesFile("a@svc.test=10.0.0.1:1\n");
    expect(lookUp("a")).toEqual(["10.0.0.1 1"]);
    await writeFile(`${path}.new`, "a@svc.test=10.0.0.1:2\nb@svc.test=[fd77::1]:3\n");
    await rename(`${path}.new`, path);
    await waitFor(() => lookUp("a")[0] === "10.0.0.1 2", { what: "the new file" });
    expect(lookUp("b")).toEqual(["fd77::1 3"]);
    await writeFile(path, "c@svc.test=10.0.0.1:4\n");
    await source.reload();
    expect(lookUp("c")).toEqual(["10.0.0.1 4"]);
    expect(lookUp("a")).toBe("not-found");
    expect(lookUp("flag")).toEqual(["10.0.0.9 1"]);
    source.close();
  });

  test("that is broken or gone leaves the entries as they were, and the log says which line is wrong", async () => {
    const { path, source, lookUp, messages, lines } = await nodesFile("a@svc.test=10.0.0.1:1\n");
    await writeFile(path, "a@svc.test=10.0.0.1:2\nnonsense\n");
    await source.reload();
    expect(lookUp("a")).toEqual(["10.0.0.1 1"]);
    expect(messages("error")).toEqual(["nodes file cannot be used: its earlier entries stay"]);
    expect(lines.at(-1)).toMatchObject({ err: { message: expect.stringContaining('line 2: "nonsense"') } });
    await rm(path);
    await source.reload();
    expect(lookUp("a")).toEqual(["10.0.0.1 1"]);
    await writeFile(path, "a@svc.test=10.0.0.1:3\n");
    await source.reload();
    expect(lookUp("a")).toEqual(["10.0.0.1 3"]);
    source.close();
  });

  test("that cannot be used at the start stops it", async () => {
    await expect(nodesFile("a@svc.test=10.0.0.1\n")).rejects.toMatchObject({
      code: "CONFIG_FILE",
      message: expect.stringContaining("line 1"),
    });
  });

  test("serves a name by address when the entry is under the name's own domain", async () => {
    const { source, lookUp } = await nodesFile("a@svc.test=10.0.0.1:1\na@other.test=10.0.0.2:2\n");
    expect(lookUp("a", "10.0.0.1")).toEqual(["10.0.0.1 1"]);
    expect(lookUp("a", "10.0.0.2")).toBe("not-found");
    source.close();
  });

  test("that is a FIFO, a folder, endless or too long holds nobody up, and its former entries stay", async () => {
    const { path, source, lookUp, lines } = await nodesFile("a@svc.test=10.0.0.1:1\n");
    const complaint = async () => {
      await source.reload();
      return String((lines.at(-1)?.err as { message?: string } | undefined)?.message);
    };
    await rm(path);
    await run("mkfifo", [path]);
    expect(await complaint()).toMatch(/not a regular file/);
    await rm(path);
    await symlink("/dev/zero", path);
    expect(await complaint()).toMatch(/not a regular file/);
    await rm(path);
    await mkdir(path);
    expect(await complaint()).toMatch(/not a regular file/);
    await rm(path, { recursive: true });
    await writeFile(path, "#".repeat(4 * 1024 * 1024 + 1));
    expect(await complaint()).toMatch(/longer than 4 MiB/);
    expect(lookUp("a")).toEqual(["10.0.0.1 1"]);
    expect(() => staticSource({ ...OPTIONS, nodesFile: path, log: collectLog().log }, false)).toThrow(
      /longer than 4 MiB/,
    );
    source.close();
  });
});

describe("a static entry whose host is the address that a stock client dials", () => {
  const source = staticSource(
    {
      nodes: ["ag@127.0.0.1=127.0.0.1:55001", "own@box1=10.0.0.1:55002", "far@svc.test=10.0.0.1:55003"].map(staticNode),
      nodesFile: undefined,
      ownNames: new Set(["localhost", "box1"]),
      domains: domainsOf("other.test"),
      log: collectLog().log,
    },
    false,
  );
  const lookUp = (aliveName: string, dialled: string, form: "bare" | "full" = "bare") => {
    const node = { aliveName, host: "other.test", family: undefined, form } as const;
    const result = source.lookUp({ node, family: "any" }, { deadline: 0, sameHost: true, dialled }) as Resolution;
    return result.outcome === "found" ? result.endpoints[0]?.port : result.outcome;
  };

  test("is the answer, and so is one for a name of this machine", () => {
    expect(lookUp("ag", "127.0.0.1")).toBe(55001);
    expect(lookUp("own", "10.0.0.1")).toBe(55002);
  });

  test("is none where dialling would not reach it, for another host, and for who asked with a host part", () => {
    expect(lookUp("ag", "10.0.0.1")).toBe("not-found");
    expect(lookUp("own", "127.0.0.1")).toBe("not-found");
    expect(lookUp("far", "10.0.0.1")).toBe("not-found");
    expect(lookUp("ag", "127.0.0.1", "full")).toBe("not-found");
  });
});
