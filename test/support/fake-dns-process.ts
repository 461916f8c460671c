import { a, type FakeReply, NXDOMAIN, SERVFAIL, srv, startFakeDns } from "./fake-dns-server.js";

/**
 * The fake DNS server as a program, for tests in network namespaces: `tsx fake-dns-process.ts <address> <zone> [port]`.
 * The zone is JSON, owner name to places: `ip:port` is an SRV record, `ip` an A record, `SERVFAIL` is what is said of the
 * name; `*.example` stands for all under it. It prints `ready <port>`, then each query as it comes.
 */
const [address = "127.0.0.1", text = "{}", port] = process.argv.slice(2);
const zone = JSON.parse(text) as Record<string, string[]>;

const server = await startFakeDns(
  (query) => {
    const overTcp = query.transport === "tcp" ? " over TCP" : "";
    process.stdout.write(`query ${query.qtype} ${query.qname}${overTcp}\n`);
    return reply(query.qname, query.qtype);
  },
  address,
  port === undefined ? undefined : Number(port),
);
process.stdout.write(`ready ${server.port}\n`);

function reply(qname: string, qtype: string): FakeReply {
  const wildcard = Object.keys(zone).find((name) => name.startsWith("*.") && qname.endsWith(name.slice(1)));
  const places = zone[qname] ?? (wildcard === undefined ? undefined : zone[wildcard]);
  if (!places) return { rcode: NXDOMAIN };
  if (places.includes("SERVFAIL")) return { rcode: SERVFAIL };
  if (qtype === "A") return { answers: places.filter((place) => !place.includes(":")).map((ip) => a(qname, ip)) };
  if (qtype !== "SRV") return {};
  const offered = places.filter((place) => place.includes(":")).map((place) => place.split(":") as [string, string]);
  const target = (ip: string) => `${ip.replaceAll(".", "-")}.target.test`;
  return {
    answers: offered.map(([ip, port]) => srv(qname, target(ip), Number(port))),
    additionals: offered.map(([ip]) => a(target(ip), ip)),
  };
}
