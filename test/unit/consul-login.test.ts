import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AclApi, ANONYMOUS, LoginRefused } from "../../src/consul/acl-api.js";
import { jwtFault, renewAfter } from "../../src/consul/core/login.js";
import { Login } from "../../src/consul/login.js";
import { AclToken } from "../../src/consul/token.js";
import { ConsulError } from "../../src/errors.js";
import { collectLog } from "../support/log-lines.js";

const JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
const MINUTE = 60_000;

/** Consul as far as logins are concerned: it counts them and knows the tokens that are good. */
class FakeAcl implements AclApi {
  readonly good = new Set<string>();
  readonly logins: { readonly at: number; readonly jwt: string }[] = [];
  life: number | undefined;
  /** Thrown by each call. */
  fault: ConsulError | undefined;
  /** ACLs are off, and there is no token. */
  isOff = false;
  /** Calls of `knows` that a server answers which has not heard of the token yet. */
  lag = 0;

  async login(_: string, jwt: string) {
    this.logins.push({ at: Date.now(), jwt });
    if (this.fault) throw this.fault;
    if (this.isOff) return { token: ANONYMOUS, life: undefined };
    const token = `token-${this.logins.length}`;
    this.good.add(token);
    return { token, life: this.life };
  }

  async logout(token: string) {
    if (this.fault) throw this.fault;
    if (!this.good.delete(token)) throw new ConsulError("CONSUL_FORBIDDEN", "ACL not found");
  }

  async knows(token: string) {
    if (this.fault) throw this.fault;
    return this.lag-- <= 0 && this.good.has(token);
  }
}

const refusal = () =>
  new ConsulError("CONSUL_UNAVAILABLE", "cannot log in to Consul: no", { cause: new LoginRefused("no") });
const noAgent = () =>
  new ConsulError("CONSUL_UNAVAILABLE", "ECONNREFUSED", { cause: Object.assign(new Error(), { syscall: "connect" }) });

let api: FakeAcl;
/** What the file holds. */
let jwt: string;
/** What it will hold, where reading takes time. */
let reading: Promise<string> | undefined;
let told: ReturnType<typeof collectLog>;
let token: AclToken;

beforeEach(() => {
  api = new FakeAcl();
  jwt = JWT;
  told = collectLog();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  reading = undefined;
  const read = async () => reading ?? jwt;
  const login = new Login({ authMethod: "m", bearerTokenFile: "/jwt", read, api, log: told.log, random: () => 0.5 });
  token = new AclToken(login, told.log);
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

/** A caller that has its token refused every 100 ms for this long, and asks for another. */
async function refusedFor(milliseconds: number, need: "unknown" | "denied" = "unknown"): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 100) {
    const used = await token.read().catch(() => undefined);
    await token.afterRefusal(used, need).catch(() => undefined);
    await pass(100);
  }
}

describe("a login", () => {
  test("is made when the token is needed, once for all who need it", async () => {
    const read = await Promise.all(Array.from({ length: 50 }, () => token.read()));
    expect([new Set(read), api.logins.length]).toEqual([new Set(["token-1"]), 1]);
    await pass(60 * MINUTE);
    expect(api.logins).toHaveLength(1);
  });

  test("is not needed where ACLs are off: calls go without a token, and one refusal is enough when they are on", async () => {
    api.isOff = true;
    expect([await token.read(), await token.read()]).toEqual([ANONYMOUS, ANONYMOUS]);
    await token.look();
    await pass(60 * MINUTE);
    expect(api.logins).toHaveLength(1);
    expect(told.lines.map(({ msg }) => msg)).toEqual(["no login to Consul: its ACLs are off"]);
    api.isOff = false;
    expect(await token.afterRefusal(ANONYMOUS, "denied")).toBe("token-2");
    await token.close(false);
    expect([api.good.size, told.lines.filter(({ level }) => level === "warn")]).toEqual([0, []]);
  });

  test("reads the file each time, without the newline at its end", async () => {
    await token.read();
    jwt = `${JWT}2\n`;
    await token.look("reload");
    expect(api.logins.map(({ jwt }) => jwt)).toEqual([JWT, `${JWT}2`]);
  });

  test("is made again when Consul does not know the token, at once, and is told to who listens before the token is used", async () => {
    const used = await token.read();
    const heard: string[] = [];
    token.onNew(() => heard.push("new"));
    api.good.clear();
    expect(await token.afterRefusal(used, "unknown")).toBe("token-2");
    expect([heard, await token.afterRefusal(used, "unknown")]).toEqual([["new"], "token-2"]);
    expect(api.logins).toHaveLength(2);
  });

  test("ends a token too that was only thought to be gone, when no entry needs it any more", async () => {
    token.onNew(() => {});
    const used = await token.read();
    await token.afterRefusal(used, "unknown");
    expect(api.good.size).toBe(2);
    token.release();
    await pass(0);
    expect(api.good).toEqual(new Set(["token-2"]));
  });

  test("keeps few tokens where one after the other is thought to be gone, and no entry can be registered", async () => {
    token.onNew(() => {});
    await refusedFor(30 * MINUTE);
    expect(api.logins.length).toBeGreaterThan(20);
    expect(api.good.size).toBe(9);
    await token.close(false);
    expect(api.good.size).toBe(0);
  });

  test("is made at SIGHUP also when a look is under way", async () => {
    await token.read();
    jwt = `${JWT}2`;
    await Promise.all([token.look(), token.look("reload")]);
    expect(api.logins.map(({ jwt }) => jwt)).toEqual([JWT, `${JWT}2`]);
  });

  test("is made again by a look when the servers do not know the token, and not when they do not answer", async () => {
    await token.read();
    api.fault = noAgent();
    await token.look();
    api.fault = undefined;
    await token.look();
    expect(api.logins).toHaveLength(1);
    api.good.clear();
    await token.look();
    expect([api.logins.length, await token.read()]).toEqual([2, "token-2"]);
  });

  test("waits until the servers have told each other of the token", async () => {
    api.lag = 3;
    let read: string | undefined;
    void token.read().then((value) => {
      read = value;
    });
    await pass(340);
    expect(read).toBeUndefined();
    await pass(20);
    expect(read).toBe("token-1");
  });
});

