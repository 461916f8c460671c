import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { runCommand, startCommand } from "../support/command-line.js";
import { startFakeConsul } from "../support/fake-consul.js";
import { startFakeDns } from "../support/fake-dns-server.js";
import { ANSWERS, acknowledge, fakePeer, rexReply, uint32 } from "../support/fake-link.js";
import { challenge6, fakeNode, framed, listenWith } from "../support/fake-node.js";
import { freePort } from "../support/free-port.js";
import { temporaryFolder } from "../support/temporary.js";

const COOKIE = "MONSTERCOOKIE";
let folder: string;
let cookieFile: string;
beforeAll(async () => {
  folder = await temporaryFolder("cluster");
  cookieFile = join(folder, "cookie");
  await writeFile(cookieFile, COOKIE, { mode: 0o600 });
});

/** A list of node names as a term. */
function nodeList(names: readonly string[]): Buffer {
  const atoms = names.map((name) => Buffer.concat([Buffer.of(119, Buffer.byteLength(name)), Buffer.from(name)]));
  return names.length === 0
    ? Buffer.of(106)
    : Buffer.concat([Buffer.of(108), uint32(names.length), ...atoms, Buffer.of(106)]);
}

interface Fake {
  readonly name: string;
  readonly linked: () => readonly string[];
  readonly cookie?: string;
}

let open = 0;
let most = 0;
/** Nodes that are linked as they say. @returns the file with their places */
async function fakes(nodes: readonly Fake[]): Promise<string> {
  const lines = nodes.map(async ({ name, linked, cookie = COOKIE }) => {
    const port = await fakePeer((peer, us) => {
      if (peer.isFirst) {
        most = Math.max(most, ++open);
        peer.socket.on("close", () => open--);
      }
      if (!acknowledge(peer, cookie) || !peer.isFirst) return;
      const answers = ANSWERS.with(0, nodeList(linked()));
      peer.socket.write(Buffer.concat(answers.map((answer, id) => rexReply(us, id, answer))));
    }, name);
    return `${name}=127.0.0.1:${port}`;
  });
  const file = join(folder, `nodes-${nodes.length}-${nodes[0]?.name}`);
  await writeFile(file, `${(await Promise.all(lines)).join("\n")}\n`);
  return file;
}

const names = (count: number, host: string) => Array.from({ length: count }, (_, index) => `n${index}@${host}`);
const mesh = (all: readonly string[]): Fake[] =>
  all.map((name) => ({ name, linked: () => all.filter((other) => other !== name) }));

async function doctor(all: readonly string[], file: string, ...more: readonly string[]) {
  const flags = ["--nodes-file", file, "--cookie-file", cookieFile, "--port", String(await freePort())];
  const result = await runCommand(["doctor", "--cluster", ...all, ...flags, ...more]);
  expect(result.stdout + result.stderr).not.toContain(COOKIE);
  return result;
}

test("two hundred nodes are judged within seconds, and never more than the ceiling are under way", async () => {
  const all = names(200, "many.test");
  const file = await fakes(mesh(all));
  [open, most] = [0, 0];
  const before = performance.now();
  const { code, stdout, stderr } = await doctor(all, file);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout.split("\n")[0]).toBe("200 nodes, 19900 of 19900 links; nothing is wrong");
  expect(most).toBeLessThanOrEqual(128);
  expect(performance.now() - before).toBeLessThan(30_000);
}, 60_000);

test("two hundred nodes that say nothing take some seconds, and one that takes its time is not given up", async () => {
  const silent = names(200, "silent.test").slice(1);
  const [slow = ""] = names(1, "silent.test");
  const [hole, late] = [
    await listenWith(() => undefined),
    await fakeNode((socket) =>
      setTimeout(() => socket.write(Buffer.concat([framed("sok"), framed(challenge6(slow))])), 1_500),
    ),
  ];
  const file = join(folder, "silent");
  await writeFile(file, [`${slow}=127.0.0.1:${late}`, ...silent.map((name) => `${name}=127.0.0.1:${hole}`)].join("\n"));
  const before = performance.now();
  const { code, stdout } = await doctor([slow, ...silent], file, "--json");
  const { nodes } = JSON.parse(stdout) as { nodes: { node: string; places: { result: string }[] }[] };
  const there = nodes.filter(({ places }) => places[0]?.result === "node").map(({ node }) => node);
  expect([code, there]).toEqual([1, [slow]]);
  // Sixteen after sixteen they would take 26 s.
  expect(performance.now() - before).toBeLessThan(15_000);
}, 60_000);

test("of more nodes the first two hundred are judged, and it says so", async () => {
  const all = names(201, "more.test");
  const entries = join(folder, "more");
  await writeFile(entries, all.map((name) => `${name}=127.0.0.1:1`).join("\n"));
  const { stdout, stderr } = await doctor(all, entries, "--json");
  expect(stderr).toContain("201 nodes match, and the first 200 are looked at");
  expect(JSON.parse(stdout).nodes).toHaveLength(200);
}, 60_000);

