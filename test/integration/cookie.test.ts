import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../support/command-line.js";
import { ANSWERS, acknowledge, fakePeer, rexReply } from "../support/fake-link.js";
import { temporaryFolder } from "../support/temporary.js";

const COOKIE = "MONSTERCOOKIE";
let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder("cookie");
});

async function cookieFile(text: string, mode = 0o600): Promise<string> {
  const path = join(folder, `cookie-${Buffer.from(text).toString("hex").slice(0, 60)}-${mode}`);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

const peer = () =>
  fakePeer((one, us) => {
    if (!acknowledge(one, COOKIE) || !one.isFirst) return;
    for (const [id, answer] of ANSWERS.entries()) one.socket.write(rexReply(us, id, answer));
  });

async function probe(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const node = ["a@h", "--node", `a@h=127.0.0.1:${await peer()}`];
  const result = await runCommand(["resolve", ...node, "--probe", "--timeout", "2s", ...args], { env });
  // Whatever happens.
  expect(result.stdout + result.stderr).not.toContain(COOKIE);
  return result;
}

describe("resolve --probe", () => {
  test("compares the cookie of a file, line ends aside", async () => {
    for (const text of [COOKIE, `${COOKIE}\n`, `${COOKIE}\r\n\n`]) {
      const { code, stdout } = await probe(["--cookie-file", await cookieFile(text)]);
      expect(stdout).toContain("the cookie is right; OTP 25, linked with 1 node");
      expect(code).toBe(0);
    }
  });

  test("compares the cookie of a variable", async () => {
    expect(await probe(["--cookie-env", "MY_COOKIE"], { MY_COOKIE: COOKIE })).toMatchObject({ code: 0 });
    const set = { SRV_EPMD_COOKIE_ENV: "MY_COOKIE", MY_COOKIE: COOKIE };
    expect((await probe([], set)).stdout).toContain("the cookie is right");
  });

  test("says that another cookie is refused, and fails", async () => {
    const { code, stdout } = await probe(["--cookie-file", await cookieFile("another")]);
    expect(stdout).toContain("it refuses the cookie: its own is another one");
    expect(code).toBe(1);
    const { stdout: json } = await probe(["--cookie-file", await cookieFile("another"), "--json"]);
    expect(JSON.parse(json).endpoints[0].probe.joined).toEqual({ cookie: "refused" });
  });

  test.each([
    ["an empty file", "", /--cookie-file: .* is empty: it must hold the cookie/],
    ["nothing but line ends", "\n\n", /is empty/],
    ["two lines", `${COOKIE}\n${COOKIE}\n`, /holds no cookie: that is at most 255 characters of ASCII on one line/],
    ["letters that no cookie file may hold", `${COOKIE}é`, /holds no cookie/],
    ["256 characters", "x".repeat(256), /holds no cookie/],
    ["a file of two mebibytes", COOKIE.repeat(200_000), /--cookie-file: cannot use .*longer than 1 MiB/],
  ])("refuses %s, without its text", async (_, text, message) => {
    const { code, stderr } = await probe(["--cookie-file", await cookieFile(text)]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  test("refuses a file that is not there, a variable that is not set, and both at once", async () => {
    const missing = await probe(["--cookie-file", join(folder, "none")]);
    expect([missing.code, missing.stderr]).toEqual([
      2,
      expect.stringMatching(/--cookie-file: cannot use .*none.*ENOENT/),
    ]);
    // Whoever writes the cookie where its variable is named does not find it in a log.
    const unset = await probe(["--cookie-env", COOKIE]);
    expect([unset.code, unset.stderr]).toEqual([2, expect.stringContaining("give the name, not the cookie")]);
    const empty = await probe(["--cookie-env", "MY_COOKIE"], { MY_COOKIE: "" });
    expect([empty.code, empty.stderr]).toEqual([2, expect.stringContaining("the variable is empty")]);
    const both = await probe(["--cookie-env", "A", "--cookie-file", "b"]);
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining("give one of them")]);
  });

  test("warns of a file that every user may read", async () => {
    await chmod(folder, 0o755);
    const { stderr } = await probe(["--cookie-file", await cookieFile(COOKIE, 0o644)]);
    expect(stderr).toMatch(/--cookie-file: every user of this machine may read/);
  });

  test("takes a cookie with a probe only", async () => {
    const { code, stderr } = await runCommand(["resolve", "a@h", "--cookie-file", "x"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("give --probe too")]);
  });
});
