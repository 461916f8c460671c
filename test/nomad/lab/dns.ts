import { once } from "node:events";
import { connect } from "node:net";
import { type Answer, type SrvAnswer, streamDecode, streamEncode } from "dns-packet";

/** Milliseconds. */
const TIMEOUT = 2_000;

/**
 * `address:port` of every SRV record of a name. Over TCP: Consul gives three records at most over UDP to who says nothing of EDNS.
 * @param server `address:port`
 * @throws when the server does not answer, or says that it failed
 */
export async function srvAddresses(server: { address: string; port: number }, name: string): Promise<Set<string>> {
  const socket = connect({ host: server.address, port: server.port });
  socket.setTimeout(TIMEOUT, () => socket.destroy(new Error(`no answer from ${server.address}`)));
  try {
    socket.write(streamEncode({ type: "query", id: 1, flags: 0x100, questions: [{ type: "SRV", name }] }));
    let bytes = Buffer.alloc(0);
    while (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE()) {
      const [chunk] = (await once(socket, "data")) as [Buffer];
      bytes = Buffer.concat([bytes, chunk]);
    }
    const { answers = [], additionals = [], ...head } = streamDecode(bytes);
    const { rcode } = head as { rcode?: string };
    // NXDOMAIN: the service has no instance. Else the server does not know.
    if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") throw new Error(`${server.address} answers ${rcode}`);
    const targets = new Map(additionals.flatMap((record) => (record.type === "A" ? [[record.name, record.data]] : [])));
    const isSrv = (record: Answer): record is SrvAnswer => record.type === "SRV";
    return new Set(answers.filter(isSrv).map(({ data }) => `${targets.get(data.target) ?? data.target}:${data.port}`));
  } finally {
    socket.destroy();
  }
}
