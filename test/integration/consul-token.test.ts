import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { aclApi, LoginRefused } from "../../src/consul/acl-api.js";
import { Login } from "../../src/consul/login.js";
import { AclToken, tokenInFile } from "../../src/consul/token.js";
import { AgentAnswer, ConsulTransport } from "../../src/consul/transport.js";
import type { ConsulError } from "../../src/errors.js";
import { type FakeConsul, type Misbehaviour, type SeenRequest, startFakeConsul } from "../support/fake-consul.js";
import { collectLog } from "../support/log-lines.js";
import { temporaryFolder } from "../support/temporary.js";

test("a token that is written while refused calls look for it is announced once, whichever of them finds it", async () => {
  const tokenFile = join(await temporaryFolder("token"), "token");
  // Where in the looks the writing falls is luck: many rounds.
  for (let round = 0; round < 200; round++) {
    await writeFile(tokenFile, "old");
    const { log } = collectLog();
    const token = new AclToken(tokenInFile(tokenFile, log), log);
    let announced = 0;
    token.onNew(() => announced++);
    expect(await token.read()).toBe("old");
    const refused = Array.from({ length: 8 }, () => token.afterRefusal("old", "unknown"));
    await Promise.all([...refused.slice(0, 4), writeFile(tokenFile, "new"), ...refused.slice(4)]);
    // The next call that is refused, as the audits' are.
    expect(await token.afterRefusal("old", "unknown")).toBe("new");
    expect({ round, announced }).toEqual({ round, announced: 1 });
  }
});

/** Of three parts, as every JWT. */
const JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";

test("neither token nor JWT is in a message, whatever the agent answers", async () => {
  const told = collectLog();
  const fake = await startFakeConsul();
  try {
    const secret = "s3cr3t-t0ken";
    const transport = new ConsulTransport({ url: fake.url, timeoutMs: 200, log: told.log }, () => ({
      next: async () => secret,
    }));
    const acl = aclApi(transport);
    const errors: unknown[] = [];
    const hang = (): Misbehaviour => "hang";
    const reset = (): Misbehaviour => "reset";
    const echo = (status: number) => (request: SeenRequest) => ({ status, body: `no: ${request.token ?? JWT}` });
    for (const how of [echo(500), echo(403), echo(400), echo(200), hang, reset]) {
      fake.misbehave(how);
      const calls = [acl.login("m", JWT), acl.knows(secret), acl.logout(secret)];
      for (const { reason } of (await Promise.allSettled(calls)) as { reason?: unknown }[])
        if (reason) errors.push(reason);
    }
    for (const err of errors) told.log.error({ err }, "failed");
    expect(errors.length).toBeGreaterThan(12);
    const text = JSON.stringify(told.lines) + errors.map(String).join();
    for (const part of [JWT, "eyJzdWIiOiJ4In0", secret]) expect(text).not.toContain(part);
    transport.close();
  } finally {
    await fake.close();
  }
});

describe("a login that Consul does not give", () => {
  const settings = { authMethod: "m", bearerTokenFile: "/jwt", read: async () => JWT };
  let fake: FakeConsul;
  let transport: ConsulTransport;
  let now: number;

  beforeEach(async () => {
    const { log } = collectLog();
    now = 0;
    fake = await startFakeConsul();
    transport = new ConsulTransport({ url: fake.url, timeoutMs: 2_000, log }, (calls) => {
      return new Login({ ...settings, api: aclApi(calls), log, now: () => now, random: () => 0.5 });
    });
  });
  afterEach(async () => {
    transport.close();
    await fake.close();
  });
  const loginAnswers = (status: number, body: string) =>
    fake.misbehave(({ path }) => (path === "/v1/acl/login" ? { status, body } : undefined));
  const register = { method: "_put", path: "/agent/service/register", body: {} } as const;

  test.each([
    [500, "No cluster leader"],
    [500, "rpc error making call: stream closed"],
    [500, "rpc error making call: EOF"],
    [500, "rpc error getting client: failed to get conn: dial tcp 127.0.0.1:8300: connect: connection refused"],
    [500, "No known Consul servers"],
    [429, "Your IP is issuing too many concurrent connections"],
    [404, "not found"],
    [502, "Bad Gateway"],
    [503, "no healthy upstream"],
    [504, ""],
  ])("since nobody looks at the JWT is no refusal of it: %i %s", async (status, body) => {
    loginAnswers(status, body);
    const error = await transport.call(register).catch((thrown: ConsulError) => thrown);
    expect(error).toMatchObject({ code: "CONSUL_UNAVAILABLE", cause: expect.any(AgentAnswer) });
    expect(String(error)).toContain(`(${status})`);
  });

  test.each([
    [500, "rpc error making call: invalid JWT"],
    [500, "an error of a later release"],
    [500, "rpc error making call: fetching keys oidc: get keys failed: Get https://keys: EOF"],
    [400, "bad request"],
  ])("for the JWT is one, in Consul's words: %i %s", async (status, body) => {
    loginAnswers(status, body);
    await expect(transport.call(register)).rejects.toMatchObject({
      code: "CONSUL_UNAVAILABLE",
      message: `cannot log in to Consul: the auth method m gives no token for the JWT (${body})`,
      cause: expect.any(LoginRefused),
    });
  });

  test("hides no refusal of a call by an agent that knows the token", async () => {
    await transport.token.read();
    now = 700_000;
    fake.misbehave(({ path }) => {
      if (path === "/v1/acl/login") return { status: 500, body: "No cluster leader" };
      return path.startsWith("/v1/acl/") ? undefined : { status: 403, body: "Permission denied" };
    });
    await expect(transport.call(register)).rejects.toMatchObject({ code: "CONSUL_FORBIDDEN" });
    expect(fake.requests.filter(({ path }) => path === "/v1/acl/login")).toHaveLength(2);
  });
});
