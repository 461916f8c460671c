import { a, type FakeReply, NXDOMAIN, srv, startFakeDns } from "./fake-dns-server.js";

/**
 * The fake DNS server as a program, for tests in network namespaces: `tsx fake-dns-process.ts <address> <zone>`.
 * The zone is JSON, owner name to places: `ip:port` is an SRV record, `ip` an A record. It prints `ready <port>`, then each query as it comes.
 */
const [address = "127.0.0.1", text = "{}"] = process.argv.slice(2);
const zone = JSON.parse(text) as Record<string, string[]>;

const server = await startFakeDns((query) => {
  process.stdout.write(`query ${query.qtype} ${query.qname}\n`);
  return reply(query.qname, query.qtype);
}, address);
process.stdout.write(`ready ${server.port}\n`);

function reply(qname: string, qtype: string): FakeReply {
  const places = zone[qname];
  if (!places) return { rcode: NXDOMAIN };
  if (qtype === "A") return { answers: places.filter((place) => !place.includes(":")).map((ip) => a(qname, ip)) };
  if (qtype !== "SRV") return {};
  const offered = places.filter((place) => place.includes(":")).map((place) => place.split(":") as [string, string]);
  const target = (ip: string) => `${ip.replaceAll(".", "-")}.target.test`;
  return {
    answers: offered.map(([ip, port]) => srv(qname, target(ip), Number(port))),
    additionals: offered.map(([ip]) => a(target(ip), ip)),
  };
}
