import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startChild } from "./child.js";
import type { Host } from "./netns.js";
import { temporaryFolder } from "./temporary.js";

/** What went one way over a TCP connection, if only a SYN: source and destination with their ports, and the bytes as sent. */
export interface Flow {
  readonly from: string;
  readonly to: string;
  readonly bytes: Buffer;
}

/** Watches a host's wire with tcpdump. @param filter such as `tcp and not port 8500` */
export async function capture(netns: Host, filter: string): Promise<{ stop: () => Promise<Flow[]> }> {
  const file = join(await temporaryFolder("capture"), "packets");
  const args = ["-i", "eth0", "-s", "0", "-U", "--immediate-mode", "-w", file, filter];
  const child = startChild("tcpdump", args, { netns });
  await child.waitForOutput(/listening on eth0/);
  return {
    stop: async () => {
      await child.stop("SIGINT");
      return flowsIn(await readFile(file));
    },
  };
}

/** libpcap's file format, with Ethernet frames (https://www.tcpdump.org/manpages/pcap-savefile.5.html). */
export function flowsIn(file: Buffer): Flow[] {
  const flows = new Map<string, Map<number, Buffer>>();
  for (let at = 24; at + 16 <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const segment = segmentOf(file.subarray(at + 16, at + 16 + length));
    at += 16 + length;
    if (!segment) continue;
    const key = `${segment.from} ${segment.to}`;
    const parts = flows.get(key) ?? new Map<number, Buffer>();
    flows.set(key, parts);
    if (segment.payload.length === 0) continue;
    const before = parts.get(segment.sequence);
    if (!before || before.length < segment.payload.length) parts.set(segment.sequence, segment.payload);
  }
  return Array.from(flows, ([key, parts]) => {
    const [from = "", to = ""] = key.split(" ");
    return { from, to, bytes: inOrder(parts) };
  });
}

/** Without what was sent twice. */
function inOrder(parts: ReadonlyMap<number, Buffer>): Buffer {
  const sorted = Array.from(parts).sort(([a], [b]) => a - b);
  const bytes: Buffer[] = [];
  let next = sorted[0]?.[0] ?? 0;
  for (const [sequence, payload] of sorted) {
    const seen = Math.max(0, next - sequence);
    if (seen >= payload.length) continue;
    bytes.push(payload.subarray(seen));
    next = sequence + payload.length;
  }
  return Buffer.concat(bytes);
}

function segmentOf(frame: Buffer) {
  const type = frame.readUInt16BE(12);
  const packet = frame.subarray(14);
  const ip = type === 0x0800 ? ipv4(packet) : type === 0x86dd ? ipv6(packet) : undefined;
  if (ip?.protocol !== 6) return undefined;
  const { tcp } = ip;
  const payload = tcp.subarray((tcp.readUInt8(12) >> 4) * 4);
  const from = `${ip.source}:${tcp.readUInt16BE(0)}`;
  const to = `${ip.destination}:${tcp.readUInt16BE(2)}`;
  return { from, to, sequence: tcp.readUInt32BE(4), payload };
}

function ipv4(packet: Buffer) {
  const header = (packet.readUInt8(0) & 15) * 4;
  const [source, destination] = [packet.subarray(12, 16), packet.subarray(16, 20)].map((octets) => octets.join("."));
  return { protocol: packet.readUInt8(9), source, destination, tcp: packet.subarray(header, packet.readUInt16BE(2)) };
}

function ipv6(packet: Buffer) {
  const [source, destination] = [packet.subarray(8, 24), packet.subarray(24, 40)].map((octets) =>
    octets.toString("hex"),
  );
  return { protocol: packet.readUInt8(6), source, destination, tcp: packet.subarray(40, 40 + packet.readUInt16BE(4)) };
}

/** Whether bytes are TLS records and nothing else (RFC 8446 section 5.1); the last may be cut. */
export function areTlsRecords(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; ) {
    const type = bytes.readUInt8(at);
    if (type < 20 || type > 23) return false;
    if (at + 5 > bytes.length) return true;
    if (bytes.readUInt8(at + 1) !== 3) return false;
    at += 5 + bytes.readUInt16BE(at + 3);
  }
  return true;
}
