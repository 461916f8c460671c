import { type Child, type Place, run, startChild } from "./child.js";

/** Sends bytes to a TCP server and prints what comes back, in hexadecimal; a program, so that it can run in any namespace. */
const PROGRAM = `
const [host, port, request] = process.argv.slice(1);
const socket = require("node:net").connect(Number(port), host);
socket.on("connect", () => socket.write(Buffer.from(request, "hex")));
socket.on("data", (bytes) => process.stdout.write(bytes.toString("hex")));
socket.on("error", (error) => process.stdout.write(error.code));
`;

export interface RawTarget {
  readonly host: string;
  readonly port: number;
  readonly netns?: Place;
}

/** All bytes that the server sent until it closed, in hexadecimal; or the code of the error. */
export async function exchangeBytes({ host, port, netns }: RawTarget, request: string): Promise<string> {
  const args = ["-e", PROGRAM, host, String(port), request.replaceAll(/\s/g, "")];
  return (await run(process.execPath, args, netns && { netns })).stdout;
}

/** A connection that stays open until the child is killed, as that of a registered node. */
export async function holdConnection({ host, port, netns }: RawTarget, request: string): Promise<Child> {
  const args = ["-e", PROGRAM, host, String(port), request.replaceAll(/\s/g, "")];
  const child = startChild(process.execPath, args, netns && { netns });
  await child.waitForOutput(/^[0-9a-f]+/);
  return child;
}

/** PORT_PLEASE2_REQ: two bytes of length, 122, the name. */
export function portPleaseBytes(name: string): string {
  const bytes = Buffer.from(name);
  return `${(bytes.length + 1).toString(16).padStart(4, "0")}7a${bytes.toString("hex")}`;
}
