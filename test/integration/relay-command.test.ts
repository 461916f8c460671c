import { expect, test } from "vitest";
import { run, startChild } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { daemon, dialRelay, ending, ensure, relaySocket, startPeer } from "../support/relay.js";
import { PROGRAM } from "../support/source-program.js";
import { waitFor } from "../support/wait-for.js";

const [NODE, ...ARGS] = PROGRAM;

function relayArgs(socket: string): string[] {
  return [...ARGS, "relay", "--relay-socket", socket, "--relay-ports", "61000-61099", "--log-format", "json"];
}

test("it is ready with its socket, is no daemon's second, passes SIGHUP over, and ends on SIGTERM with its links", async () => {
  const path = await relaySocket();
  const child = startChild(NODE, relayArgs(path), { env: cleanEnvironment() });
  await child.waitForOutput(/"msg":"ready"/);
  expect(child.stderr()).toContain(`"socket":"${path}","ports":"61000-61099","pid":${child.pid},"msg":"ready"`);

  const second = await run(NODE, relayArgs(path), { env: cleanEnvironment() });
  expect(second).toMatchObject({ code: 3, stdout: "" });
  expect(JSON.parse(second.stderr)).toMatchObject({
    level: "fatal",
    code: "LISTEN_IN_USE",
    msg: `a relay process has the control socket ${path}: process ${child.pid}; end it, or choose another --relay-socket`,
  });

  const peer = await startPeer();
  const vm = await dialRelay(await ensure(await daemon(path), "node_b@svc.test", [peer.endpoint]));
  await peer.accepted(0);
  child.signal("SIGHUP");
  await child.waitForOutput(/SIGHUP: nothing to read again/);
  const ended = ending(vm);
  child.signal("SIGTERM");
  expect(await ended).toBe("ECONNRESET");
  expect(await child.exited).toMatchObject({ code: 0 });
  expect(child.stderr()).toContain('"why":"SIGTERM","linksCut":1,"msg":"stopping"');
});

test("a signal ends it while daemons are connected", async () => {
  const path = await relaySocket();
  const child = startChild(NODE, relayArgs(path), { env: cleanEnvironment() });
  await child.waitForOutput(/"msg":"ready"/);
  const client = await daemon(path);
  child.signal("SIGINT");
  await client.closed;
  await waitFor(() => child.hasExited(), { what: "its end" });
  expect(await child.exited).toMatchObject({ code: 0 });
});
