import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * Variables that would change what a peer or srv-epmd does: a test gives its own. Those of a terminal differ from one machine to the next.
 * Node reads the certificates of NODE_EXTRA_CA_CERTS at each start, which may take longer than all the rest of it.
 */
const FOREIGN =
  /^(ERL|ELIXIR|MIX|SRV_EPMD|CONSUL|NOMAD|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|VITEST|NOTIFY_SOCKET)(_|$)|^(ERL_|ROOTDIR|BINDIR|EMU)|^(SHELL|PAGER|LESS|NO_COLOR|FORCE_COLOR|COLUMNS|LINES)$/;

/** This process's environment without what belongs to Erlang, Consul, Nomad, srv-epmd or a terminal, plus the test's own. */
export function cleanEnvironment(own: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name));
  return { ...Object.fromEntries(inherited), ...own };
}

/** Path of a program, looked for on PATH, where system tools are, and in the extra folders. */
export function findProgram(name: string, ...folders: readonly string[]): string | undefined {
  const path = (process.env.PATH ?? "").split(":").filter((folder) => folder !== "");
  return [...path, "/usr/sbin", "/sbin", ...folders]
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}

/** These ask the srv-epmd of the machine for its settings. */
const AS_DAEMON = new Set(["resolve", "names", "wait", "ping", "doctor"]);

/**
 * For a command on the host that all tests share: it asks no daemon but one that is named, for at the usual port there may
 * be that of another test.
 */
export function askingNoDaemon(args: readonly string[]): NodeJS.ProcessEnv {
  return AS_DAEMON.has(args[0] ?? "") && !args.includes("--admin") ? { SRV_EPMD_ADMIN: "none" } : {};
}
