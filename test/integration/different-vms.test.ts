import { describe, expect, test } from "vitest";
import type { Probe } from "../../src/distribution/core/words.js";
import { type Ask, differentVms } from "../../src/distribution/different-vms.js";
import { probeNode } from "../../src/distribution/probe.js";
import { challenge6, fakeNode, framed, sentName } from "../support/fake-node.js";

const NAME = "a@svc.test";
const C_NODE = "0000000005001f0c";

interface FakeVm {
  readonly creation?: number;
  readonly flags?: string;
  /** What it says to a second handshake under one name. */
  readonly second?: "nok" | "ok_simultaneous" | "nothing";
}

/** Asked so often. */
let asked = 0;

/** A VM as net_kernel is, at a place more each time. @returns its port */
function fakeVm({ creation = 7, flags, second = "nok" }: FakeVm = {}): () => Promise<number> {
  const pending = new Set<string>();
  const challenge = challenge6(NAME, flags);
  challenge.writeUInt32BE(creation, 13);
  return () =>
    fakeNode((socket, received) => {
      const name = sentName(received);
      const isSecond = pending.has(name);
      pending.add(name);
      socket.on("close", () => !isSecond && pending.delete(name));
      if (isSecond && second === "nothing") return;
      if (isSecond && second === "nok") socket.write(framed("snok"));
      else socket.write(Buffer.concat([framed(isSecond ? `s${second}` : "sok"), framed(challenge)]));
    });
}

const ask: Ask<Place> = ({ endpoint }, again) => {
  asked++;
  return probeNode(endpoint, {
    ...{ isAsked: (name) => name === NAME, timeout: 1_000, from: "box.test", random: Math.random, ...again },
  });
};
interface Place {
  readonly endpoint: { readonly address: string; readonly port: number };
  readonly probe: Probe;
}

/** The places of different VMs, by their numbers, among these. */
async function different(...ports: readonly number[]): Promise<number[]> {
  const places: Place[] = [];
  for (const port of ports) {
    const endpoint = { address: "127.0.0.1", port };
    places.push({ endpoint, probe: await ask({ endpoint } as Place, {}) });
  }
  asked = 0;
  return (await differentVms(places, ask)).map(({ endpoint }) => ports.indexOf(endpoint.port));
}

describe("places at which VMs tell one name", () => {
  test.each(["nok", "ok_simultaneous"] as const)(
    "are those of one VM that says %s to a second handshake",
    async (second) => {
      const place = fakeVm({ second });
      expect(await different(await place(), await place(), await place())).toEqual([0]);
    },
  );

  test("are those of two VMs with one creation, each of which takes the same name", async () => {
    const [one, other] = [fakeVm(), fakeVm()];
    expect(await different(await one(), await other(), await one(), await other())).toEqual([0, 1]);
  });

  test("are those of two VMs with two creations, which are not asked again", async () => {
    const [one, other] = [fakeVm({ creation: 7 }), fakeVm({ creation: 8 })];
    expect([await different(await one(), await other()), asked]).toEqual([[0, 1], 0]);
  });

  test("are those of one VM where nothing proves two", async () => {
    const silent = fakeVm({ second: "nothing" });
    expect(await different(await silent(), await silent())).toEqual([0]);
    // The libraries of C nodes keep no names of handshakes.
    const [one, other] = [fakeVm({ flags: C_NODE }), fakeVm({ flags: C_NODE })];
    expect([await different(await one(), await other()), asked]).toEqual([[0], 0]);
    const port = await fakeVm()();
    expect([await different(port, port), asked]).toEqual([[0], 0]);
    expect(await different(1)).toEqual([]);
  });
});
