import { expect, test } from "vitest";
import { ListenError } from "../../src/core/errors.js";
import { GatewayAddresses } from "../../src/core/gateway/addresses.js";
import { loopbackRange } from "../../src/core/gateway/loopback-range.js";
import { GatewayHosts } from "../../src/gateway/hosts.js";
import { collectLog } from "../support/log-lines.js";

const RANGE = loopbackRange("127.65.3.0/24");

function gatewayHosts(limit: number, listen: (address: string) => Promise<void> = async () => {}) {
  const listening = new Set<string>();
  const kept: string[] = [];
  const { log, messages } = collectLog();
  const hosts = new GatewayHosts({
    addresses: new GatewayAddresses(RANGE, limit),
    listen: async (address) => {
      await listen(address);
      listening.add(address);
    },
    stopListening: (address) => listening.delete(address),
    onPair: ({ host }) => kept.push(host),
    log,
  });
  return { hosts, listening, kept, messages };
}

test("a flood of names that nobody asks for takes no room from hosts that are in use, and is not remembered", async () => {
  const { hosts, listening, kept } = gatewayHosts(8);
  await hosts.preload(["svc.test"]);
  const used = (await hosts.addressFor("used.svc.test")) ?? "";
  hosts.markUsed(used);
  for (let flood = 0; flood < 100; flood++) await hosts.addressFor(`flood${flood}.svc.test`);
  const fresh = (await hosts.addressFor("new.svc.test")) ?? "";
  expect(fresh).not.toBe("");
  hosts.markUsed(fresh);
  expect(await hosts.addressFor("used.svc.test")).toBe(used);
  expect(listening.size).toBe(8);
  expect(kept).toEqual(["svc.test", "used.svc.test", "new.svc.test"]);
});

test("when all are in use a further host has none, which is said once; it has one when there is room again", async () => {
  const { hosts, messages } = gatewayHosts(2);
  await hosts.preload(["a.test", "b.test"]);
  expect([await hosts.addressFor("c.test"), await hosts.addressFor("d.test")]).toEqual([undefined, undefined]);
  expect(messages("error")).toHaveLength(1);
});

test("a fault that passes costs a host nothing: it keeps its address", async () => {
  let faults = 3;
  const { hosts } = gatewayHosts(8, async () => {
    if (faults-- > 0) throw new ListenError("LISTEN_FAILED", "too many open files");
  });
  const derived = new GatewayAddresses(RANGE).assign("a.test");
  const tries = [];
  for (let time = 0; time < 4; time++) tries.push(await hosts.addressFor("a.test"));
  expect(tries).toEqual([undefined, undefined, undefined, derived]);
});
