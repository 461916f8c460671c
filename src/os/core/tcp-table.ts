import type { IpPort } from "../../config/network-values.js";
import { canonicalIp, formatIp, isWildcard } from "../../net/ip.js";

/** A socket in /proc/net/tcp or tcp6; addresses are canonical. Columns as in proc(5). */
interface TcpSocket {
  readonly local: IpPort;
  readonly remote: IpPort;
  readonly isListening: boolean;
  /** Of the process that made the socket; also 0 when no process has it any more. */
  readonly uid: number;
  /** 0: no process has the socket. */
  readonly inode: number;
}

const LISTEN = "0A";

/** @param isWanted whether a line is parsed: a machine may have many thousands of sockets */
export function parseTcpTable(table: string, isWanted: (line: string) => boolean = () => true): TcpSocket[] {
  return table.split("\n").flatMap((line) => {
    if (!isWanted(line)) return [];
    const [, localText = "", remoteText = "", state, , , , uid, , inode] = line.trim().split(/\s+/);
    const [local, remote] = [parsePlace(localText), parsePlace(remoteText)];
    if (!local || !remote) return [];
    return { local, remote, isListening: state === LISTEN, uid: Number(uid), inode: Number(inode) };
  });
}

/** Where programs listen, by /proc/net/tcp or tcp6. */
export function listenersIn(table: string): IpPort[] {
  return parseTcpTable(table, mayListen).flatMap(({ local, isListening }) => (isListening ? local : []));
}

/** The sockets that listen on a port. */
export function listenersOn(table: string, port: number): TcpSocket[] {
  const sockets = parseTcpTable(table, (line) => mayListen(line) && line.includes(portText(port)));
  return sockets.filter(({ local, isListening }) => isListening && local.port === port);
}

function mayListen(line: string): boolean {
  return line.includes(` ${LISTEN} `);
}

/**
 * The user of the process at one end of a connection; undefined: no process has that end.
 * @param local that end
 */
export function uidAtEnd(tables: readonly string[], local: IpPort, remote: IpPort): number | undefined {
  const ends = [portText(local.port), portText(remote.port)];
  const isWanted = (line: string) => ends.every((end) => line.includes(end));
  const sockets = tables.flatMap((table) => parseTcpTable(table, isWanted));
  // A socket that its process has closed is listed with user 0, which would be root.
  const isHeld = (socket: TcpSocket) =>
    socket.inode > 0 && isSame(socket.local, local) && isSame(socket.remote, remote);
  return sockets.find(isHeld)?.uid;
}

/** The users of the processes that listen at an address and port of this machine, or at a wildcard that may cover it. */
export function uidsListeningAt(tables: readonly string[], { address, port }: IpPort): ReadonlySet<number> {
  const isReached = ({ local }: TcpSocket) => local.address === address || isWildcard(local.address);
  return uidsOf(heldOn(tables, port).filter(isReached));
}

/** The same at any address of this machine. */
export function uidsListeningOn(tables: readonly string[], port: number): ReadonlySet<number> {
  return uidsOf(heldOn(tables, port));
}

/** Those that a process has. */
function heldOn(tables: readonly string[], port: number): TcpSocket[] {
  return tables.flatMap((table) => listenersOn(table, port)).filter(({ inode }) => inode > 0);
}

function uidsOf(sockets: readonly TcpSocket[]): ReadonlySet<number> {
  return new Set(sockets.map(({ uid }) => uid));
}

function isSame(a: IpPort, b: IpPort): boolean {
  return a.address === b.address && a.port === b.port;
}

/** A port as both tables write it, with the characters around it. */
function portText(port: number): string {
  return `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
}

/** Addresses are written as 32-bit words in the machine's byte order: 0100007F is 127.0.0.1 on a little-endian machine. */
function parsePlace(text: string): IpPort | undefined {
  const [, hex = "", port = ""] = /^((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4})$/.exec(text) ?? [];
  if (hex === "") return undefined;
  const words = Uint32Array.from(hex.match(/.{8}/g) ?? [], (word) => Number.parseInt(word, 16));
  const address = formatIp(new Uint8Array(words.buffer));
  // The client end of a connection to ::ffff:127.0.0.1 is in tcp6, the other end in tcp.
  return { address: canonicalIp(address) ?? address, port: Number.parseInt(port, 16) };
}
