import type { EventEmitter } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import type { IpPort } from "../config/network-values.js";
import { ListenError } from "../errors.js";
import { hostPort, isWildcard } from "../net/ip.js";
import { type Connection, connectionsIn } from "./core/connections.js";
import { listenersIn, listenersOn, uidAtEnd, uidsListeningAt, uidsListeningOn } from "./core/tcp-table.js";

/** The tables of this network namespace, also where a systemd unit hides the rest of /proc (ProcSubset=pid). */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/** Whether this system has the tables: Linux has. */
export async function hasTcpTables(): Promise<boolean> {
  return (await readTables()).length > 0;
}

/** Addresses and ports at which a program of this network namespace listens; undefined where the system has no tables. */
export async function readListeners(): Promise<readonly IpPort[] | undefined> {
  const tables = await readTables();
  return tables.length === 0 ? undefined : tables.flatMap(listenersIn);
}

/**
 * The user of the process that has this end of a connection; undefined where no process of this network namespace has
 * it, or the system has no tables.
 */
export async function uidOfSocket(local: IpPort, remote: IpPort): Promise<number | undefined> {
  return uidAtEnd(await readTables(), local, remote);
}

/** Connections that are established here, without those of this process; empty where the system has no tables. */
export async function readConnections(): Promise<Connection[]> {
  const all = (await readTables()).flatMap((table) => connectionsIn(table));
  const sockets = socketsOf(process.pid);
  const ends = new Set(all.filter(({ inode }) => sockets.has(inode)).map(({ local }) => hostPort(local)));
  return all.filter(({ inode, remote }) => !sockets.has(inode) && !ends.has(hostPort(remote)));
}

/** The sockets of a process, by their inodes; empty where this user may not see them. */
export function socketsOf(pid: number): ReadonlySet<number> {
  const links = list(`/proc/${pid}/fd`).map((descriptor) => link(`/proc/${pid}/fd/${descriptor}`));
  return new Set(links.flatMap((target) => Number(/^socket:\[([0-9]+)\]$/.exec(target)?.[1]) || []));
}

/** The users of the processes that listen at each of these places of this machine; undefined where the system has no tables. */
export async function listeningUids(places: readonly IpPort[]): Promise<readonly ReadonlySet<number>[] | undefined> {
  const tables = await readTables();
  return tables.length === 0 ? undefined : places.map((place) => uidsListeningAt(tables, place));
}

/** The users of the processes that listen on a port, at any address of this machine; undefined where the system has no tables. */
export async function usersOfPort(port: number): Promise<ReadonlySet<number> | undefined> {
  const tables = await readTables();
  return tables.length === 0 ? undefined : uidsListeningOn(tables, port);
}

async function readTables(): Promise<string[]> {
  const tables = await Promise.all(TABLES.map((table) => readFile(table, "utf8").catch(() => undefined)));
  return tables.filter((table) => table !== undefined);
}

export interface ListeningProcess {
  readonly pid: number;
  /** The program and, for an interpreter, its script. Options are left out: they may hold secrets. */
  readonly command: string;
}

/**
 * The process with a socket listening on this TCP port; without privileges only our own processes are visible.
 * @param address canonical literal at which it listens, or else at a wildcard; undefined: at any
 */
