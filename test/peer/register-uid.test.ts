import { expect, test } from "vitest";
import { startNode } from "../support/erlang.js";
import { alive2, liveNames, rawClient, rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";

const OWN_UID = String(process.getuid?.());
const OTHER_UID = "54321";
/** The last one is a socket of IPv6 that is connected to IPv4: each end is in a table of its own. */
const ADDRESSES = ["127.0.0.1", "::1", "::ffff:127.0.0.1"];

test.each(ADDRESSES)("processes of the users of --register-uid register nodes, over %s", async (address) => {
  const daemon = await startDaemon({ args: ["--register-uid", OTHER_UID, "--register-uid", OWN_UID] });
  const node = await rawNode(daemon.port, { name: "a" }, { address });
  expect(await liveNames(daemon.port)).toEqual(["a"]);
  await node.close();
  await daemon.stop();
});

test.each(ADDRESSES)("others get no answer over %s, and the log says which user it was", async (address) => {
  const daemon = await startDaemon({ args: ["--register-uid", OTHER_UID] });
  const client = await rawClient(daemon.port, { address });
  client.send(alive2({ name: "a", version: 6 }));
  expect((await client.closed()).length).toBe(0);
  expect(await liveNames(daemon.port)).toEqual([]);
  const refusal = daemon.log().find(({ uid }) => String(uid) === OWN_UID);
  expect(refusal).toMatchObject({ level: "warn", node: "a", msg: expect.stringContaining("--register-uid") });
  await daemon.stop();
});

test("a user is named by name too; one that is none stops the start", async () => {
  const daemon = await startDaemon({ args: ["--register-uid", "daemon"] });
  const client = await rawClient(daemon.port);
  client.send(alive2({ name: "a", version: 6 }));
  expect((await client.closed()).length).toBe(0);
  await daemon.stop();
  const { code, stderr } = await runCli([
    "serve",
    "--port",
    "0",
    "--admin",
    "none",
    "--register-uid",
    "nobody-of-that-name",
  ]);
  expect(code).toBe(2);
  expect(JSON.parse(stderr)).toMatchObject({
    level: "fatal",
    msg: expect.stringContaining('"nobody-of-that-name" is no user of this machine'),
  });
});

requirePeer("erl")("a VM of a user that --register-uid does not name", () => {
  test("does not start, and is not told that somebody has its name", async () => {
    const daemon = await startDaemon({ args: ["--register-uid", OTHER_UID] });
    const start = startNode({ name: "a@127.0.0.1", epmdPort: daemon.port });
    await expect(start).rejects.toThrow("epmd_close");
    await daemon.stop();
  });
});
