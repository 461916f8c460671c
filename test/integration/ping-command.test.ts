import { expect, test } from "vitest";
import { runCommand, startCommand } from "../support/command-line.js";
import { challenge6, fakeNode, framed } from "../support/fake-node.js";
import { freePort } from "../support/free-port.js";

const NODE = "a@127.0.0.1";

/** A node whose creation is that of each connection. */
const node = (creationOf: (connection: number) => number = () => 7, name = NODE) =>
  fakeNode((socket, _, connection) => {
    const challenge = challenge6(name);
    challenge.writeUInt32BE(creationOf(connection), 13);
    socket.write(Buffer.concat([framed("sok"), framed(challenge)]));
  });

const ping = (port: number, ...args: readonly string[]) => [
  ...["ping", NODE, "--node", `${NODE}=127.0.0.1:${port}`, "--timeout", "2s", ...args],
];

test("ping tells way, endpoint and time of each try, and sums up", async () => {
  const port = await node();
  const { code, stdout, stderr } = await runCommand(ping(port, "--count", "2"));
  expect([code, stderr]).toEqual([0, ""]);
  const [first, second, head, count, times, end] = stdout.split("\n");
  const line = `127\\.0\\.0\\.1:${port} by static, IPv4, [0-9.]+ ms: is a@127\\.0\\.0\\.1 \\(.*OTP 25, 26 or 27, published, creation 7\\)`;
  expect(first).toMatch(new RegExp(`^1: ${line}$`));
  expect(second).toMatch(new RegExp(`^2: ${line}$`));
  expect(head).toBe(`--- ${NODE} ---`);
  expect(count).toBe("2 tries, 2 answered, 0% lost");
  expect(times).toMatch(/^min\/avg\/max [0-9.]+\/[0-9.]+\/[0-9.]+ ms$/);
  expect(end).toBe("");
});

test("ping --json gives an object a try, and one at the end", async () => {
  const port = await node();
  const { stdout } = await runCommand(ping(port, "--count", "1", "--json"));
  const [one, sum] = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(one).toEqual({
    ...{ seq: 1, at: expect.stringMatching(/^\d{4}-/), node: NODE, outcome: "found", source: "static", stale: false },
    ...{ address: "127.0.0.1", port, probe: expect.objectContaining({ result: "node" }), lookUpMs: expect.any(Number) },
  });
  expect(sum).toEqual({
    ...{ node: NODE, tries: 1, answered: 1, restarts: 0, moves: 0, twice: false },
    ...{ leastMs: expect.any(Number), averageMs: expect.any(Number), mostMs: expect.any(Number) },
  });
});

test("ping says that a node has been restarted", async () => {
  const port = await node((connection) => 7 + connection);
  const { stdout } = await runCommand(ping(port, "--count", "2"));
  expect(stdout).toMatch(/^2: .*creation 8\); it has been restarted$/m);
  expect(stdout).toContain("2 tries, 2 answered, 0% lost, restarted once");
});

test("ping of a name that two VMs have says so", async () => {
  const port = await node((connection) => 7 + (connection % 2));
  const { stdout } = await runCommand(ping(port, "--count", "3"));
  expect(stdout).toMatch(/^3: .*; a VM that answered before the last one: two VMs have the name$/m);
  expect(stdout).toContain("3 tries, 3 answered, 0% lost\n");
  expect(stdout).toContain(
    `\ntwo VMs have the name: answers came from 127.0.0.1:${port}; srv-epmd doctor ${NODE} says`,
  );
});

test("ping of a node that is not there ends with 1, and of one that nobody can look up with 3", async () => {
  const refused = await runCommand(ping(await freePort(), "--count", "1"));
  expect(refused.code).toBe(1);
  expect(refused.stdout).toMatch(
    /^1: 127\.0\.0\.1:\d+ by static, IPv4, .*nothing listens there: the connection was refused$/m,
  );
  expect(refused.stdout).toContain("1 try, 0 answered, 100% lost\n");
  expect(refused.stdout).not.toContain("min/avg/max");
  const other = await runCommand(ping(await node(undefined, "b@127.0.0.1"), "--count", "1"));
  expect([other.code, other.stdout]).toEqual([1, expect.stringContaining("is b@127.0.0.1, not a@127.0.0.1")]);
  const none = ["--dns", `127.0.0.1:${await freePort()}`, "--catalogue", "none", "--timeout", "300ms", "--count", "1"];
  const unknown = await runCommand(["ping", "a@svc.test", ...none]);
  expect([unknown.code, unknown.stdout]).toEqual([3, expect.stringMatching(/^1: cannot be looked up: /)]);
});

test("ping goes on until Ctrl-C, and then sums up", async () => {
  const command = startCommand(ping(await node()));
  await command.waitForOutput(/^2: /m);
  command.signal("SIGINT");
  expect(await command.done).toBe(0);
  expect(command.stdout()).toMatch(/^--- a@127\.0\.0\.1 ---\n[2-9] tries, [2-9] answered, 0% lost$/m);
});

test("ping ends at once on Ctrl-C while a node is silent", async () => {
  const port = await fakeNode(() => undefined);
  const before = performance.now();
  const command = startCommand(["ping", NODE, "--node", `${NODE}=127.0.0.1:${port}`, "--timeout", "60s", "--json"]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  command.signal("SIGTERM");
  expect(await command.done).toBe(1);
  expect(performance.now() - before).toBeLessThan(20_000);
  expect(JSON.parse(command.stdout())).toMatchObject({ tries: 0, answered: 0 });
});

test.each([
  [["ping"], /node|name/],
  [["ping", "a@h", "b@h"], /b@h/],
  [["ping", "a@h", "--count", "0"], /--count/],
  [["ping", "a@h", "--count", "x"], /--count/],
])("%j is refused", async (args, message) => {
  const { code, stderr } = await runCommand(args);
  expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
});
