import { createHash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { bareRoot } from "../support/bare-root.js";
import { type Child, type Place, run, startChild } from "../support/child.js";
import { askingNoDaemon, findProgram } from "../support/environment.js";
import { freePort } from "../support/free-port.js";
import { http } from "../support/http.js";
import { createHosts } from "../support/netns.js";
import { rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { version: string };
const SCRIPT = `srv-epmd-${version}.cjs`;
const NOTICES = `srv-epmd-${version}-notices.txt`;
const PAGE = "srv-epmd.1";
const EXECUTABLE = `srv-epmd-${version}-${process.platform}-${process.arch}`;

let folder = "";
let empty = "";

beforeAll(async () => {
  [folder, empty] = await Promise.all([temporaryFolder("package"), temporaryFolder("empty")]);
  // It takes 5 s of a processor, which the other test files want too.
  const options = { cwd: ROOT, timeout: 80_000 };
  const { code, stderr } = await run("npm", ["run", "--silent", "package", "--", "--out", folder], options);
  expect(code, stderr).toBe(0);
}, 90_000);

test("npm run package makes two files, the licences of what is in them, the page for man, and their sums, in the form that sha256sum --check reads", () => {
  expect(readdirSync(folder).sort()).toEqual(["SHA256SUMS", EXECUTABLE, NOTICES, PAGE, SCRIPT].sort());
  const sums = readFileSync(join(folder, "SHA256SUMS"), "utf8");
  const sumOf = (file: string) =>
    createHash("sha256")
      .update(readFileSync(join(folder, file)))
      .digest("hex");
  expect(sums).toBe([SCRIPT, NOTICES, PAGE, EXECUTABLE].map((file) => `${sumOf(file)}  ${file}\n`).join(""));
});

test("the licences of the packages that are bundled go with the files, and with the command in dist", () => {
  const notices = readFileSync(join(folder, NOTICES), "utf8");
  const inDist = readFileSync(`${ROOT}dist/NOTICES.txt`, "utf8");
  const atTheEnd = readFileSync(join(folder, SCRIPT), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("// "));
  const { dependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { dependencies: object };
  for (const name of [...Object.keys(dependencies), "safe-stable-stringify"]) {
    const title = new RegExp(`^${name} [0-9]+\\.[0-9.]+ \\([A-Za-z0-9.-]+\\)$`, "m");
    expect(notices).toMatch(title);
    expect(inDist).toMatch(title);
    expect(atTheEnd.map((line) => line.slice(3)).join("\n")).toMatch(title);
  }
  // Packages of packages that the command never uses are not in it.
  expect(notices).not.toMatch(/^(sonic-boom|thread-stream|@opentelemetry\/api) /m);
  expect(notices.match(/copyright/gi)?.length).toBeGreaterThan(10);
  expect(notices).toContain(`Node.js ${process.version}`);
});

describe.concurrent.each([
  ["the file for node", () => [process.execPath, join(folder, SCRIPT)]],
  ["the executable", () => [join(folder, EXECUTABLE)]],
] as const)("%s, in an empty folder and with an empty environment", (_, programOf) => {
  const place = (netns?: Place) => ({ env: {}, cwd: empty, ...(netns && { netns }) });
  const start = (args: readonly string[], netns?: Place) => {
    const [program = "", ...first] = programOf();
    return startChild(program, [...first, ...args], place(netns));
  };
  const srvEpmd = (...args: readonly string[]) => {
    const [program = "", ...first] = programOf();
    return run(program, [...first, ...args], { ...place(), env: askingNoDaemon(args) });
  };
  const portOf = async (daemon: Child) => Number((await daemon.waitForOutput(/"port":([0-9]+),.*"msg":"ready"/))[1]);

  test("says its version and nothing else", async () => {
    expect(await srvEpmd("--version")).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  test("takes an option of node's for none of its own", async () => {
    expect(await srvEpmd("--inspect")).toMatchObject({ code: 2, stdout: "" });
  });

  test("carries the manual", async () => {
    expect(await srvEpmd("help", "limits")).toMatchObject({ code: 0, stdout: expect.stringContaining("limits: ") });
  });

  test("carries the Erlang module", async () => {
    const source = readFileSync(`${ROOT}src/beam/srv_epmd.erl`, "utf8");
    expect(await srvEpmd("module", "--out", "-")).toEqual({ code: 0, stdout: source, stderr: "" });
  });

  test("serves, waits, lists and resolves, and leaves nothing behind", async () => {
    const dns = `127.0.0.1:${await freePort()}`;
    const daemon = start(["serve", "--port", "0", "--domain", "demo.test", "--dns-listen", dns]);
    const port = await portOf(daemon);
    const node = await rawNode(port, { name: "a", port: 20001 });
    expect(await srvEpmd("wait", "--port", String(port))).toMatchObject({ code: 0, stderr: "" });
    expect(await srvEpmd("wait", "a@demo.test", "--dns", dns)).toMatchObject({ code: 0, stderr: "" });
    const names = await srvEpmd("names", `127.0.0.1:${port}`, "--json");
    expect(JSON.parse(names.stdout)).toMatchObject({ names: [{ name: "a", port: 20001 }] });
    const resolved = await srvEpmd("resolve", "a@demo.test", "--dns", dns, "--json");
    expect(JSON.parse(resolved.stdout)).toMatchObject({ source: "srv", endpoints: [{ port: 20001 }] });
    const epmd = findProgram("epmd");
    if (epmd !== undefined) {
      const { stdout } = await run(epmd, ["-names"], { env: { ERL_EPMD_PORT: String(port) } });
      expect(stdout).toContain("name a at port 20001");
    }
    expect(await daemon.stop()).toMatchObject({ code: 0 });
    await node.closed();
    expect(await readdir(empty)).toEqual([]);
  });

  test("carries the status page and the metrics, and examines itself", async () => {
    const daemon = start(["serve", "--port", "0", "--admin", "127.0.0.1:0"]);
    const port = await portOf(daemon);
    const [, at = ""] = await daemon.waitForOutput(/"admin":"([^"]+)"/);
    expect((await http(at, "/")).body).toContain("<title>");
    expect((await http(at, "/page.css")).body).toContain("{");
    expect((await http(at, "/page.js")).body).toContain("EventSource");
    expect((await http(at, "/metrics")).body).toContain(`srv_epmd_build_info{version="${version}"} 1`);
    const examined = await srvEpmd("doctor", "--port", String(port), "--json");
    expect(examined.stdout).toContain('"check":"epmd-port","result":"ok"');
    expect(await daemon.stop()).toMatchObject({ code: 0 });
  });

  requirePeer("netns")("as a gateway", () => {
    test("starts its relay process from the same file", async () => {
      const { hosts } = await createHosts([{ addresses: ["10.92.0.1/24"] }]);
      const daemon = start(["serve", "--gateway", "--domain", "svc.test", "--register", "none"], hosts[0]);
      const relay = Number((await daemon.waitForOutput(/"relay":([0-9]+).*"msg":"relay process connected"/))[1]);
      try {
        const command = readFileSync(`/proc/${relay}/cmdline`, "utf8").split("\0");
        expect(command.slice(0, programOf().length + 1)).toEqual([...programOf(), "relay"]);
        expect(readlinkSync(`/proc/${relay}/exe`)).toBe(readlinkSync(`/proc/${daemon.pid}/exe`));
        expect(await daemon.stop()).toMatchObject({ code: 0 });
      } finally {
        process.kill(relay, "SIGTERM");
        await waitFor(() => !readdirSync("/proc").includes(String(relay)), { what: "the end of the relay process" });
      }
    });
  });
});

requirePeer("netns")("the executable", () => {
  test("needs a C library, and neither node nor its sources", async () => {
    const root = join(await temporaryFolder("bare"), "root");
    await mkdir(join(root, "bin"), { recursive: true });
    await copyFile(join(folder, EXECUTABLE), join(root, "bin/srv-epmd"));
    const netns = await bareRoot(root, "65532:65532");
    expect(await run("/bin/srv-epmd", ["--version"], { env: {}, netns })).toEqual({
      code: 0,
      stdout: `${version}\n`,
      stderr: "",
    });
  });
});
