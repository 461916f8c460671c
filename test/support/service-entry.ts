import type { HeldService, ServiceEntry } from "../../src/publish/core/service-entry.js";

export const OWNER = "boot-1/4026531840/4369";
export const STRANGER = "boot-1/4026532999/4369";

export function serviceEntry(aliveName: string, over: Partial<ServiceEntry> = {}): ServiceEntry {
  return {
    id: `srv-epmd:box1:${aliveName}`,
    aliveName,
    service: "svc",
    tags: [aliveName],
    address: "10.0.0.1",
    port: 20001,
    isNative: false,
    weight: 1,
    meta: { "erlang-node": `${aliveName}@svc.service.consul`, "erlang-dist-port": "20001", "srv-epmd-owner": OWNER },
    ttl: 15_000,
    deregisterAfter: 300_000,
    tcpCheck: undefined,
    ...over,
  };
}

/** The entry as the agent lists it. */
export function heldService(entry: ServiceEntry, owner = OWNER): HeldService {
  const { id, service, tags, address, port, weight, isNative, meta } = entry;
  return { id, service, tags, address, port, weight, isNative, meta: { ...meta, "srv-epmd-owner": owner } };
}
