import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { NativeEnd } from "../../src/relay/native-end.js";
import { collectLog } from "../support/log-lines.js";

/** Nobody answers there. */
const AGENT = { url: "http://127.0.0.1:1" };
const LISTEN = { address: "127.0.0.1", port: 0 };
const SETTINGS = { service: "svc", agent: AGENT, listen: LISTEN, recheck: 0 };
const NODE = "b@svc.service.consul";
const place = (port: number) => ({ address: "127.0.0.1", port });

function startEnd(): NativeEnd {
  const end = new NativeEnd({
    ...{ linger: 1_000, admit: () => true, onLinkEnd: () => undefined, hasRoomFor: () => true },
    ...{ onRefused: () => undefined, onNotice: () => undefined, log: collectLog().log },
  });
  onTestFinished(() => end.close());
  return end;
}

test("a daemon that wants another port for callers is refused, and what the first one said stays", async () => {
  const [end, first, second] = [startEnd(), {}, {}];
  const port = await end.configure(SETTINGS, first);
  expect(await end.configure({ ...SETTINGS, listen: { ...LISTEN, port } }, second)).toBe(port);
  const elsewhere = { ...SETTINGS, agent: { url: "http://127.0.0.1:2" }, listen: { address: "127.0.0.2", port: 0 } };
  await expect(end.configure(elsewhere, second)).rejects.toThrow(
    `the relay process takes callers at 127.0.0.1:${port}, and 127.0.0.2:0 is wanted: start it anew`,
  );
  await expect.poll(() => end.status?.trouble).toContain("127.0.0.1:1");
});

test("another service is taken when the daemon of the first has gone", async () => {
  const [end, first, second] = [startEnd(), {}, {}];
  await end.configure(SETTINGS, first);
  await expect(end.configure({ ...SETTINGS, service: "web" }, second)).rejects.toThrow(
    "the relay process is an end of svc for another srv-epmd, and web is wanted: give each its own --relay-socket",
  );
  end.left(first);
  await end.configure({ ...SETTINGS, service: "web" }, second);
  await expect.poll(() => end.status?.trouble).toMatch(/^web: /);
});

test("the port of an earlier relay process is taken again, or another one where a program has it now", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const formerPort = (server.address() as { port: number }).port;
  const [end, later, daemon] = [startEnd(), startEnd(), {}];
  expect(await end.configure({ ...SETTINGS, formerPort }, daemon)).not.toBe(formerPort);
  await new Promise((resolve) => server.close(resolve));
  expect(await later.configure({ ...SETTINGS, formerPort }, daemon)).toBe(formerPort);
});

test("a port that is taken is said, and is tried again by the next settings", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const listen = { ...LISTEN, port: (server.address() as { port: number }).port };
  const [end, daemon] = [startEnd(), {}];
  await expect(end.configure({ ...SETTINGS, listen }, daemon)).rejects.toThrow("EADDRINUSE");
  expect(end.status).toBeUndefined();
  await new Promise((resolve) => server.close(resolve));
  expect(await end.configure({ ...SETTINGS, listen }, daemon)).toBe(listen.port);
});

test("a node ends with what its own daemon says, and not with what an earlier one says late", async () => {
  const [end, first, second] = [startEnd(), {}, {}];
  await end.configure(SETTINGS, first);
  end.serve({ node: NODE, place: place(1) }, first);
  end.left(first);
  expect(end.status?.nodes).toEqual([NODE]);
  end.serve({ node: NODE, place: place(2) }, second);
  end.drop(NODE, first);
  expect(end.status?.nodes).toEqual([NODE]);
  end.drop(NODE, second);
  expect(end.status?.nodes).toEqual([]);
});

test("a node that no daemon names any more is served for a minute", async () => {
  const [end, first, second] = [startEnd(), {}, {}];
  await end.configure(SETTINGS, first);
  end.serve({ node: NODE, place: place(1) }, first);
  end.serve({ node: "c@svc.service.consul", place: place(2) }, first);
  end.left(first);
  await end.configure(SETTINGS, second);
  end.serve({ node: NODE, place: place(1) }, second);
  end.sweep(1_000);
  expect(end.status?.nodes).toHaveLength(2);
  end.sweep(1_000, performance.now() + 61_000);
  expect(end.status?.nodes).toEqual([NODE]);
});
