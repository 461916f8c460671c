import { execFileSync } from "node:child_process";
import { cp, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { findProgram } from "../support/environment.js";
import { type FakeConsul, startFakeConsul } from "../support/fake-consul.js";
import { http } from "../support/http.js";
import { ask, rawNode, request } from "../support/raw-epmd.js";
import { BIN, type Daemon, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

let consul: FakeConsul;
beforeAll(async () => {
  consul = await startFakeConsul();
  return consul.close;
});

const ARGS = ["--admin", "127.0.0.1:0", "--domain", "svc.service.consul"];
const PATHS = ["/livez", "/", "/page.css", "/page.js", "/v1/nodes", "/metrics"];

async function adminOf(daemon: Daemon): Promise<string> {
  return String((await daemon.waitForLog(({ msg }) => msg === "ready", "ready")).admin);
}

const statuses = (admin: string) =>
  Promise.all(PATHS.map((path) => http(admin, path).then(({ status }) => status, String)));

test.each(["consul", "none"])(
  "an upgrade in place, which takes the program's files away, takes nothing from a daemon that runs (--register %s)",
  async (register) => {
    const folder = join(await temporaryFolder("upgrade"), "dist");
    await cp(dirname(BIN), folder, { recursive: true });
    const args = [...ARGS, "--consul", consul.url, "--register", register];
    const daemon = await startDaemon({ args, bin: join(folder, "srv-epmd.js") });
    await rm(folder, { recursive: true });
    expect(await statuses(await adminOf(daemon))).toEqual(PATHS.map(() => 200));
    const node = await rawNode(daemon.port, { name: "web", port: 9100 });
    if (register === "consul") await waitFor(() => consul.services.size > 0, { what: "the entry in Consul" });
    // The catalogue is asked for what is not alive here.
    expect((await ask(daemon.port, request("n", "web@svc.service.consul"))).toString()).toContain("at port 9100");
    await node.close();
    expect(await daemon.stop()).toMatchObject({ code: 0 });
    expect(daemon.log().filter(({ level }) => level === "error")).toEqual([]);
  },
);

const limitFiles = findProgram("prlimit");

test.skipIf(!limitFiles)("a daemon that was short of file descriptors serves HTTP when it has some again", async () => {
  const daemon = await startDaemon({ args: [...ARGS, "--consul", consul.url] });
  const admin = await adminOf(daemon);
  const { pid } = daemon.child;
  const limit = (soft: number) => execFileSync("prlimit", ["--pid", String(pid), `--nofile=${soft}:`]);
  const limits = await readFile(`/proc/${pid}/limits`, "utf8");
  const before = Number(/^Max open files +([0-9]+)/m.exec(limits)?.[1]);
  onTestFinished(() => void daemon.stop());
  const open = new Set(await readdir(`/proc/${pid}/fd`));
  let free = 0;
  while (open.has(String(free))) free++;
  // The connection gets the only descriptor, and no file can be opened beside it.
  limit(free + 1);
  await http(admin, "/livez").catch(() => {});
  limit(before);
  expect(await statuses(admin)).toEqual(PATHS.map(() => 200));
});
