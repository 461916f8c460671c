import { once } from "node:events";
import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NomadError } from "../../src/errors.js";
import { NomadClient, type NomadClientOptions } from "../../src/nomad/client.js";
import { createCertificates } from "../support/certificates.js";
import { type FakeNomad, startFakeNomad } from "../support/fake-nomad.js";
import { removeFolder, temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const SVC = { service: "svc", namespace: "default" };
const TIMEOUT = 500;
const TOKEN = "identity-1";

let folder: string;
let fake: FakeNomad;
const clients: NomadClient[] = [];

beforeEach(async () => {
  folder = await temporaryFolder("nomad-client");
  fake = await startFakeNomad(join(folder, "api.sock"));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await fake.close();
  await removeFolder(folder);
});

function client(options: Partial<NomadClientOptions> = { token: TOKEN }): NomadClient {
  const made = new NomadClient({ url: fake.url, timeoutMs: TIMEOUT, ...options });
  clients.push(made);
  return made;
}

const failureOf = async (call: Promise<unknown>): Promise<NomadError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof NomadError) return error;
  throw new Error(`no NomadError: ${error}`);
};

describe("the instances of a service", () => {
  test("are read over a unix socket, with the namespace and the token", async () => {
    fake.register({ Tags: ["svc-a"], Port: 20001, Address: "10.0.0.7", AllocID: "a1" });
    fake.register({ Tags: null, Port: 20002, Address: "FD00::0:7", ID: "six" });
    fake.register({ Tags: ["svc-a"], Port: 1, Namespace: "other" });
    const { instances, index } = await client().instances(SVC, {});
    expect(instances).toMatchObject([
      { tags: ["svc-a"], address: "10.0.0.7", port: 20001, allocId: "a1", namespace: "default", service: "svc" },
      { id: "six", tags: [], address: "fd00::7", port: 20002 },
    ]);
    expect(index).toBe(fake.index);
    expect(fake.requests).toEqual([{ path: "/v1/service/svc?stale=&namespace=default", token: TOKEN }]);
    expect((await client().instances({ service: "svc", namespace: "other" }, {})).instances).toHaveLength(1);
  });

  test("are awaited by a blocking query, that ends with a change or when its time is over", async () => {
    const one = client();
    const { index } = await one.instances(SVC, {});
    const pending = one.instances(SVC, { index, wait: 20_000 });
    await waitFor(() => fake.held === 1, { what: "the blocking query" });
    fake.register({ Tags: ["svc-a"], Port: 20001 });
    expect((await pending).instances).toHaveLength(1);
    expect((await one.instances(SVC, { index: fake.index, wait: 30 })).instances).toHaveLength(1);
  });

  test("without what is none: no address, a port that is no port, no text", async () => {
    for (const odd of [{ Port: 0 }, { Port: 70_000 }, { Address: "" }, { ID: "" }]) {
      fake.register({ Tags: ["svc-a"], Port: 20001, ...odd });
    }
    fake.register({ Tags: ["ok", 7 as unknown as string], Port: 20002 });
    expect((await client().instances(SVC, {})).instances.map(({ tags }) => tags)).toEqual([["ok"]]);
  });

  test("and the names of the services", async () => {
    fake.register({ Tags: [], Port: 1, ServiceName: "web" });
    fake.register({ Tags: [], Port: 1, ServiceName: "db" });
    expect(await client().serviceNames("default")).toEqual(["web", "db"]);
    expect(await client().serviceNames("none")).toEqual([]);
  });
});

