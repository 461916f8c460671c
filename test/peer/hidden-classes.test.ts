import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { a, type SeenQuery, srv, startFakeDns } from "../support/fake-dns-server.js";
import { ask, rawNode, request } from "../support/raw-epmd.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

// V8 11 (Node 20) makes a new hidden class for each object that gets a property after it was copied (`{ ...one, added }`).

const [ROUNDS, AT_ONCE] = [20, 20];

/** A daemon, and how often V8 made a hidden class for the same property in its life. */
async function observedDaemon(args: readonly string[] = []) {
  const logfile = join(await temporaryFolder("hidden-classes"), "v8.log");
  const nodeArgs = ["--log-maps", `--logfile=${logfile}`, "--no-logfile-per-isolate"];
  const daemon = await startDaemon({ args, nodeArgs });
  const stop = async () => {
    await daemon.stop();
    // `map,<what happened>,<when>,<from>,<to>,<code>,<line>,<column>,<why>,<property>`
    const transitions = readFileSync(logfile, "utf8").matchAll(/^map,Transition,(?:[^,]*,){7}(.*)$/gm);
    const byProperty = new Map<string, number>();
    for (const [, property = ""] of transitions) byProperty.set(property, (byProperty.get(property) ?? 0) + 1);
    return new Map(Array.from(byProperty).filter(([, count]) => count >= (ROUNDS * AT_ONCE) / 4));
  };
  return { daemon, stop };
}

/** @param name the node that is looked up, by the number of the look-up */
async function lookUp({ port }: Daemon, name: (number: number) => string): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const numbers = Array.from({ length: AT_ONCE }, (_, index) => round * AT_ONCE + index);
    const answers = await Promise.all(numbers.map((number) => ask(port, request("z", name(number)))));
    expect(answers.map((answer) => answer.subarray(0, 2).toString("hex"))).toEqual(numbers.map(() => "7700"));
  }
}

test("a look-up of a registered node has no hidden classes of its own", async () => {
  const { daemon, stop } = await observedDaemon();
  const node = await rawNode(daemon.port, { name: "live" });
  await lookUp(daemon, () => "live");
  await node.close();
  expect(await stop()).toEqual(new Map());
});

test("nor has one that DNS answers", async () => {
  const target = "0a000001.addr.dc1.consul";
  const dns = await startFakeDns(({ qname, qtype }: SeenQuery) =>
    qtype === "SRV"
      ? { answers: [srv(qname, target, 9100)], additionals: [a(target, "10.0.0.1")] }
      : { answers: qtype === "A" ? [a(qname, "10.0.0.1")] : [] },
  );
  const { daemon, stop } = await observedDaemon(["--dns", `${dns.address}:${dns.port}`, "--prefer-reachable", "false"]);
  await lookUp(daemon, (number) => `n${number}@svc.test`);
  expect(await stop()).toEqual(new Map());
  await dns.close();
});
