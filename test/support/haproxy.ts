import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Child, type Exit, type Place, startChild } from "./child.js";
import { cleanEnvironment, findProgram } from "./environment.js";
import { removeFolder, temporaryFolder } from "./temporary.js";
import { findUnpacked, sharedLibraries } from "./unpacked.js";
import { waitFor } from "./wait-for.js";

export interface HaproxyOptions {
  /** IPv4 address and port: `127.0.0.1:9000`. */
  readonly listen: string;
  readonly target: string;
  /** It takes mutual TLS, and no other; PEM files, the certificate with its key behind it. */
  readonly takesTls?: TlsFiles;
  /** It makes mutual TLS with the target. */
  readonly makesTls?: TlsFiles;
  readonly netns?: Place;
}

interface TlsFiles {
  readonly pair: string;
  readonly ca: string;
}

export interface Haproxy {
  readonly child: Child;
  /** Ends connections too. */
  readonly stop: () => Promise<Exit>;
}

interface Program {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/** The machine's own, else the unpacked one with its libraries. */
export function findHaproxy(): Program | undefined {
  const own = findProgram("haproxy");
  if (own !== undefined) return { path: own, env: {} };
  const unpacked = findUnpacked("haproxy");
  if (unpacked === undefined) return undefined;
  return { path: unpacked.path("usr/sbin/haproxy"), env: { LD_LIBRARY_PATH: sharedLibraries(unpacked) } };
}

/** HAProxy in TCP mode with one thread: a relay as good as they come. It accepts when this returns. */
export async function startHaproxy(options: HaproxyOptions): Promise<Haproxy> {
  const { listen, netns } = options;
  const program = findHaproxy();
  if (program === undefined) throw new Error("HAProxy is not there: bash test/install-peers.sh");
  const folder = await temporaryFolder("haproxy");
  const file = join(folder, "haproxy.cfg");
  await writeFile(file, config(options));
  const env = cleanEnvironment(program.env);
  const child = startChild(program.path, ["-db", "-f", file], { env, ...(netns && { netns }) });
  const leave = async (exit: Promise<Exit>) => {
    const how = await exit;
    await removeFolder(folder);
    return how;
  };
  const port = Number(listen.slice(listen.lastIndexOf(":") + 1));
  try {
    await waitFor(() => (child.hasExited() ? "ended" : listens(child.pid, port)), { what: `HAProxy on ${listen}` });
    if (child.hasExited()) throw new Error("HAProxy has ended");
  } catch (error) {
    await leave(child.kill());
    throw new Error(`${String(error)}\n${child.stdout()}\n${child.stderr()}`);
  }
  return { child, stop: () => leave(child.stop("SIGTERM")) };
}

function config({ listen, target, takesTls, makesTls }: HaproxyOptions): string {
  const bind = takesTls ? ` ssl crt ${takesTls.pair} ca-file ${takesTls.ca} verify required` : "";
  const server = makesTls ? ` ssl crt ${makesTls.pair} ca-file ${makesTls.ca} verify required` : "";
  return `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen relay
  bind ${listen}${bind}
  server node ${target}${server}
`;
}

/** Whether the process has a listener on the port: a connection to see it would reach the target. */
function listens(pid: number, port: number): boolean {
  const local = port.toString(16).toUpperCase().padStart(4, "0");
  // Columns of proc_net_tcp(5): sl local_address rem_address st=0A (LISTEN) tx:rx tr:tm retrnsmt uid timeout inode
  const listener = new RegExp(`^ *\\d+: [0-9A-F]+:${local} \\S+ 0A (?:\\S+ +){5}(\\d+) `, "gm");
  try {
    const found = Array.from(readFileSync(`/proc/${pid}/net/tcp`, "utf8").matchAll(listener));
    const sockets = found.map(([, inode]) => `socket:[${inode}]`);
    const files = `/proc/${pid}/fd`;
    return readdirSync(files).some((file) => sockets.includes(readlinkSync(join(files, file))));
  } catch {
    // A descriptor or the process has gone in the meantime.
    return false;
  }
}
