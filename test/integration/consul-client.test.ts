import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConsulClient } from "../../src/consul/client.js";
import type { ConsulError } from "../../src/errors.js";
import { type FakeConsul, startFakeConsul } from "../support/fake-consul.js";
import { collectLog } from "../support/log-lines.js";
import { serviceEntry } from "../support/service-entry.js";
import { removeFolder, temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const TIMEOUT = 500;
const ENTRY = serviceEntry("node_a", { weight: 7 });

let fake: FakeConsul;
let client: ConsulClient;
const { log } = collectLog();

beforeEach(async () => {
  fake = await startFakeConsul();
  client = new ConsulClient({ url: fake.url, timeoutMs: TIMEOUT, log });
});
afterEach(async () => {
  client.close();
  await fake.close();
});

const failureOf = async (call: Promise<unknown>): Promise<ConsulError> => {
  const result = await call.then(
    () => undefined,
    (error: ConsulError) => error,
  );
  if (!result) throw new Error("the call succeeded");
  return result;
};

describe("what reaches the agent", () => {
  test("is the whole registration, weights included", async () => {
    await client.register(ENTRY);
    expect(fake.registrations).toEqual([
      {
        ID: "srv-epmd:box1:node_a",
        Name: "svc",
        Tags: ["node_a"],
        Address: "10.0.0.1",
        Port: 20001,
        Meta: ENTRY.meta,
        Weights: { Passing: 7, Warning: 7 },
        Checks: [
          {
            CheckID: "service:srv-epmd:box1:node_a",
            Name: "VM connected to srv-epmd",
            TTL: "15000ms",
            Status: "passing",
            DeregisterCriticalServiceAfter: "300000ms",
          },
        ],
      },
    ]);
  });

  test("is the same output with every pass, so that a refresh stays within the agent", async () => {
    await client.register(ENTRY);
    await client.pass(ENTRY.id);
    const first = fake.checks.get("service:srv-epmd:box1:node_a")?.Output;
    await client.pass(ENTRY.id);
    expect(fake.checks.get("service:srv-epmd:box1:node_a")?.Output).toBe(first);
    expect(first).not.toBe("");
  });

  test("names ids as they are, whatever characters an instance has", async () => {
    const odd = serviceEntry("a", { id: "srv-epmd:a b/c?d#e%f:a" });
    await client.register(odd);
    await client.pass(odd.id);
    expect(fake.status(odd.id)).toBe("passing");
    await client.deregister(odd.id);
    expect(fake.services.size).toBe(0);
  });
});

test("services and checks of others are none of our business", async () => {
  fake.services.set("web", { ...fakeService("web"), Meta: {} });
  await client.register(ENTRY);
  expect((await client.services()).map(({ id }) => id)).toEqual([ENTRY.id]);
  expect(await client.checks()).toEqual([
    { checkId: "service:srv-epmd:box1:node_a", serviceId: ENTRY.id, status: "passing", notes: "", output: "" },
  ]);
  expect(await client.service(ENTRY.id)).toMatchObject({ id: ENTRY.id, weight: 7, address: "10.0.0.1" });
  expect(await client.service("srv-epmd:nobody")).toBeUndefined();
});

test("a blocking query is given its wait beside the time of a call", async () => {
  await client.register(ENTRY);
  await client.fail(ENTRY.id);
  const query = { service: "svc", datacenter: "dc1" };
  const { instances, index } = await client.followService(query, 0, 60_000);
  expect(instances).toEqual([
    {
      ...{ serviceId: ENTRY.id, tags: ["node_a"], port: 20001, meta: ENTRY.meta, address: ENTRY.address },
      ...{ critical: true, weight: 7, version: 12 },
    },
  ]);
  const before = performance.now();
  expect(await client.followService(query, index, TIMEOUT + 100)).toEqual({ instances, index, hasLeader: true });
  expect(performance.now() - before).toBeGreaterThan(TIMEOUT);
  expect(fake.requests.slice(-2).map(({ path }) => path)).toEqual([
    "/v1/health/service/svc?stale=&dc=dc1",
    `/v1/health/service/svc?stale=&dc=dc1&index=${index}&wait=600ms`,
  ]);
});

describe("an agent in trouble", () => {
  test.each([
    ["hangs", "hang"],
    ["is reset in the middle of its answer", "reset"],
    ["is too slow", { delay: 2_000 }],
  ] as const)("that %s ends the call in time", async (_, how) => {
    fake.misbehave(() => how);
    const before = performance.now();
    const error = await failureOf(client.services());
    expect(error.code).toBe("CONSUL_UNAVAILABLE");
    expect(performance.now() - before).toBeLessThan(TIMEOUT * 4);
    fake.misbehave(undefined);
    expect(await client.services()).toEqual([]);
  });

  test("that is not there is unavailable, and says where it was looked for", async () => {
    await fake.close();
    const error = await failureOf(client.register(ENTRY));
    expect(error.code).toBe("CONSUL_UNAVAILABLE");
    expect(error.message).toContain(fake.url);
    expect(error.message).toContain("ECONNREFUSED");
    fake = await startFakeConsul();
  });

  test.each([
    [403, "Permission denied: Missing service:write on svc", "CONSUL_FORBIDDEN"],
    [400, "Invalid service address", "CONSUL_REJECTED"],
    [404, 'Unknown check ID "service:x"', "CONSUL_UNKNOWN"],
    [500, 'CheckID "service:x" does not have associated TTL', "CONSUL_UNKNOWN"],
    [500, 'Unknown check "service:x"', "CONSUL_UNKNOWN"],
    [500, 'Unknown service "x"', "CONSUL_UNKNOWN"],
    [500, "No cluster leader", "CONSUL_UNAVAILABLE"],
    [429, "", "CONSUL_UNAVAILABLE"],
  ])("that answers %i %s gives its own words and %3$s", async (status, body, code) => {
    fake.misbehave(() => ({ status, body }));
    const error = await failureOf(client.pass("x"));
    expect(error.code).toBe(code);
    expect(error.message).toContain(body);
  });

  test("is left at once when the caller gives up", async () => {
    fake.misbehave(() => "hang");
    const abort = new AbortController();
    const call = failureOf(client.services(abort.signal));
    setTimeout(() => abort.abort(), 20);
    const before = performance.now();
    expect((await call).code).toBe("CONSUL_UNAVAILABLE");
    expect(performance.now() - before).toBeLessThan(TIMEOUT - 50);
    expect((await failureOf(client.services(abort.signal))).code).toBe("CONSUL_UNAVAILABLE");
  });
});

describe("the ACL token", () => {
  test("is sent and never repeated in an error, even when the agent repeats it", async () => {
    client = new ConsulClient({ url: fake.url, token: "sesame-4711", log });
    fake.misbehave(() => ({ status: 403, body: "token sesame-4711 is bad" }));
    const error = await failureOf(client.register(ENTRY));
    expect(fake.requests[0]?.token).toBe("sesame-4711");
    expect(`${error.message} ${String(error.cause)}`).not.toContain("sesame-4711");
  });

  test("in a file is read again after a refusal, and the call made anew", async () => {
    const folder = await temporaryFolder("token");
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, "old\n");
    client = new ConsulClient({ url: fake.url, token: "unused", tokenFile, log });
    fake.misbehave(({ token }) => (token === "new" ? undefined : { status: 403, body: "ACL not found" }));
    expect((await failureOf(client.register(ENTRY))).code).toBe("CONSUL_FORBIDDEN");
    await writeFile(tokenFile, "new\n");
    await client.register(ENTRY);
    expect(fake.requests.map(({ token }) => token)).toEqual(["old", "old", "new"]);
    await removeFolder(folder);
  });

  test("in a file that is missing is a fault that may pass, not a call without token", async () => {
    client = new ConsulClient({ url: fake.url, tokenFile: "/nowhere/token", log });
    const error = await failureOf(client.register(ENTRY));
    expect(error.code).toBe("CONSUL_UNAVAILABLE");
    expect(error.message).toContain("/nowhere/token");
    expect(fake.requests).toEqual([]);
  });
});

