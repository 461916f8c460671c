import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { aclApi } from "../../src/consul/acl-api.js";
import { AclToken, tokenInFile } from "../../src/consul/token.js";
import { ConsulTransport } from "../../src/consul/transport.js";
import { type Misbehaviour, type SeenRequest, startFakeConsul } from "../support/fake-consul.js";
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
