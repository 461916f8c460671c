import { existsSync } from "node:fs";
import type { PortRange } from "../config/network-values.js";
import type { Environment } from "../config/nomad.js";

/** How a relay process can be started. */
export interface RelayStart {
  /** Command line that starts `srv-epmd`, without arguments. */
  readonly program: readonly string[];
  /** Environment of this process; the relay process gets a part of it. */
  readonly env: Environment;
  /** Result of supervisorOf. */
  readonly supervised: string | undefined;
}

/** Files that exist in the containers of Docker and Podman. */
const CONTAINER_FILES = ["/.dockerenv", "/run/.containerenv"];

/**
 * The unit or task that ends together with every process started in it, with advice; undefined on a bare host.
 * @param exists whether a file exists
 */
export function supervisorOf(env: Environment, exists: (path: string) => boolean = existsSync): string | undefined {
  if (env.NOMAD_ALLOC_ID)
    return "this Nomad task; run srv-epmd relay as a task of its own (lifecycle hook prestart, sidecar)";
  if (env.INVOCATION_ID || env.NOTIFY_SOCKET) return "this systemd unit; run srv-epmd relay as a unit of its own";
  if (CONTAINER_FILES.some(exists))
    return "this container; run srv-epmd relay in a container of its own, in the same network namespace";
  return undefined;
}

/** Command line of a relay process. @param program command line that starts srv-epmd */
export function relayCommand(program: readonly string[], socket: string, { low, high }: PortRange): readonly string[] {
  return [...program, "relay", "--relay-socket", socket, "--relay-ports", `${low}-${high}`, "--until-idle"];
}

/**
 * Starts a program that outlives this one: in its own session, without a terminal. It gets no variable that could hold a
 * secret or change an option.
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