test("what two VMs say differently is asked a second time", async () => {
  const [a = "", b = ""] = names(2, "sided.test");
  let looks = 0;
  // The link comes up while the VMs are asked.
  const file = await fakes([
    { name: a, linked: () => (++looks === 1 ? [] : [b]) },
    { name: b, linked: () => [a] },
  ]);
  expect((await doctor([a, b], file)).stdout).toContain("2 nodes, 1 of 1 links; nothing is wrong");
  const broken = await fakes([
    { name: a, linked: () => [] },
    { name: b, linked: () => [a] },
  ]);
  const { code, stdout } = await doctor([a, b], broken);
  expect([code, stdout.split("\n")[0]]).toEqual([1, `2 nodes, 0 of 1 links; ${b} lists ${a}, which does not list it`]);
});

test("of a catalogue that does not answer the first line is short, with what to do below it", async () => {
  const [none, hung] = [await freePort(), await listenWith(() => undefined)];
  const of = async (port: number) => {
    const flags = ["--consul", `http://127.0.0.1:${port}`, "--dns", `127.0.0.1:${none}`, "--timeout", "500ms"];
    const args = ["doctor", "--cluster", "*@svc", "x@svc", "--port", String(await freePort()), ...flags, "--json"];
    const { code, stdout } = await runCommand(args);
    const { summary, problems } = JSON.parse(stdout);
    expect([code, problems.length]).toEqual([1, 1]);
    return [summary, problems[0].text, problems[0].advice];
  };
  expect(await of(none)).toEqual([
    `Consul at 127.0.0.1:${none} does not answer (refused); 1 of 1 node was not looked for`,
    expect.stringMatching(/^Consul does not list its nodes \(GET .*ECONNREFUSED/),
    "start the agent of Consul there, or give another one: --consul",
  ]);
  expect(await of(hung)).toEqual([
    `Consul at 127.0.0.1:${hung} does not answer (no answer in time); 1 of 1 node was not looked for`,
    expect.stringMatching(/^Consul does not list its nodes \(http:\S+ gives no answer within 500 ms\); no name server/),
    expect.stringMatching(
      /^see the log of the agent, which runs and does not answer: .* doctor here says what it waits/,
    ),
  ]);
});

test("a node of the srv-epmd here that it has not published, and that nobody tells of", async () => {
  const [consul, dnsServer] = await Promise.all([startFakeConsul(), startFakeDns(() => ({ rcode: 3 }))]);
  const node = (name: string, publication: string) => ({ name, port: 1, publication });
  const status = {
    ...{ epmd: { port: 4369 }, readiness: { checks: [] }, domains: ["svc.service.consul"] },
    nodes: [node("a", "not-in-consul"), node("ab", "in-consul"), node("other", "not-in-consul")],
  };
  const admin = createServer((_, response) => response.end(JSON.stringify(status))).listen(0, "127.0.0.1");
  await once(admin, "listening");
  const place = `127.0.0.1:${(admin.address() as AddressInfo).port}`;
  const dns = ["--dns", `127.0.0.1:${dnsServer.port}`, "--port", String(await freePort())];
  const flags = ["--consul", consul.url, "--admin", place, ...dns, "--timeout", "300ms", "--json"];
  const { code, stdout } = await runCommand(["doctor", "--cluster", "a*@svc", ...flags]);
  admin.close();
  await Promise.all([consul.close(), dnsServer.close()]);
  const { problems } = JSON.parse(stdout);
  expect([code, problems]).toMatchObject([
    1,
    [
      {
        ...{ code: "NOT_LISTED", nodes: ["a@svc.service.consul"] },
        text: expect.stringMatching(
          /^a@svc\.service\.consul matches, is registered with the srv-epmd here, and is not in Consul/,
        ),
        advice: "run srv-epmd doctor here: registration says why it is not published",
      },
    ],
  ]);
});

test("what a node says cannot write on the terminal", async () => {
  const [a = ""] = names(1, "evil.test");
  const evil = "x@\x1b[2J\nfail\u202e";
  const file = await fakes([{ name: a, linked: () => [evil] }]);
  for (const json of [[], ["--json"]]) {
    const { stdout } = await doctor([a], file, ...json);
    for (const character of ["\x1b", "\u202e"]) expect(stdout).not.toContain(character);
    expect(stdout).not.toContain("\nfail\n");
    expect(stdout).toContain("[2J");
  }
});

test("on a terminal --watch shows the verdict in place, until Ctrl-C", async () => {
  const all = names(2, "watch.test");
  const file = await fakes(mesh(all));
  const flags = ["--nodes-file", file, "--cookie-file", cookieFile, "--port", String(await freePort()), "--watch"];
  const watch = startCommand(["doctor", "--cluster", ...all, ...flags], {
    ...{ stdoutIsTerminal: true, columns: 100, env: { NO_COLOR: "1" } },
  });
  await watch.waitForOutput(/\[\d+A.\[J2 nodes, 1 of 1 links/);
  watch.signal("SIGINT");
  expect(await watch.done).toBe(0);
  expect(watch.stdout().startsWith("2 nodes, 1 of 1 links; nothing is wrong\n")).toBe(true);
}, 30_000);
