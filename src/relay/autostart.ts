import { existsSync } from "node:fs";
import type { PortRange } from "../config/network-values.js";
import type { Environment } from "../config/nomad.js";

/** How a relay process can be started. */
export interface RelayStart {
  /** Starts `srv-epmd`, before its arguments. */
  readonly program: readonly string[];
  /** Environment of this process: what the other needs of it is handed on. */
  readonly env: Environment;
  /** What everything started here ends with, from supervisorOf; undefined on a bare host. */
  readonly supervised: string | undefined;
}

/** Files that say that this is a container: Docker's, Podman's. */
const CONTAINER_FILES = ["/.dockerenv", "/run/.containerenv"];

/**
 * Where everything that a process starts ends with it, and what to do about it; undefined on a bare host.
 * @param exists whether there is a file of that path
 */
export function supervisorOf(env: Environment, exists: (path: string) => boolean = existsSync): string | undefined {
  if (env.NOMAD_ALLOC_ID)
    return "this Nomad task; run srv-epmd relay as a task of its own (lifecycle hook prestart, sidecar)";
  if (env.INVOCATION_ID || env.NOTIFY_SOCKET) return "this systemd unit; run srv-epmd relay as a unit of its own";
  if (CONTAINER_FILES.some(exists))
    return "this container; run srv-epmd relay in a container of its own, in the same network namespace";
  return undefined;
}

/** Command line of a relay process. @param program starts srv-epmd */
export function relayCommand(program: readonly string[], socket: string, { low, high }: PortRange): readonly string[] {
  return [...program, "relay", "--relay-socket", socket, "--relay-ports", `${low}-${high}`, "--until-idle"];
}

/**
 * Starts a program that outlives this one: a session of its own, no terminal, nothing of our environment that names
 * secrets or changes options.
 */
export async function startDetached(command: readonly string[], env: Environment): Promise<void> {
  const { spawn } = await import("node:child_process");
  const [program = "", ...args] = command;
  const { PATH, HOME, LANG, TZ } = env;
  const child = spawn(program, args, { detached: true, stdio: "ignore", cwd: "/", env: { PATH, HOME, LANG, TZ } });
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", resolve);
  });
  child.unref();
}