describe("an answer without end", () => {
  /** Sends as fast as it is taken. @returns bytes that were given to the connections */
  const endless = async (status: number) => {
    const chunk = Buffer.alloc(256 * 1024, "[");
    const sent = { bytes: 0, open: 0 };
    const server = createServer((_, response) => {
      sent.open++;
      response.on("close", () => sent.open--);
      response.writeHead(status, { "content-type": "application/json" });
      const more = () => {
        while (!response.destroyed) {
          sent.bytes += chunk.length;
          if (!response.write(chunk)) return;
        }
      };
      response.on("drain", more);
      more();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { sent, server, client: new ConsulClient({ url, timeoutMs: 20_000, log }) };
  };

  test.each([
    ["of a list", (one: ConsulClient) => one.services(), 200, 64 * 1024 * 1024],
    ["of a health query", (one: ConsulClient) => one.healthService("svc"), 200, 64 * 1024 * 1024],
    ["of a registration", (one: ConsulClient) => one.register(ENTRY), 200, 16 * 1024 * 1024],
    ["of a refusal", (one: ConsulClient) => one.pass("x"), 403, 16 * 1024 * 1024],
  ])("%s is cut, and so is its connection", async (_, call, status, most) => {
    const { sent, server, client: one } = await endless(status);
    const error = await failureOf(call(one));
    expect(error.code).toBe("CONSUL_UNAVAILABLE");
    expect(error.message).toMatch(/the answer is longer than \d+ bytes/);
    await waitFor(() => sent.open === 0, { what: "the connection to be closed" });
    expect(sent.bytes).toBeLessThan(most);
    one.close();
    server.close();
  });
});

test("ten calls in a row use one connection", async () => {
  const server = createServer((_, response) => response.end("{}"));
  let connections = 0;
  server.on("connection", () => connections++);
  server.listen(0, "::1");
  await once(server, "listening");
  const six = new ConsulClient({ url: `http://[::1]:${(server.address() as AddressInfo).port}`, log });
  for (let i = 0; i < 10; i++) expect(await six.services()).toEqual([]);
  expect(connections).toBe(1);
  six.close();
  server.close();
});

test("an agent is reached over its unix socket", async () => {
  const folder = await temporaryFolder("socket");
  const path = join(folder, "http.sock");
  const server = createServer((_, response) => response.end("{}"));
  server.listen(path);
  await once(server, "listening");
  const unix = new ConsulClient({ url: `unix://${path}`, log });
  expect(await unix.services()).toEqual([]);
  unix.close();
  server.close();
  await removeFolder(folder);
});

function fakeService(id: string) {
  return { ID: id, Service: id, Tags: [], Address: "", Port: 80, Meta: {}, Weights: { Passing: 1, Warning: 1 } };
}
