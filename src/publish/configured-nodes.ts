import type { Logger } from "../daemon/logger.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { SYNTHETIC_DESCRIPTION } from "../epmd/wire/messages.js";
import { type Family, LOOPBACKS } from "../net/endpoint.js";
import { accepts } from "../os/sockets.js";

interface ConfiguredNodesDeps {
  /** Alive names from --publish-node. */
  readonly names: readonly string[];
  /** ERL_DIST_PORT: where their VM listens. */
  readonly port: number;
  readonly registry: Registry;
  readonly log: Logger;
  /** Milliseconds since the epoch, for the registry. */
  readonly now: () => number;
  /** Milliseconds from one try to the next while the port is closed, and while it is open. */
  readonly intervals?: { readonly closed: number; readonly open: number };
}

export interface ConfiguredNodes {
  /** Tries often from now on: the daemon is stopping, and VMs that stop with it are to be unregistered in time. */
  hasten(): void;
  close(): Promise<void>;
}

const INTERVALS = { closed: 1_000, open: 5_000 };
const HASTENED = { closed: 100, open: 100 };
/** One failed connect may be a full backlog; after two in a row the VM has gone. */
const FAILURES_TO_GO = 2;
/** Milliseconds; loopback answers at once. */
const CONNECT_TIMEOUT = 1_000;

/** Keeps nodes that never speak EPMD in the registry for as long as their distribution port accepts connections. */
export function startConfiguredNodes(deps: ConfiguredNodesDeps): ConfiguredNodes {
  const { names, port, registry, log, now } = deps;
  let intervals = deps.intervals ?? INTERVALS;
  const abort = new AbortController();
  let nodes: RegisteredNode[] = [];
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();

  const leave = () => {
    for (const node of nodes) registry.unregister(node);
    nodes = [];
  };
  const look = async () => {
    timer = undefined;
    const family = await listeningFamily(port, abort.signal);
    if (abort.signal.aborted) return;
    if (family !== undefined) {
      failures = 0;
      // The registry refuses a name that its VM has registered itself.
      const added = names.flatMap((aliveName) => {
        const registration = { aliveName, port, family, origin: "configured", ...SYNTHETIC_DESCRIPTION } as const;
        return registry.register(registration, now()) ?? [];
      });
      if (added.length > 0) log.info({ nodes: added.map((node) => node.aliveName), port }, "configured nodes are up");
      nodes = [...nodes.filter((node) => registry.get(node.aliveName) === node), ...added];
    } else if (nodes.length > 0 && ++failures >= FAILURES_TO_GO) {
      log.info({ nodes: nodes.map((node) => node.aliveName), port }, "configured nodes have gone");
      leave();
    }
    timer = setTimeout(start, family === undefined ? intervals.closed : intervals.open);
  };
  const start = () => {
    looking = look();
  };
  start();

  return {
    hasten: () => {
      intervals = HASTENED;
      // A try that is under way schedules the next one.
      if (timer === undefined || abort.signal.aborted) return;
      clearTimeout(timer);
      start();
    },
    close: async () => {
      abort.abort();
      clearTimeout(timer);
      await looking;
      leave();
    },
  };
}

/** A VM that accepts on ::1 (inet6_tcp) listens on both families and counts as IPv6. */
async function listeningFamily(port: number, signal: AbortSignal): Promise<Family | undefined> {
  const [four, six] = await Promise.all(
    LOOPBACKS.map((address) => accepts({ address, port }, CONNECT_TIMEOUT, signal)),
  );
  if (six) return 6;
  return four ? 4 : undefined;
}
