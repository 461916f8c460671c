import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { encodeRequest } from "../../src/index.js";

/**
 * The main job on one machine, with no other server: a daemon with its own DNS zone, two nodes, a look-up through
 * SRV. Real `erl` nodes where `erl` is installed; elsewhere two sockets that register as a node does.
 */
const program = fileURLToPath(new URL("../../dist/srv-epmd.cjs", import.meta.url));
const domain = "demo.test";
const children: ChildProcess[] = [];
const hasErl = spawnSync("erl", ["-version"]).error === undefined;

const say = (text: string) => process.stdout.write(`${text}\n`);
const step = (title: string) => say(`\n== ${title}`);

/** Runs the command line, as shown, and prints what it prints. */
function run(...args: string[]): number {
  say(`$ srv-epmd ${args.join(" ")}`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });
  process.stdout.write(stdout + stderr);
  return status ?? 1;
}

/** Resolves with the first output that matches. */
function outputOf(child: ChildProcess, stream: "stdout" | "stderr", pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child[stream]?.on("data", (chunk) => {
      text += chunk;
      const found = pattern.exec(text)?.[0];
      if (found !== undefined) resolve(found);
    });
    child.on("exit", (code) => reject(new Error(`${child.spawnfile} ended with ${code}: ${text}`)));
  });
}

async function startDaemon(): Promise<{ port: number; dns: string }> {
  const args = ["serve", "--port", "0", "--domain", domain, "--dns-listen", "127.0.0.1:0"];
  say(`$ srv-epmd ${args.join(" ")} &`);
  const daemon = spawn(process.execPath, [program, ...args, "--log-format", "json"]);
  children.push(daemon);
  const ready = await outputOf(daemon, "stderr", /^.*"msg":"ready".*$/m);
  say(ready);
  return JSON.parse(ready) as { port: number; dns: string };
}

/** A node of the real kind: it registers by itself, like every Erlang node. */
async function startErl(name: string, epmdPort: number): Promise<() => void> {
  const args = ["-name", `${name}@127.0.0.1`, "-setcookie", "demo", "-start_epmd", "false", "-noshell"];
  say(`$ ERL_EPMD_PORT=${epmdPort} erl ${args.join(" ")} &`);
  const node = spawn("erl", [...args, "-eval", 'io:format("up~n")'], {
    env: erlEnvironment(epmdPort),
  });
  children.push(node);
  await outputOf(node, "stdout", /up/);
  return () => node.kill("SIGKILL");
}

/** A VM that fails leaves no crash dump in the folder where the demo was started. */
function erlEnvironment(epmdPort: number): NodeJS.ProcessEnv {
  return { ...process.env, ERL_EPMD_PORT: String(epmdPort), ERL_CRASH_DUMP: "/dev/null" };
}

/** What a node says to EPMD, without the node. */
async function startSocket(name: string, port: number, epmdPort: number): Promise<() => void> {
  say(`(no erl here: a socket registers ${name} with port ${port})`);
  const socket: Socket = connect(epmdPort, "127.0.0.1");
  const description = { nodeType: 77, protocol: 0, highestVersion: 6, lowestVersion: 5, extra: Buffer.alloc(0) };
  socket.write(encodeRequest({ type: "ALIVE2_REQ", aliveName: name, port, ...description }));
  await new Promise((resolve) => socket.once("data", resolve));
  return () => socket.destroy();
}

function ping(epmdPort: number): void {
  const call = "io:format('net_adm:ping(node_b@127.0.0.1) -> ~p~n', [net_adm:ping('node_b@127.0.0.1')]), halt().";
  const args = ["-name", "visitor@127.0.0.1", "-setcookie", "demo", "-start_epmd", "false", "-noshell", "-eval", call];
  process.stdout.write(spawnSync("erl", args, { encoding: "utf8", env: erlEnvironment(epmdPort) }).stdout);
}

async function main(): Promise<void> {
  step("a daemon, with a DNS zone of its own");
  const { port, dns } = await startDaemon();
  const start = (name: string, nodePort: number) => (hasErl ? startErl(name, port) : startSocket(name, nodePort, port));

  step("two nodes start and register with it");
  await start("node_a", 20001);
  const stopB = await start("node_b", 20002);
  run("names", `127.0.0.1:${port}`);
  if (hasErl) {
    step("a third one finds node_b through it and connects");
    ping(port);
  }

  step("where is node_b? DNS says so, step by step");
  // As on a machine without a srv-epmd, which would tell its own nodes.
  const asked = [`node_b@${domain}`, "--admin", "none", "--dns", dns];
  const found = run("resolve", ...asked, "--trace");

  step("node_b is killed: its name is gone at once");
  stopB();
  const before = performance.now();
  let gone = 0;
  while (gone === 0 && performance.now() - before < 5000) gone = run("resolve", ...asked);
  if (found !== 0 || gone !== 1) throw new Error("the demo did not go as it should");
  say("\nThat was all of it. See the README for Consul, Nomad and the other ways in.");
}

try {
  await main();
} finally {
  for (const child of children) child.kill("SIGTERM");
}
process.exit();
