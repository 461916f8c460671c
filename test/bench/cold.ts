import { Resolver } from "node:dns/promises";
import { loadConfig } from "../../src/config/config.js";
import { createLogger } from "../../src/daemon/logger.js";
import { parseNodeName } from "../../src/names/node-name.js";
import { composeForLookUps } from "../../src/resolve/compose.js";
import { a, type SeenQuery, srv, startFakeDns } from "../support/fake-dns-server.js";
import { median, report } from "./measure.js";

const ROUNDS = 7;
const NAMES = 40;
/** What a name server a few racks away takes, milliseconds. */
const ROUND_TRIP = 5;

function answer({ qname, qtype }: SeenQuery) {
  const address = { delay: ROUND_TRIP, answers: [a(qname, "10.0.0.1")] };
  if (qtype === "A") return address;
  const target = `target.${qname}`;
  return { delay: ROUND_TRIP, answers: [srv(qname, target, 9100)], additionals: [a(target, "10.0.0.1")] };
}

/** Time to an endpoint for names that nobody asked for before, beside the way of DynamicSrv: A, and then SRV. */
export async function benchColdResolution(): Promise<void> {
  const server = await startFakeDns(answer);
  const at = `${server.address}:${server.port}`;
  const { config } = loadConfig({ command: "resolve", flags: { dns: [at], preferReachable: "false" }, env: {} });
  const log = createLogger({ level: "silent", format: "json", write: () => {} });
  const resolving = composeForLookUps(config, log);
  const sequential = new Resolver();
  sequential.setServers([at]);

  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const names = Array.from({ length: NAMES }, (_, index) => `n${round}x${index}`);
    ours.push(
      await timed(names, async (name) => {
        const { outcome } = await resolving.nodes.resolve(parseNodeName(`${name}@cold.test`), { sameHost: true });
        if (outcome !== "found") throw new Error(outcome);
      }),
    );
    theirs.push(
      await timed(names, async (name) => {
        await sequential.resolve4(`${name}.cold.test`);
        await sequential.resolveSrv(`${name}.cold.test`);
      }),
    );
  }
  report(`Cold resolution, name server ${ROUND_TRIP} ms away: median of ${ROUNDS} rounds of ${NAMES} names`, [
    {
      what: "time per name",
      unit: "ms",
      ours: median(ours.slice(1)),
      peer: median(theirs.slice(1)),
      peerName: "A then SRV",
    },
  ]);
  await resolving.close();
  await server.close();
}

/** Milliseconds per name, one after the other. */
async function timed(names: readonly string[], resolve: (name: string) => Promise<void>): Promise<number> {
  const started = performance.now();
  for (const name of names) await resolve(name);
  return (performance.now() - started) / names.length;
}
