import { connect, type TLSSocket } from "node:tls";
import type { IpPort } from "../config/network-values.js";
import { familyOf } from "../net/ip.js";
import type { TlsSeen } from "./words.js";

/** Whoever it is: what is asked for is who is there, and nothing is entrusted to it. */
export function openTls({ address, port }: IpPort, serverName: string | undefined): TLSSocket {
  const named = serverName === undefined || familyOf(serverName) !== undefined ? {} : { servername: serverName };
  return connect({ host: address, port, rejectUnauthorized: false, ...named });
}

export function seenOf(socket: TLSSocket): TlsSeen {
  const { subject, subjectaltname } = socket.getPeerCertificate();
  // `DNS:node.example, IP Address:10.0.0.1`
  const alternatives = (subjectaltname ?? "").split(", ").map((name) => name.replace(/^[A-Za-z ]+:/, ""));
  const names = [subject?.CN, ...alternatives].flat().filter((name) => name !== undefined && name !== "");
  return { protocol: socket.getProtocol() ?? "TLS", names: Array.from(new Set(names as string[])) };
}
