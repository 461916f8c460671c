import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { isGatewayHost } from "../../src/gateway/core/addresses.js";
import { type GatewayDns, type GatewayDnsOptions, startGatewayDns } from "../../src/gateway/dns.js";
import { isLoopback } from "../../src/net/ip.js";
import { framed } from "./dns-query.js";
import { collectLog, type LogLines } from "./log-lines.js";
import { type RawHandler, type RawNameServer, startRawNameServer } from "./raw-name-server.js";
import { temporaryFolder } from "./temporary.js";
import { waitFor } from "./wait-for.js";

export const GATEWAY_NAMES = ["svc.test", "only.example"];
/** What stands for every host. */
export const GATEWAY_ADDRESS = "127.64.0.148";

type Options = Partial<Omit<GatewayDnsOptions, "forward">> & {
  readonly forward?: Partial<GatewayDnsOptions["forward"]>;
};

/** A gateway's DNS on a free port, to the end of the test. */
export async function gatewayDns(options: Options = {}): Promise<{ dns: GatewayDns; log: LogLines }> {
  const log = collectLog();
  const resolvConf = join(await temporaryFolder("resolv-conf"), "missing");
  const dns = await startGatewayDns({
    at: { address: "127.0.0.1", port: 0 },
    isGatewayHost: (host) => isGatewayHost(GATEWAY_NAMES, host),
    addressFor: async () => GATEWAY_ADDRESS,
    addresses: {
      contains: (address) => address.startsWith("127.64."),
      hostOf: (address) => (address === GATEWAY_ADDRESS ? "n1.svc.test" : undefined),
    },
    isLocal: isLoopback,
    log: log.log,
    ...options,
    forward: { servers: [], dns: [], domains: [], resolvConf, ...options.forward },
  });
  onTestFinished(dns.close);
  return { dns, log };
}

export async function rawNameServer(handler: RawHandler): Promise<RawNameServer> {
  const server = await startRawNameServer(handler);
  onTestFinished(server.close);
  return server;
}

interface At {
  readonly address: string;
  readonly port: number;
}

/** The first datagram that comes back; undefined when none does. @param wait milliseconds */
export async function askUdp({ port, address }: At, query: Buffer, wait = 8_000): Promise<Buffer | undefined> {
  const socket = dgram.createSocket(net.isIPv6(address) ? "udp6" : "udp4");
  try {
    socket.send(query, port, address);
    const [answer] = (await once(socket, "message", { signal: AbortSignal.timeout(wait) })) as [Buffer];
    return answer;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

/** RCODE of the header; undefined without a response. */
export const rcode = (response: Buffer | undefined) =>
  response === undefined ? undefined : response.readUInt16BE(2) & 0xf;

/** Sends all queries in one piece, and waits for as many responses. */
export async function askTcp({ port, address }: At, ...queries: readonly Buffer[]): Promise<Buffer[]> {
  const socket = net.connect({ port, host: address });
  let received = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
  });
  socket.on("error", () => {});
  socket.write(framed(...queries));
  const read = () => {
    const found: Buffer[] = [];
    let rest = received;
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      found.push(rest.subarray(2, 2 + rest.readUInt16BE(0)));
      rest = rest.subarray(2 + rest.readUInt16BE(0));
    }
    return found;
  };
  try {
    return await waitFor(() => read().length === queries.length && read(), { what: `${queries.length} responses` });
  } finally {
    socket.destroy();
  }
}
