import { describe, expect, test } from "vitest";
import { kill, knowsFullNames, names, portPlease } from "../../src/epmd/client.js";
import { runCommand } from "../support/command-line.js";
import { fakeNode } from "../support/fake-node.js";

/** PORT2_RESP of a node `a` at port 9100, whose Extra is as long as its 16 bits can say. */
const LONGEST_PORT2 = Buffer.concat([
  Buffer.from("7700238c4d00000600050001" + "61" + "ffff", "hex"),
  Buffer.alloc(0xffff),
]);
const TIMEOUT = { timeout: 20_000 };

/** Answers with these bytes again and again, and does not close: only the client can end it. */
async function endless(beginning: Buffer): Promise<{ address: string; port: number }> {
  const port = await fakeNode((socket) => {
    socket.write(beginning);
    const more = () => {
      if (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024, "\n"))) setImmediate(more);
      else socket.once("drain", more);
    };
    more();
  });
  return { address: "127.0.0.1", port };
}

/** Sends that much and then nothing. */
async function stalled(bytes: Buffer): Promise<{ address: string; port: number }> {
  return { address: "127.0.0.1", port: await fakeNode((socket) => void socket.write(bytes)) };
}

describe("an EPMD whose answer does not end is hung up on as soon as it has said more than any EPMD says", () => {
  test.each([
    ["PORT_PLEASE2", Buffer.from("7700", "hex"), 66_569, (at: Epmd) => portPlease(at, "a", TIMEOUT)],
    ["the question whether it is ours", Buffer.from("7701", "hex"), 66_569, (at: Epmd) => knowsFullNames(at, TIMEOUT)],
    ["NAMES", Buffer.from("00001111", "hex"), 4_259_844, (at: Epmd) => names(at, TIMEOUT)],
    ["KILL", Buffer.from("OK"), 2, (at: Epmd) => kill(at, TIMEOUT)],
  ] as const)("%s", async (_, beginning, longest, ask) => {
    const isNone = {
      code: "EPMD_ANSWER",
      message: expect.stringContaining(`is no EPMD: it answers with more than ${longest} bytes`),
    };
    await expect(ask(await endless(beginning))).rejects.toMatchObject(isNone);
    // One byte too many is enough: nothing further is waited for.
    const filler = Buffer.alloc(longest + 1 - beginning.length);
    await expect(ask(await stalled(Buffer.concat([beginning, filler])))).rejects.toMatchObject(isNone);
  });
});

test("names localhost asks the EPMD of this machine at either loopback", async () => {
  const port = await fakeNode((socket) => {
    socket.end(Buffer.concat([Buffer.from("00001111", "hex"), Buffer.from("name a at port 20001\n")]));
  });
  for (const place of [["localhost", "--port", String(port)], [`localhost:${port}`], [`LOCALHOST:${port}`]]) {
    const { code, stdout } = await runCommand(["names", ...place, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ epmd: `127.0.0.1:${port}`, names: [{ name: "a", port: 20001 }] });
  }
});

type Epmd = { readonly address: string; readonly port: number };

test("the longest answers that an EPMD can give are taken", async () => {
  const lines = Array.from({ length: 1000 }, (_, index) => `name ${"n".repeat(1016)}${index} at port 65535\n`).join("");
  const port = await fakeNode((socket, received) => {
    socket.end(
      received[2] === 0x6e ? Buffer.concat([Buffer.from("00001111", "hex"), Buffer.from(lines)]) : LONGEST_PORT2,
    );
  });
  const epmd = { address: "127.0.0.1", port };
  expect((await portPlease(epmd, "a", TIMEOUT))?.extra).toHaveLength(0xffff);
  expect((await names(epmd, TIMEOUT)).names).toHaveLength(1000);
});

test("a program at the daemon's HTTP place whose answer does not end holds up no doctor, nor sends it elsewhere", async () => {
  let sent = 0;
  let followed = false;
  const elsewhere = await fakeNode((socket) => {
    followed = true;
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  });
  const endlessHttp = await fakeNode((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[");
    const more = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024, " "))) sent += 64 * 1024;
      socket.once("drain", more);
    };
    more();
  });
  const redirecting = await fakeNode((socket) => {
    socket.end(`HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${elsewhere}/\r\nContent-Length: 0\r\n\r\n`);
  });
  for (const port of [endlessHttp, redirecting]) {
    const { stdout } = await runCommand(["doctor", "--port", "1", "--admin", `127.0.0.1:${port}`]);
    expect(stdout).toContain("nothing listens on 127.0.0.1:1");
  }
  expect(followed).toBe(false);
  // 8 MiB, and what lies in the buffers of the two ends.
  expect(sent).toBeLessThan(32 * 1024 * 1024);
});
