import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MEBIBYTE, readBounded } from "../../src/os/files.js";
import { run } from "../support/child.js";
import { runCommand } from "../support/command-line.js";
import { PROGRAM } from "../support/source-program.js";
import { temporaryFolder } from "../support/temporary.js";

test("a configuration file is no FIFO that nobody writes to, nothing endless and nothing huge", async () => {
  const folder = await temporaryFolder("bounded");
  const complaint = async (path: string) => {
    const { code, stderr } = await runCommand(["hosts", "svc", "--config", path]);
    expect(code, stderr).toBe(2);
    return stderr;
  };
  const fifo = join(folder, "fifo");
  await run("mkfifo", [fifo]);
  // Nothing is JSON's complaint.
  expect(await complaint(fifo)).toMatch(/--config: cannot use .*fifo/);
  expect(await complaint("/dev/zero")).toMatch(/is not a regular file/);
  const huge = join(folder, "huge.json");
  await writeFile(huge, " ".repeat(MEBIBYTE + 1));
  expect(await complaint(huge)).toMatch(/huge\.json: is longer than 1 MiB/);
});

test("a configuration file may be the pipe of a shell's <(command), whose writer takes its time", async () => {
  const command = `${PROGRAM.map((word) => `'${word}'`).join(" ")} hosts svc --config`;
  const writer = `printf '{"consul-domain":'; sleep 0.3; printf '"example"}'`;
  const { stdout } = await run("bash", ["-c", `${command} <(${writer})`]);
  expect(stdout).toMatch(/ svc\.service\.example$/m);
});

test("a pipe that is written to without end is given up at the bound", async () => {
  const path = join(await temporaryFolder("bounded"), "fifo");
  await run("mkfifo", [path]);
  const { code, stderr } = await run("bash", [
    "-c",
    `exec 3<>"$0"; yes >&3 & writer=$!; ${PROGRAM.map((word) => `'${word}'`).join(" ")} hosts svc --config "$0"; code=$?; kill $writer; exit $code`,
    path,
  ]);
  expect(stderr).toMatch(/is longer than 1 MiB/);
  expect(code).toBe(2);
});

test("a file of /proc, which has the size 0, is read whole", async () => {
  expect(await readBounded("/proc/self/status", { limit: MEBIBYTE })).toMatch(/^Name:.*^Threads:/ms);
});
