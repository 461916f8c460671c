import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ask, rawNode, request } from "../support/raw-epmd.js";
import { startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

const [ROUNDS, AT_ONCE] = [20, 20];

test("a connection has no hidden classes of its own", async () => {
  const logfile = join(await temporaryFolder("hidden-classes"), "v8.log");
  const flags = ["--log-maps", `--logfile=${logfile}`, "--no-logfile-per-isolate"];
  const daemon = await startDaemon({ nodeArgs: flags });
  const node = await rawNode(daemon.port, { name: "live" });
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => ask(daemon.port, request("z", "live"))));
  }
  await node.close();
  await daemon.stop();
  // `map,<what happened>,<when>,<from>,<to>,...,<property>`: this property is the last that Node adds to the options of a socket.
  const made = readFileSync(logfile, "utf8").match(/^map,Transition,.*,decodeStrings$/gm) ?? [];
  expect(made.length).toBeLessThan((ROUNDS * AT_ONCE) / 10);
});
