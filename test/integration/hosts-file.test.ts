import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseCidr } from "../../src/net/ip.js";
import { MEBIBYTE } from "../../src/os/files.js";
import { HostsFile } from "../../src/os/hosts-file.js";
import { run } from "../support/child.js";
import { collectLog } from "../support/log-lines.js";
import { PROGRAM } from "../support/source-program.js";
import { temporaryFolder } from "../support/temporary.js";

const RANGE = parseCidr("127.64.0.0/10") as NonNullable<ReturnType<typeof parseCidr>>;

async function hostsFile(text: string) {
  const path = join(await temporaryFolder("hosts-file"), "hosts");
  await writeFile(path, text);
  let now = 0;
  const { log, messages } = collectLog();
  const file = new HostsFile({ path, gatewayRange: RANGE, now: () => now, log });
  const later = (name: string) => {
    now += 1_000;
    return file.addressesOf(name);
  };
  return { path, file, later, messages };
}

test("names are found whatever their case, with the addresses of all lines, without those of the gateway", async () => {
  const { file } = await hostsFile("10.9.0.1 db1 DB.test # main\n127.64.1.2 db1\nfd00::1 db1\n10.9.0.1 db1\n");
  expect(file.addressesOf("DB1")).toEqual(["10.9.0.1", "fd00::1"]);
  expect(file.addressesOf("db.test")).toEqual(["10.9.0.1"]);
  expect(file.addressesOf("main")).toEqual([]);
});

test("a change is seen within a second, a replaced file and one that is gone too", async () => {
  const { path, file, later } = await hostsFile("10.9.0.1 db1\n");
  expect(file.addressesOf("db1")).toEqual(["10.9.0.1"]);
  await writeFile(path, "10.9.0.22 db1\n");
  expect(file.addressesOf("db1")).toEqual(["10.9.0.1"]);
  expect(later("db1")).toEqual(["10.9.0.22"]);
  await writeFile(`${path}.new`, "10.9.0.3 db1\n");
  await rename(`${path}.new`, path);
  expect(later("db1")).toEqual(["10.9.0.3"]);
  await rm(path);
  expect(later("db1")).toEqual([]);
});

test("what is no regular file has no names and holds nobody up", async () => {
  const { path, later } = await hostsFile("10.9.0.1 db1\n");
  await rm(path);
  await run("mkfifo", [path]);
  expect(later("db1")).toEqual([]);
});

test("what cannot be used is said once for each change", async () => {
  const { path, later, messages } = await hostsFile("#".repeat(8 * MEBIBYTE + 1));
  for (let look = 0; look < 3; look++) expect(later("db1")).toEqual([]);
  expect(messages("warn")).toEqual(["hosts file cannot be used: addresses come from DNS only"]);
  await writeFile(path, "10.9.0.1 db1\n");
  expect(later("db1")).toEqual(["10.9.0.1"]);
  await rm(path);
  expect(later("db1")).toEqual([]);
  expect(messages("warn")).toHaveLength(1);
});

test("a list of 200,000 blocked hosts takes little memory", async () => {
  const { path } = await hostsFile(
    Array.from({ length: 200_000 }, (_, index) => `0.0.0.0 ads${index}.tracker.example\n`)
      .join("")
      .concat("10.9.0.1 db1"),
  );
  const module = new URL("../../src/os/hosts-file.ts", import.meta.url).href;
  const options = `{ path: ${JSON.stringify(path)}, gatewayRange: { bytes: [127, 64, 0, 0], prefix: 10 }, now: () => 0 }`;
  const code = `import { HostsFile } from "${module}"; console.log(new HostsFile(${options}).addressesOf("db1").join());`;
  const [node, ...loader] = PROGRAM.slice(0, -1) as [string, ...string[]];
  // MiB: the text takes 8 of them.
  const { stdout } = await run(node, [...loader, "--max-old-space-size=48", "--input-type=module", "-e", code]);
  expect(stdout.trim()).toBe("10.9.0.1");
});