export function findListener(port: number, address?: string): ListeningProcess | undefined {
  const inodes = new Set(TABLES.flatMap((table) => listeningInodes(text(table), port, address)));
  if (inodes.size === 0) return undefined;
  for (const pid of list("/proc").filter((entry) => /^[0-9]+$/.test(entry))) {
    for (const descriptor of list(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[([0-9]+)\]$/.exec(link(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) return { pid: Number(pid), command: commandOf(pid) };
    }
  }
  return undefined;
}

function listeningInodes(table: string, port: number, address: string | undefined): string[] {
  const isAt = (local: string) => address === undefined || isWildcard(local) || local === address;
  return listenersOn(table, port).flatMap(({ local, inode }) => (isAt(local.address) ? String(inode) : []));
}

function commandOf(pid: string): string {
  const [program = "", script = ""] = text(`/proc/${pid}/cmdline`).split("\0");
  return `${program}${script.startsWith("-") ? "" : ` ${script}`}`.trim() || "unknown";
}

/** Reads from /proc: a process may end meanwhile, and systems other than Linux have no /proc. */
function orNothing<T>(read: () => T, nothing: T): T {
  try {
    return read();
  } catch {
    return nothing;
  }
}

const text = (path: string) => orNothing(() => readFileSync(path, "utf8"), "");
const list = (path: string) => orNothing(() => readdirSync(path), []);
const link = (path: string) => orNothing(() => readlinkSync(path), "");

/**
 * Whether a program accepts connections at an address of this machine; undefined: no answer in time. Never rejects.
 * @param timeout milliseconds
 * @param signal ends the attempt, with undefined
 */
export async function accepts(place: IpPort, timeout: number, signal?: AbortSignal): Promise<boolean | undefined> {
  const answer = await answerAt(place, timeout, signal);
  return answer === undefined ? undefined : answer === "accepted";
}

/** As accepts: `accepted`, or the code of the system's error, such as `ECONNREFUSED`. */
export function answerAt(
  { address, port }: IpPort,
  timeout: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const settle = (answer: string | undefined) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      socket.destroy();
      resolve(answer);
    };
    const giveUp = () => settle(undefined);
    const timer = setTimeout(giveUp, timeout);
    signal?.addEventListener("abort", giveUp);
    socket.once("connect", () => settle("accepted"));
    // Stays: an error after the end would be thrown without a listener.
    socket.on("error", ({ code, message }: NodeJS.ErrnoException) => settle(code ?? message));
  });
}

/** The machine does not have the address, does not have its family, or it is link-local and needs a zone. */
const ABSENT = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"]);

/** @param code of a system's error: this machine has no such address */
export function isAbsent(code: string | undefined): boolean {
  return ABSENT.has(code ?? "");
}

/**
 * The error for an address that cannot be listened on: LISTEN_IN_USE, LISTEN_FAILED.
 * @param transport for the message, where a service has sockets of both
 */
export function listenError(at: IpPort, error: unknown, transport?: "udp" | "tcp"): ListenError {
  const { code, message } = error as NodeJS.ErrnoException;
  const where = `${hostPort(at.address, at.port)}${transport === undefined ? "" : `/${transport}`}`;
  if (code === "EADDRINUSE") return new ListenError("LISTEN_IN_USE", `${where} is in use`, { cause: error, at });
  const refused = code === "EACCES" ? `${message}; ${rightToPort(at.port)}` : message;
  const why = isAbsent(code) ? "this machine has no such address" : refused;
  return new ListenError("LISTEN_FAILED", `cannot listen on ${where}: ${why}`, { cause: error });
}

/** A number of places for connections, and whether it was logged that all are taken. */
export class Places {
  readonly #limit: number;
  #taken = 0;
  #logged = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.#taken >= this.#limit;
  }

  take(): void {
    this.#taken++;
  }

  leave(): void {
    this.#taken--;
    // Not at the first free place: clients that retry would fill the log.
    if (this.#taken < this.#limit / 2) this.#logged = false;
  }

  /** Whether to log that all are taken: true once, until half of them are free. */
  tell(): boolean {
    const first = !this.#logged;
    this.#logged = true;
    return first;
  }
}

/** What to do where a user may not listen on a port (below 1024, by default). */
export function rightToPort(port: number): string {
  const start = `net.ipv4.ip_unprivileged_port_start=${port}`;
  return `give srv-epmd CAP_NET_BIND_SERVICE (AmbientCapabilities in a systemd unit, or setcap); in a container run it as root (docker run --user 0, user = "root" of a Nomad task), or with the sysctl ${start} (docker run --sysctl, securityContext.sysctls of a Kubernetes pod)`;
}

/** Takes a place of each kind until the connection emits `close`. @returns the kind that is full, else undefined */
export function takePlaces(kinds: readonly Places[], connection: Pick<EventEmitter, "once">): Places | undefined {
  const full = kinds.find((kind) => kind.full);
  if (full) return full;
  for (const kind of kinds) kind.take();
  connection.once("close", () => {
    for (const kind of kinds) kind.leave();
  });
  return undefined;
}
