import { type Child, startChild } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";

/** Writes a constant PORT2_RESP to whoever sends something. */
const PROGRAM = `
const answer = Buffer.from("7700" + "4e20" + "4d" + "00" + "0006" + "0005" + "0005" + Buffer.from("bench").toString("hex") + "0000", "hex");
const serve = (socket) => socket.once("data", () => socket.end(answer)).on("error", () => {});
const server = require("node:net").createServer({ noDelay: true, allowHalfOpen: true }, serve);
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => console.log("port " + server.address().port));
`;

/** What a server in one process of Node does at least, as Node has it: it makes hidden classes for each connection (src/os/hidden-classes.ts). */
export async function startBareServer(): Promise<Child & { readonly port: number }> {
  const child = startChild(process.execPath, ["--eval", PROGRAM], { env: cleanEnvironment() });
  const [, port] = await child.waitForOutput(/^port ([0-9]+)$/m);
  return { ...child, port: Number(port) };
}
