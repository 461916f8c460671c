import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { complaintsOf } from "../support/calls.js";
import { run } from "../support/child.js";
import { findProgram } from "../support/environment.js";

const FOLDER = fileURLToPath(new URL("../../examples/systemd/", import.meta.url));
const UNITS = ["srv-epmd.service", "srv-epmd-relay.service"];

describe.each(UNITS)("%s", (unit) => {
  const text = readFileSync(FOLDER + unit, "utf8");
  const valuesOf = (key: string) =>
    Array.from(text.matchAll(new RegExp(`^${key}=(.*)$`, "gm")), ([, value = ""]) => value);

  test("calls srv-epmd as it can be called, and opens no address to strangers", () => {
    const [call = ""] = valuesOf("ExecStart");
    expect(call).toMatch(/^\/usr\/bin\/env srv-epmd /);
    expect(complaintsOf(call.split(" ").slice(2))).toEqual([]);
    expect(call).not.toContain("--listen");
  });

  test("bounds what the process can take, and leaves it no capability", () => {
    expect(valuesOf("MemoryMax")).toEqual([expect.stringMatching(/^[0-9]+M$/)]);
    expect(valuesOf("TasksMax")).toEqual([expect.stringMatching(/^[0-9]+$/)]);
    expect(valuesOf("CapabilityBoundingSet")).toEqual([""]);
    expect(valuesOf("NoNewPrivileges")).toEqual(["yes"]);
  });

  // `--offline` came with systemd 250; other systems than those with systemd have none.
  const analyze = findProgram("systemd-analyze");
  test.skipIf(analyze === undefined)(
    "is hardened, as systemd-analyze security has it, and has no mistake",
    async () => {
      const security = await run("systemd-analyze", ["security", "--offline=yes", "--no-pager", FOLDER + unit]);
      const [, score] = /Overall exposure level for \S+: ([0-9.]+)/.exec(security.stdout) ?? [];
      expect(Number(score), security.stdout + security.stderr).toBeLessThanOrEqual(1.5);
      expect(await run("systemd-analyze", ["verify", FOLDER + unit])).toMatchObject({ code: 0, stderr: "" });
    },
  );
});
