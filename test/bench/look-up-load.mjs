// The same as look-up-load.c, where there is no C compiler. It costs more than a server does: several of it have to run at once.
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [ports = "", ...rest] = process.argv.slice(2);
const servers = ports.split(",").map(Number);
const [count = 0, atOnce = 0, nodes = 0] = rest.slice(0, 3).map(Number);
const [, , , host = "@bench.test", from = "0"] = rest;
const PORT_PLEASE2_REQ = 122;
const PORT2_RESP = 119;

/** @param number of the look-up, from 0 */
function request(number) {
  const node = Math.floor(number / servers.length) % nodes;
  const name = Buffer.from(nodes === 0 ? "bench" : `n${node}${host}`);
  return Buffer.concat([Buffer.of(0, name.length + 1, PORT_PLEASE2_REQ), name]);
}

/** @returns whether the node was found */
function lookUp(number) {
  return new Promise((resolve, reject) => {
    const port = servers[number % servers.length] ?? 0;
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(request(number)));
    let answer = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      answer = Buffer.concat([answer, chunk]);
    });
    socket.on("error", reject);
    const isAnswer = () => answer.length >= 2 && answer[0] === PORT2_RESP && (answer[1] !== 0 || answer.length >= 4);
    socket.on("close", () =>
      isAnswer() ? resolve(answer[1] === 0) : reject(new Error(`no answer: ${answer.toString("hex")}`)),
    );
  });
}

const started = performance.now();
const waiting = Array.from({ length: count }, (_, index) => Number(from) + index);
let misses = 0;
const worker = async () => {
  for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
    if (await lookUp(number)) continue;
    misses++;
    waiting.push(number);
    await sleep(1);
  }
};
await Promise.all(Array.from({ length: atOnce }, worker));
process.stdout.write(`${(performance.now() - started).toFixed(3)} ${misses}\n`);
