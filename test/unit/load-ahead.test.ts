import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SRC = fileURLToPath(new URL("../../src/", import.meta.url));

/** What these import when they need it is loaded by loadAhead. */
const AHEAD = ["admin/admin.ts", "admin/routes.ts", "api/connection.ts", "consul/side.ts", "nomad/side.ts"];
/** Imports while the daemon starts, before it is ready, or when its start fails. */
const AT_THE_START = ["daemon/daemon.ts", "mesh/upstream-source.ts"];
/** A relay process loads what mutual TLS needs when a daemon, which has just been started, says that it is wanted. */
const RELAY = ["relay/server.ts"];
/** Commands end before their files can be taken away; the build and the doctor's probe are no part of the daemon. */
const NO_DAEMON = /^((cli|doctor|distribution|build|help)\/|connect\/credentials)/;

test("a part of the daemon that is imported when it is needed is loaded ahead too, or at the start", () => {
  const importing = readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !NO_DAEMON.test(file))
    // Node's own modules are in no file that could be missing.
    .filter((file) => /\bimport\("(?!node:)/.test(readFileSync(SRC + file, "utf8")));
  expect(importing.sort()).toEqual([...AHEAD, ...AT_THE_START, ...RELAY].sort());
});