describe("few logins", () => {
  test("where each token is deleted at once", async () => {
    api.knows = async () => true;
    await refusedFor(10 * MINUTE);
    // Two at once, then after growing pauses, then two or three a minute.
    expect(api.logins.length).toBeGreaterThan(10);
    expect(api.logins.length).toBeLessThan(40);
    const firstMinute = api.logins.filter(({ at }) => at < (api.logins[0]?.at ?? 0) + MINUTE);
    expect(firstMinute.length).toBeLessThan(9);
  });

  test("where each is refused", async () => {
    api.fault = refusal();
    await refusedFor(10 * MINUTE);
    expect(api.logins.length).toBeGreaterThan(10);
    expect(api.logins.length).toBeLessThan(40);
    await expect(token.read()).rejects.toThrow("cannot log in to Consul: no");
    api.fault = undefined;
    await refusedFor(31_000, "denied");
    expect(await token.read()).toMatch(/^token-/);
  });

  test("where the token lacks a right: one each ten minutes, none of them left over", async () => {
    await token.read();
    await refusedFor(5 * MINUTE, "denied");
    expect(api.logins).toHaveLength(1);
    await refusedFor(6 * MINUTE, "denied");
    expect([api.logins.length, api.good.size]).toEqual([2, 1]);
  });

  test("where SIGHUP comes again and again: the entries are taken over from one token at a time", async () => {
    token.onNew(() => {});
    await token.read();
    for (let signals = 0; signals < 10; signals++) await token.look("reload");
    expect([api.logins.length, api.good.size]).toEqual([2, 2]);
    token.release();
    await pass(0);
    await token.look("reload");
    expect(api.logins).toHaveLength(3);
  });

  test("none where an agent is not there: it is tried with each call, and the token had once it is back", async () => {
    api.fault = noAgent();
    for (let tries = 0; tries < 5; tries++) await token.read().catch(() => {});
    expect(api.logins).toHaveLength(5);
    api.fault = undefined;
    expect(await token.read()).toBe("token-6");
  });
});

