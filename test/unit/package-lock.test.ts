import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const lock = JSON.parse(readFileSync(`${ROOT}package-lock.json`, "utf8")) as {
  readonly packages: Readonly<Record<string, { readonly integrity?: string; readonly resolved?: string }>>;
};
const packages = Object.entries(lock.packages).filter(([path]) => path !== "");

test("every package of the lock file has its sum: npm ci installs what was looked at, or fails", () => {
  expect(packages.length).toBeGreaterThan(50);
  expect(packages.filter(([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? ""))).toEqual([]);
});

test("it names no place to download from: each installs from the registry that is his", () => {
  expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  expect(readFileSync(`${ROOT}.npmrc`, "utf8")).toContain("omit-lockfile-registry-resolved=true");
});
