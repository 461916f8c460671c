import { chmod, chown, mkdir, rmdir, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { ownFolderIn } from "../../src/os/files.js";
import { collectLog } from "../support/log-lines.js";
import { temporaryFolder } from "../support/temporary.js";

const NAME = "srv-epmd-0";
const OTHER = 65_534;
const TOLD = "another user has taken the folder of the relays' control socket";
const isRoot = process.getuid?.() === 0;

async function sharedFolder(): Promise<string> {
  const parent = await temporaryFolder("shared");
  await chmod(parent, 0o1777);
  return parent;
}

const take = async (path: string) => {
  await mkdir(path, { mode: 0o700 });
  await chown(path, OTHER, OTHER);
};

test("the usual name is taken where nobody else has it", async () => {
  const parent = await sharedFolder();
  const { log, messages } = collectLog();
  expect(await ownFolderIn(parent, NAME, log)).toBe(join(parent, NAME));
  await mkdir(join(parent, NAME), { mode: 0o700 });
  expect(await ownFolderIn(parent, NAME, log)).toBe(join(parent, NAME));
  expect(messages()).toEqual([]);
});

test.runIf(isRoot)(
  "where another user has the usual name, all processes find one private folder, and say so",
  async () => {
    const parent = await sharedFolder();
    const { log, messages } = collectLog();
    await take(join(parent, NAME));
    // What others make of that name, before or after, is not ours.
    await take(join(parent, `${NAME}-1`));
    await writeFile(join(parent, `${NAME}-2`), "");
    await symlink("/tmp", join(parent, `${NAME}-3`));
    const folder = await ownFolderIn(parent, NAME, log);
    expect(dirname(folder)).toBe(parent);
    expect(await stat(folder)).toMatchObject({ uid: 0, mode: 0o40_700 });
    expect(await ownFolderIn(parent, NAME, log)).toBe(folder);
    expect(folder).toBe(join(parent, `${NAME}-4`));
    expect(messages("warn")).toEqual([TOLD, TOLD]);
    await rmdir(join(parent, `${NAME}-1`));
    await rmdir(join(parent, NAME));
    // The relay process is still in the other one.
    expect(await ownFolderIn(parent, NAME, log)).toBe(folder);
  },
);

test.runIf(isRoot)("two processes that start in the same moment find the same folder", async () => {
  const parent = await sharedFolder();
  await take(join(parent, NAME));
  const { log } = collectLog();
  const found = await Promise.all(Array.from({ length: 8 }, () => ownFolderIn(parent, NAME, log)));
  const settled = await ownFolderIn(parent, NAME, log);
  expect(new Set([...found, settled]).size).toBe(1);
});
