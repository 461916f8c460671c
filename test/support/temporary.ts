import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders = new Set<string>();
const lasting = new Set<string>();

process.on("exit", () => {
  for (const folder of [...folders, ...lasting]) rmSync(folder, { recursive: true, force: true });
});
// By this vitest ends a worker that has no more files.
process.once("SIGTERM", () => process.exit(143));

/** A folder that is gone after the test file. */
export async function temporaryFolder(purpose: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `srv-epmd-${purpose}-`));
  folders.add(folder);
  return folder;
}

/** The same for what test files of one process share: it is gone when the process ends. */
export async function lastingFolder(purpose: string): Promise<string> {
  const folder = await temporaryFolder(purpose);
  folders.delete(folder);
  lasting.add(folder);
  return folder;
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** The setup file calls it after each test file, when the children that used them are gone. */
export async function removeFolders(): Promise<void> {
  await Promise.all(Array.from(folders, removeFolder));
}
