import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { runCommand } from "../support/command-line.js";
import { temporaryFolder } from "../support/temporary.js";

let folder: string;

/** A file of this mode in a folder of that mode. */
async function secretFile(name: string, mode: number, folderMode = 0o755, text = "t0ken\n"): Promise<string> {
  const inside = join(folder, name.replaceAll(/[^a-z]/g, ""));
  await mkdir(inside, { recursive: true });
  await writeFile(join(inside, name), text);
  await chmod(join(inside, name), mode);
  await chmod(inside, folderMode);
  return join(inside, name);
}

beforeAll(async () => {
  folder = await temporaryFolder("secrets");
  await chmod(folder, 0o755);
});

/** What a command that needs nothing but its options warns of. */
async function warnings(...args: readonly string[]): Promise<string[]> {
  return warningsWith({}, ...args);
}

async function warningsWith(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<string[]> {
  const { stderr } = await runCommand(
    ["resolve", "a@127.0.0.1", "--dns", "127.0.0.1:1", "--timeout", "100ms", ...args],
    { env },
  );
  const lines = stderr.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg).filter((msg) => msg.includes("every user"));
}

test.each([
  ["--consul-token-file", "token", "t0ken\n"],
  ["--config", "config.json", '{"consul-token": "t0ken"}'],
  ["--config", "config.yaml", "consul-token: t0ken\n"],
])("a secret in %s %s that every user may read is warned of, and nobody else's is", async (flag, name, text) => {
  const open = await secretFile(name, 0o644, 0o755, text);
  expect(await warnings(flag, open)).toEqual([expect.stringMatching(new RegExp(`^${flag}: .* ${open}, .*chmod o-r`))]);
  // The group is for who made it so: consul's own files are root:consul 0640.
  for (const mode of [0o600, 0o640])
    expect(await warnings(flag, await secretFile(name, mode, 0o755, text))).toEqual([]);
  expect(await warnings(flag, await secretFile(name, 0o644, 0o750, text))).toEqual([]);
});

test("so is a client key, and a file behind a link", async () => {
  const [key, cert] = [await secretFile("key.pem", 0o604), await secretFile("cert.pem", 0o644)];
  expect(await warningsWith({ CONSUL_CLIENT_KEY: key, CONSUL_CLIENT_CERT: cert })).toEqual([
    expect.stringContaining(key),
  ]);
  const linked = join(folder, "link");
  await symlink(await secretFile("behind", 0o644), linked);
  expect(await warnings("--consul-token-file", linked)).toEqual([expect.stringContaining(linked)]);
});

test("so is a JWT, unless it is Nomad's own file, whose mode nobody can choose", async () => {
  const jwt = await secretFile("nomad_consul_default.jwt", 0o644);
  const flags = ["--consul-auth-method", "m", "--consul-bearer-token-file", jwt];
  expect(await warnings(...flags)).toEqual([expect.stringMatching(/^--consul-bearer-token-file: .*chmod o-r/)]);
  expect(await warningsWith({ NOMAD_SECRETS_DIR: dirname(jwt) }, ...flags)).toEqual([]);
  expect(await warningsWith({ NOMAD_SECRETS_DIR: "/elsewhere" }, ...flags)).toHaveLength(1);
});

test("a configuration without a secret may be read by all, and a file that is not there is no such complaint", async () => {
  expect(await warnings("--config", await secretFile("plain.json", 0o644, 0o755, '{"max-ttl": "1s"}'))).toEqual([]);
  expect(await warnings("--consul-token-file", "/no/such/file")).toEqual([]);
});