describe("a failure has a code, and says what was asked and what was answered", () => {
  test.each([
    [401, "NOMAD_FORBIDDEN"],
    [403, "NOMAD_FORBIDDEN"],
    [404, "NOMAD_UNKNOWN"],
    [400, "NOMAD_REJECTED"],
    [429, "NOMAD_UNAVAILABLE"],
    [500, "NOMAD_UNAVAILABLE"],
    [503, "NOMAD_UNAVAILABLE"],
  ])("status %i: %s", async (status, code) => {
    fake.misbehave(() => ({ status, body: "so it is" }));
    const error = await failureOf(client().instances(SVC, {}));
    expect(error.code).toBe(code);
    expect(error.message).toBe(`GET ${fake.url} /v1/service/svc: so it is (${status})`);
  });

  test("no token at all: what gives one", async () => {
    const error = await failureOf(client({}).instances(SVC, {}));
    expect(error.code).toBe("NOMAD_FORBIDDEN");
    expect(error.message).toContain("identity { env = true file = true }");
  });

  test("never with the token in it", async () => {
    fake.misbehave(() => ({ status: 403, body: "ACL token s3cr3t not found" }));
    const error = await failureOf(client({ token: "s3cr3t" }).instances(SVC, {}));
    expect(`${error.message} ${error.cause}`).not.toContain("s3cr3t");
  });

  test.each<[string, Parameters<FakeNomad["misbehave"]>[0], RegExp]>([
    ["no answer", () => "hang", /timed out/],
    ["half of one", () => "half", /timed out|ECONNRESET|aborted/],
    ["a page of a proxy", () => ({ status: 200, body: "<html>", type: "text/html" }), /is not Nomad/],
    ["broken JSON", () => ({ status: 200, body: "[{", type: "application/json" }), /JSON/],
    ["an object", () => ({ status: 200, body: "{}", type: "application/json" }), /is not Nomad/],
    ["100 MB", () => ({ bytes: 100 * 1024 * 1024 }), /longer than/],
  ])("%s", async (_, how, said) => {
    fake.misbehave(how);
    const error = await failureOf(
      client({ token: TOKEN, timeoutMs: said.source.startsWith("longer") ? 20_000 : 1_000 }).instances(SVC, {}),
    );
    expect(error.code).toBe("NOMAD_UNAVAILABLE");
    expect(error.message).toMatch(said);
    expect(error.message).not.toMatch(/consul/i);
  });

  test("a socket that is missing, and one that is there again", async () => {
    const one = client();
    await one.instances(SVC, {});
    await fake.stop();
    const error = await failureOf(one.instances(SVC, {}));
    expect(error.code).toBe("NOMAD_UNAVAILABLE");
    expect(error.message).toContain(join(folder, "api.sock"));
    expect(error.message).toMatch(/ENOENT|ECONNREFUSED|ECONNRESET|EPIPE|hang up/);
    await fake.restart();
    await expect(one.instances(SVC, {})).resolves.toBeDefined();
  });

  test("a call that was given up", async () => {
    fake.misbehave(() => "hang");
    const abort = new AbortController();
    const pending = failureOf(client().instances(SVC, { signal: abort.signal }));
    await waitFor(() => fake.requests.length > 0, { what: "the request" });
    abort.abort(new Error("enough"));
    expect((await pending).code).toBe("NOMAD_UNAVAILABLE");
  });
});

describe("the token", () => {
  const FILES = ["tokenFile", "identityFile"] as const;

  test.each(FILES)("of %s is read for each call: another may have been written", async (key) => {
    const file = join(folder, "nomad_token");
    const one = client({ [key]: file, token: "old" });
    await writeFile(file, "first\n");
    await one.instances(SVC, {});
    await writeFile(file, "second\n");
    await one.instances(SVC, {});
    expect(fake.requests.map(({ token }) => token)).toEqual(["first", "second"]);
  });

  test("of a file that was given and is missing: said, and nothing is asked", async () => {
    const error = await failureOf(client({ tokenFile: join(folder, "none"), token: TOKEN }).instances(SVC, {}));
    expect(error.code).toBe("NOMAD_UNAVAILABLE");
    expect(error.message).toContain("the Nomad token file cannot be read");
    expect(error.message).toContain(join(folder, "none"));
    expect(fake.requests).toEqual([]);
  });

  test("is that of the environment where the allocation has no identity file, or an empty one", async () => {
    const identityFile = join(folder, "nomad_token");
    const one = client({ identityFile, token: "env" });
    await one.instances(SVC, {});
    await writeFile(identityFile, "");
    await one.instances(SVC, {});
    await rm(identityFile);
    expect(fake.requests.map(({ token }) => token)).toEqual(["env", "env"]);
  });
});

test("TLS is Nomad's own: a CA, a client certificate, and the name server.<region>.nomad in place of the address", async () => {
  const certificates = await createCertificates();
  const [server, own] = [
    await certificates.issue("server.global.nomad", "DNS:server.global.nomad"),
    await certificates.issue("cli"),
  ];
  const files = { key: readFileSync(server.key), cert: readFileSync(server.cert), ca: readFileSync(certificates.ca) };
  const https = createServer({ ...files, requestCert: true, rejectUnauthorized: true }, (_, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end("[]");
  });
  https.listen(0, "127.0.0.1");
  await once(https, "listening");
  const url = `https://127.0.0.1:${(https.address() as AddressInfo).port}`;
  const over = (options: Partial<NomadClientOptions>) => client({ url, ...own, ...options }).instances(SVC, {});
  try {
    await expect(over({ ca: certificates.ca, tlsServerName: "server.global.nomad" })).resolves.toEqual({
      instances: [],
      index: 0,
      // Without the header nothing else is known.
      hasLeader: true,
    });
    await expect(over({ sslVerify: false })).resolves.toBeDefined();
    for (const wrong of [{}, { ca: certificates.ca }, { ca: join(folder, "none.pem") }]) {
      expect((await failureOf(over(wrong))).code).toBe("NOMAD_UNAVAILABLE");
    }
    expect((await failureOf(over({ ca: join(folder, "none.pem") }))).message).toContain("CA file cannot be read");
  } finally {
    https.closeAllConnections();
    https.close();
  }
});
