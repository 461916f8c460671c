import type { Status } from "../admin/core/view.js";
import type { Config } from "../config/config.js";
import { knowsFullNames, names } from "../epmd/client.js";
import type { NamedPort } from "../epmd/wire/messages.js";
import { EpmdError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { findListener, type ListeningProcess } from "../os/sockets.js";

/** What listens where VMs of one family register and ask. */
export interface Holder {
  /** `127.0.0.1:4369` */
  readonly at: string;
  readonly kind:
    | "srv-epmd"
    /** An EPMD that does not understand full names. */
    | "stock"
    | "nothing"
    /** The machine has no such address. */
    | "no-address"
    /** It accepts connections and does not answer. */
    | "silent"
    /** Another program. */
    | "other";
  readonly names: readonly NamedPort[];
  /** The process that listens there; undefined where this user may not see it. */
  readonly process: ListeningProcess | undefined;
}

export interface LocalEpmd {
  readonly port: number;
  /** At 127.0.0.1 and at ::1. */
  readonly holders: readonly [Holder, Holder];
  /** The one with which VMs here register: at 127.0.0.1, else at ::1. */
  readonly holder: Holder;
}

/** An EPMD on this machine answers at once, unless the machine is busy. Milliseconds. */
const ASK_TIMEOUT = 2_000;

/** Looks at both loopbacks. Never rejects. */
export async function lookAtEpmd(port: number): Promise<LocalEpmd> {
  const holders = await Promise.all([lookAt("127.0.0.1", port), lookAt("::1", port)]);
  const [four, six] = holders;
  const isThere = ({ kind }: Holder) => kind !== "nothing" && kind !== "no-address";
  return { port, holders, holder: isThere(four) || !isThere(six) ? four : six };
}

/** What listens at an address of this machine. Never rejects. */
export async function lookAt(address: string, port: number): Promise<Holder> {
  const at = hostPort(address, port);
  const seen = (kind: Holder["kind"], listed: readonly NamedPort[] = []): Holder => {
    return { at, kind, names: listed, process: findListener(port, address) };
  };
  try {
    const epmd = { address, port };
    const answer = await names(epmd, { timeout: ASK_TIMEOUT });
    const isOurs = await knowsFullNames(epmd, { timeout: ASK_TIMEOUT });
    return seen(isOurs ? "srv-epmd" : "stock", answer.names);
  } catch (error) {
    if (!(error instanceof EpmdError)) return seen("other");
    if (error.code === "EPMD_TIMEOUT") return seen("silent");
    if (error.code !== "EPMD_UNREACHABLE") return seen("other");
    const { code } = error.cause as NodeJS.ErrnoException;
    if (code === "ECONNRESET" || code === "EPIPE") return seen("other");
    return { at, kind: code === "ECONNREFUSED" ? "nothing" : "no-address", names: [], process: undefined };
  }
}

/** ` (process 17: /usr/bin/epmd)`, or nothing where the process is not known. */
export function processWords(process: ListeningProcess | undefined): string {
  return process ? ` (process ${process.pid}: ${process.command})` : "";
}

const STATUS_TIMEOUT = 1_000;
/** Enough for thousands of nodes. The port may belong to another program that sends more. Bytes. */
const MOST_BYTES = 8 * 1024 * 1024;

/** What doctor reads of it. */
export type DaemonReport = Pick<Status, "epmd" | "readiness" | "nodes">;

/** The status of the daemon at --admin; undefined where none answers. It may belong to another EPMD port. */
export async function daemonStatus({ admin }: Pick<Config, "admin">): Promise<DaemonReport | undefined> {
  if (!admin) return undefined;
  const { address, port } = admin;
  try {
    const answer = await fetch(`http://${hostPort(address, port)}/v1/status`, {
      signal: AbortSignal.timeout(STATUS_TIMEOUT),
      redirect: "error",
    });
    const said = JSON.parse(await bounded(answer)) as Partial<DaemonReport>;
    const isStatus = Array.isArray(said.readiness?.checks) && Array.isArray(said.nodes);
    return typeof said.epmd?.port === "number" && isStatus ? (said as DaemonReport) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws when the body is too long */
async function bounded({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new RangeError(`more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
