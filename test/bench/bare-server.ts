import { encodeQuery } from "../../src/dns/wire/message.js";
import { type Child, startChild } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";

/** Writes a constant PORT2_RESP to whoever sends something, as soon as `prepare` calls back. */
const PROGRAM = `
const answer = Buffer.from("7700" + "4e20" + "4d" + "00" + "0006" + "0005" + "0005" + Buffer.from("bench").toString("hex") + "0000", "hex");
const serve = (socket) => socket.once("data", () => prepare(() => socket.end(answer))).on("error", () => {});
const server = require("node:net").createServer({ noDelay: true, allowHalfOpen: true }, serve);
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => console.log("port " + server.address().port));
`;
const AT_ONCE = "const prepare = (done) => done();";

/**
 * First sends a constant query, from a new port each time as src/dns/udp-sockets.ts does, and takes any datagram for the answer. At
 * most 64 are under way, as from srv-epmd to one server: of many more, some would be lost.
 */
const asking = (dnsPort: number, query: Buffer) => `
const query = Buffer.from("${query.toString("hex")}", "hex");
const lookup = (address, options, done) => done(null, address, 4);
const free = [];
const waiting = [];
let made = 0;
const make = () => {
  made += 1;
  const one = { socket: require("node:dgram").createSocket({ type: "udp4", lookup }) };
  one.socket.on("connect", () => one.socket.send(query));
  one.socket.on("message", () => {
    one.socket.disconnect();
    one.done();
    const next = waiting.shift();
    if (next) ask(one, next);
    else free.push(one);
  });
  return one;
};
const ask = (one, done) => {
  one.done = done;
  one.socket.connect(${dnsPort}, "127.0.0.1");
};
const prepare = (done) => {
  const one = free.pop() ?? (made < 64 ? make() : undefined);
  if (one) ask(one, done);
  else waiting.push(done);
};
`;

interface BareServer extends Child {
  readonly port: number;
}

/** What a server in one process of Node does at least, as Node has it: it makes hidden classes for each connection (src/os/hidden-classes.ts). */
export const startBareServer = (): Promise<BareServer> => start(AT_ONCE);

/** The same for a server that asks a name server for each answer. @param qname whose SRV record it asks for */
export const startAskingServer = (dnsPort: number, qname: string): Promise<BareServer> =>
  start(asking(dnsPort, encodeQuery({ id: 1, qname, qtype: "SRV", edns: true })));

async function start(prepare: string): Promise<BareServer> {
  const child = startChild(process.execPath, ["--eval", prepare + PROGRAM], { env: cleanEnvironment() });
  const [, port] = await child.waitForOutput(/^port ([0-9]+)$/m);
  return { ...child, port: Number(port) };
}
