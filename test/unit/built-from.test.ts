import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { sourcesDigest } from "../../src/build/settings.js";
import { temporaryFolder } from "../support/temporary.js";

test("a build is not taken for one of other sources, whatever the times of the files are", async () => {
  const root = `${await temporaryFolder("sources")}/`;
  const write = (file: string, text: string) => {
    writeFileSync(root + file, text);
    // As a checkout, a copy or a change in the second of the build has it.
    utimesSync(root + file, 0, 0);
  };
  mkdirSync(`${root}src/core`, { recursive: true });
  for (const file of ["package.json", "package-lock.json", "tsconfig.json", "src/a.ts"]) write(file, file);
  const before = sourcesDigest(root);
  expect(sourcesDigest(root)).toBe(before);
  write("src/a.ts", "changed");
  expect(sourcesDigest(root)).not.toBe(before);
  write("src/a.ts", "src/a.ts");
  expect(sourcesDigest(root)).toBe(before);
  write("src/core/b.ts", "");
  expect(sourcesDigest(root)).not.toBe(before);
  rmSync(`${root}src/core/b.ts`);
  write("package-lock.json", "other packages");
  expect(sourcesDigest(root)).not.toBe(before);
});
