import { pino } from "pino";
import type { Registry } from "../../src/epmd/core/registry.js";
import { createRegister, type Register, type RegisteringDeps } from "../../src/epmd/registering.js";

/** Every local peer may register. */
export function registering(registry: Registry, over: Partial<RegisteringDeps> = {}): Register {
  return createRegister({
    registry,
    maxNodes: 4096,
    uids: undefined,
    uidOf: () => Promise.resolve(undefined),
    isClosed: () => Promise.resolve(false),
    release: () => {},
    now: () => 1_700_000_000_000,
    log: pino({ level: "silent" }),
    ...over,
  });
}
