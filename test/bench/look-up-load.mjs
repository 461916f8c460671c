// The same as look-up-load.c, where there is no C compiler. It costs more than a server does: several of it have to run at once.
import { connect } from "node:net";

const [port = 0, count = 0, atOnce = 0, nodes = 0] = process.argv.slice(2).map(Number);
const PORT_PLEASE2_REQ = 122;
/** PORT2_RESP with the result 0. */
const FOUND = Buffer.from([119, 0]);

let asked = 0;
function request() {
  const name = Buffer.from(nodes === 0 ? "bench" : `n${asked++ % nodes}@bench.test`);
  return Buffer.concat([Buffer.of(0, name.length + 1, PORT_PLEASE2_REQ), name]);
}

function lookUp() {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(request()));
    let answer = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      answer = Buffer.concat([answer, chunk]);
    });
    socket.on("error", reject);
    const isWhole = () => answer.length >= 4 && answer.subarray(0, 2).equals(FOUND);
    socket.on("close", () =>
      isWhole() ? resolve(undefined) : reject(new Error(`no port: ${answer.toString("hex")}`)),
    );
  });
}

const started = performance.now();
let left = count;
const worker = async () => {
  while (left-- > 0) await lookUp();
};
await Promise.all(Array.from({ length: atOnce }, worker));
process.stdout.write(`${(performance.now() - started).toFixed(3)}\n`);
