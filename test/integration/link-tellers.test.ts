import { duplexPair } from "node:stream";
import { expect, test } from "vitest";
import { Registry } from "../../src/epmd/core/registry.js";
import { LinkTellers } from "../../src/epmd/link-tellers.js";
import { registration } from "../support/registered-node.js";
import { waitFor } from "../support/wait-for.js";

const node = new Registry().register(registration("a", 9100), 0);
if (!node) throw new Error("not registered");

/** The answer of a VM, as octets. */
function told(...names: readonly string[]): Buffer {
  const text = Buffer.from(names.join("\n"));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text]);
}

/** A VM that offers, and answers each question by this; undefined: not at all. */
function offer(answer: (question: number) => Buffer | undefined, tellers = new LinkTellers(200)) {
  const [vm, server] = duplexPair();
  let questions = 0;
  let isClosed = false;
  server.on("close", () => {
    isClosed = true;
  });
  vm.on("data", (chunk: Buffer) => {
    for (const _ of chunk) {
      const bytes = answer(questions++);
      if (bytes) vm.write(bytes);
    }
  });
  vm.on("error", () => {});
  server.on("error", () => {});
  // As the connection of an EPMD does it.
  server.on("end", () => server.destroy());
  tellers.hold(node as NonNullable<typeof node>, server);
  return { tellers, vm, questions: () => questions, isClosed: () => isClosed };
}

test("a VM that has not offered is not asked", async () => {
  expect(await new LinkTellers().ask(node)).toBe("not-offered");
});

test("a VM is asked at once, as the sign that its offer is understood, and then each time anew", async () => {
  const { tellers, questions } = offer((n) => told("a@h.test", ...(n > 1 ? ["b@h.test", "c@h.test"] : [])));
  await waitFor(() => questions() === 1, { what: "the first question" });
  expect(await tellers.ask(node)).toEqual({ node: "a@h.test", linked: new Set() });
  const [one, other] = await Promise.all([tellers.ask(node), tellers.ask(node)]);
  expect(one).toEqual({ node: "a@h.test", linked: new Set(["b@h.test", "c@h.test"]) });
  expect(other).toBe(one);
  expect(questions()).toBe(3);
});

test("an answer may come in pieces of any size", async () => {
  const { tellers, vm } = offer(() => {
    for (const octet of told("a@h.test", "b@h.test")) vm.write(Buffer.of(octet));
    return undefined;
  });
  expect(await tellers.ask(node)).toEqual({ node: "a@h.test", linked: new Set(["b@h.test"]) });
});

test.each<[string, () => Buffer | undefined]>([
  ["announces more than a VM has", () => Buffer.from("7fffffff", "hex")],
  ["sends more than the answer", () => Buffer.concat([told("a@h.test"), Buffer.of(0)])],
  ["sends no names", () => told("a@h.test", "no name")],
  ["sends an empty list", () => told()],
  ["sends no UTF-8", () => Buffer.from("00000003ff4061", "hex")],
])("a VM that %s is closed, and nothing is known of it", async (_, answer) => {
  const { tellers, isClosed } = offer(answer);
  expect(await tellers.ask(node)).toBe("silent");
  await waitFor(isClosed, { what: "the close" });
  expect(await tellers.ask(node)).toBe("not-offered");
});

test("a VM that does not answer stays known as one that offers, and tells again when it goes on", async () => {
  let isStopped = false;
  let owed = 0;
  const names = ["b@h.test"];
  const answer = () => told("a@h.test", ...names);
  const { tellers, vm, questions, isClosed } = offer(() => {
    if (!isStopped) return answer();
    owed++;
    return undefined;
  });
  expect(await tellers.ask(node)).toMatchObject({ linked: new Set(["b@h.test"]) });
  isStopped = true;
  expect([await tellers.ask(node), await tellers.ask(node)]).toEqual(["silent", "silent"]);
  // It has not read the first question, and would answer two at once.
  expect([owed, questions(), isClosed()]).toEqual([1, 2, false]);
  const waiting = tellers.ask(node);
  isStopped = false;
  const late = answer();
  names.push("c@h.test");
  vm.write(late);
  expect(await waiting).toMatchObject({ linked: new Set(["b@h.test", "c@h.test"]) });
  expect(await tellers.ask(node)).toMatchObject({ linked: new Set(["b@h.test", "c@h.test"]) });
});

test("what nobody has asked for ends the connection: it would pass for the next answer", async () => {
  const { tellers, vm, questions, isClosed } = offer(() => told("a@h.test"));
  await waitFor(() => questions() === 1, { what: "the first question" });
  await tellers.ask(node);
  vm.write(told("a@h.test", "b@h.test"));
  await waitFor(isClosed, { what: "the close" });
  expect(await tellers.ask(node)).toBe("not-offered");
});

test("a second offer takes the place of the first, and the end of the registration ends both", async () => {
  const first = offer(() => told("a@h.test"));
  const second = offer(() => told("a@h.test", "b@h.test"), first.tellers);
  await waitFor(first.isClosed, { what: "the close of the first" });
  expect(await first.tellers.ask(node)).toMatchObject({ linked: new Set(["b@h.test"]) });
  first.tellers.end(node);
  await waitFor(second.isClosed, { what: "the close of the second" });
  expect(await first.tellers.ask(node)).toBe("not-offered");
});

test("a VM that goes away while it is asked is not waited for", async () => {
  const tellers = new LinkTellers(60_000);
  const { vm } = offer(() => void vm.end(), tellers);
  expect(await tellers.ask(node)).toMatch(/^(silent|not-offered)$/);
});