describe("a token that expires", () => {
  beforeEach(async () => {
    api.life = MINUTE;
    await token.read();
  });

  test("is replaced before, by a timer, and the one before is given back when no entry needs it", async () => {
    token.onNew(() => {});
    await pass(38_000);
    expect(api.logins).toHaveLength(1);
    await pass(2_000);
    expect([api.logins.length, await token.read(), api.good]).toEqual([2, "token-2", new Set(["token-1", "token-2"])]);
    token.release();
    await pass(500);
    expect(api.good).toEqual(new Set(["token-2"]));
    await pass(10 * MINUTE);
    const gaps = api.logins.slice(1).map(({ at }, index) => at - (api.logins[index]?.at ?? 0));
    for (const gap of gaps) expect(gap).toBeGreaterThan(35_000);
    for (const gap of gaps) expect(gap).toBeLessThan(45_000);
  });

  test("is given back at once where nobody listens", async () => {
    await pass(10 * MINUTE);
    expect(api.logins.length).toBeGreaterThan(10);
    expect(api.good.size).toBe(1);
  });

  test("that cannot be replaced is told of once, stays in use, and is replaced when it can be", async () => {
    await pass(30_000);
    api.fault = refusal();
    await pass(25_000);
    expect([api.logins.length > 1, await token.read()]).toEqual([true, "token-1"]);
    expect(told.messages("warn")).toEqual([
      expect.stringMatching(
        /^the Consul token cannot be replaced yet, and expires in 2\d s: cannot log in to Consul: no$/,
      ),
    ]);
    api.fault = undefined;
    await pass(31_000);
    expect(await token.read()).not.toBe("token-1");
    expect(told.messages("warn")).toHaveLength(1);
  });

  test("that cannot be replaced at SIGHUP is told of, and again when it is due", async () => {
    api.fault = refusal();
    await token.look("reload");
    expect(told.messages("warn")).toEqual([
      "the Consul token cannot be replaced, and stays in use: cannot log in to Consul: no",
    ]);
    await pass(50_000);
    expect(told.messages("warn").slice(1)).toEqual([expect.stringContaining("cannot be replaced yet, and expires in")]);
  });

  test("no longer wakes anybody when it is closed", async () => {
    await token.close(false);
    await pass(10 * MINUTE);
    expect([api.logins.length, api.good.size]).toEqual([1, 0]);
  });
});

describe("the end", () => {
  test("logs out, and no call logs in again", async () => {
    const used = await token.read();
    await token.close(false);
    expect([api.good.size, await token.afterRefusal(used, "unknown"), api.logins.length]).toEqual([0, used, 1]);
  });

  test("of who has never logged in sends nothing", async () => {
    await token.close(false);
    await expect(token.read()).rejects.toThrow("logging out");
    expect([api.logins.length, told.lines]).toEqual([0, []]);
  });

  test("during a login logs out of what it gives", async () => {
    const { login } = api;
    api.login = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return login.apply(api, args);
    };
    const reading = token.read().catch(() => {});
    await pass(100);
    const closing = token.close(false);
    await pass(500);
    await Promise.all([reading, closing]);
    expect([api.logins.length, api.good.size]).toEqual([1, 0]);
  });

  test("while the file is read logs in no more", async () => {
    let finish: ((text: string) => void) | undefined;
    reading = new Promise<string>((resolve) => {
      finish = resolve;
    });
    const failed = token.read().catch(String);
    const closing = token.close(false);
    finish?.(JWT);
    await closing;
    expect(await failed).toContain("logging out");
    expect([api.logins.length, api.good.size]).toEqual([0, 0]);
  });

  test("with a Consul that does not answer ends within a second, and says what is left", async () => {
    await token.read();
    api.logout = () => new Promise(() => {});
    const closing = token.close(false);
    await pass(900);
    await closing;
    expect(told.messages("warn")).toEqual([
      "Consul has not confirmed the logout, and may keep the token, which never expires, for the auth method has no MaxTokenTTL",
    ]);
  });

  test("where ACLs are off says nothing of a token, though entries stay", async () => {
    api.isOff = true;
    await token.read();
    await token.close(true);
    expect(told.lines.map(({ msg }) => msg)).toEqual(["no login to Consul: its ACLs are off"]);
  });

  test("with entries that stay keeps the token, and says for how long", async () => {
    api.life = 10 * MINUTE;
    await token.read();
    await pass(MINUTE);
    await token.close(true);
    expect(api.good.size).toBe(1);
    expect(told.messages("info").at(-1)).toMatch(/^entries stay here, .*, which expires in 5[34]\d s$/);
  });
});

test.each([
  ["", "is empty"],
  ["a.b", "holds no JWT"],
  ["a.b.c.d", "holds no JWT"],
  ["a b.c.d", "holds no JWT"],
  ["{}", "holds no JWT"],
  [`${"a".repeat(65_536)}.b.c`, "is longer than 64 KiB"],
  ["a-Z_0.b.c", undefined],
])("a JWT has three parts in base64url: %.20s", (text, fault) => {
  if (fault === undefined) expect(jwtFault(text)).toBeUndefined();
  else expect(jwtFault(text)).toContain(fault);
});

test("the next login is due at about two thirds of a token's life, and no timer is too long for Node", () => {
  for (const random of [0, 0.5, 0.999]) {
    expect(renewAfter(MINUTE, random)).toBeGreaterThanOrEqual(36_000);
    expect(renewAfter(MINUTE, random)).toBeLessThan(42_000);
    expect(renewAfter(365 * 24 * 60 * MINUTE, random)).toBe(0x7fffffff);
  }
});
