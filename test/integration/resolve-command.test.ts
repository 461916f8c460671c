import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { runCommand, startCommand } from "../support/command-line.js";
import { a as aRecord, srv, startFakeDns } from "../support/fake-dns-server.js";
import { challenge6, fakeNode, framed, listenWith } from "../support/fake-node.js";
import { freePort } from "../support/free-port.js";
import { temporaryFolder } from "../support/temporary.js";

/** A node of this name on a free port. */
const nodeOf = (name: string) =>
  fakeNode((socket) => socket.write(Buffer.concat([framed("sok"), framed(challenge6(name))])));

const at = (name: string, port: number, address = "127.0.0.1") => ["--node", `${name}=${address}:${port}`];
const ESC = "\u001b";

describe("resolve --probe", () => {
  test("says of each endpoint who is there; exit 0 when the node is", async () => {
    const [port, nobody] = [await nodeOf("a@h.test"), await freePort()];
    const args = ["resolve", "a@h.test", ...at("a@h.test", nobody), ...at("a@h.test", port), "--probe"];
    const { code, stdout } = await runCommand(args);
    expect(stdout).toContain("nothing listens there: the connection was refused");
    expect(stdout).toMatch(
      /IPv4, [0-9.]+ ms: is a@h\.test \(handshake version 6, OTP 25, 26 or 27, published, creation 7\)/,
    );
    expect(code).toBe(0);
  });

  test("names the node that is there instead, and exits with 1", async () => {
    const port = await nodeOf("other@h.test");
    const { code, stdout } = await runCommand(["resolve", "a@h.test", ...at("a@h.test", port), "--probe"]);
    expect(stdout).toContain("is other@h.test, not a@h.test: a VM that dials a@h.test closes the connection");
    expect(code).toBe(1);
  });

  test("tells a node whose host part alone is another", async () => {
    const port = await nodeOf("a@127.0.0.1");
    const { code, stdout } = await runCommand(["resolve", "a@h.test", ...at("a@h.test", port), "--probe"]);
    expect(stdout).toContain("is a@127.0.0.1, not a@h.test: a VM that dials a@h.test compares the host part too");
    expect(code).toBe(1);
  });

  test("says of a short name that it and a long one never connect", async () => {
    const port = await nodeOf("a@box1");
    const { code, stdout } = await runCommand(["resolve", "a@h.test", ...at("a@h.test", port), "--probe"]);
    expect(stdout).toContain(
      "is a@box1, not a@h.test: a VM that dials a@h.test finds that short and long names never connect",
    );
    expect(code).toBe(1);
  });

  test.each([
    ["as it was written", "a@svc", "a@svc", 0],
    ["with its host expanded", "a@svc", "a@svc.service.consul", 0],
    ["in letters of another case", "a@H.test", "a@h.Test", 1],
    ["of another alive name", "a@svc", "b@svc", 1],
  ])("takes a name %s for what a VM takes it for", async (_, asked, name, code) => {
    const port = await nodeOf(name);
    const entry = at(asked.toLowerCase(), port);
    expect((await runCommand(["resolve", asked, ...entry, "--probe"])).code).toBe(code);
  });

  test("with --json it stands in each endpoint", async () => {
    const port = await nodeOf("a@h.test");
    const { stdout } = await runCommand(["resolve", "a@h.test", ...at("a@h.test", port), "--probe", "--json"]);
    expect(JSON.parse(stdout).endpoints[0]).toMatchObject({
      ...{ address: "127.0.0.1", port, family: 4 },
      probe: { result: "node", name: "a@h.test", version: 6, creation: 7, hidden: false, status: "ok" },
    });
  });

  test("what a stranger says cannot drive the terminal", async () => {
    const port = await listenWith((socket) => socket.write(`HTTP${ESC}[31m`));
    const { stdout } = await runCommand(["resolve", "a@h.test", ...at("a@h.test", port), "--probe"]);
    expect(stdout).toContain("listens, but is no Erlang node: it says");
    expect(stdout).not.toContain(ESC);
  });
});

describe("resolve --trace", () => {
  test("shows flags, additional section, TCP after truncation, and why an order is an order", async () => {
    const name = "a.svc.service.consul";
    const answers = [srv(name, "x.addr.consul", 1, { weight: 1 }), srv(name, "y.addr.consul", 2, { weight: 3 })];
    const additionals = ["x", "y"].map((host, index) => {
      return { type: "A" as const, name: `${host}.addr.consul`, ttl: 0, data: `10.0.0.${index + 1}` };
    });
    const dns = await startFakeDns(({ transport, qtype }) => {
      if (qtype !== "SRV") return { rcode: 3 };
      return transport === "udp" ? { truncated: true } : { answers, additionals };
    });
    const args = ["resolve", "a@svc", "--dns", `127.0.0.1:${dns.port}`, "--no-prefer-reachable", "--trace"];
    const { stdout } = await runCommand(args);
    await dns.close();
    expect(stdout).toMatch(
      /over udp: truncated .*\n.* over tcp: NOERROR .*, because: the answer was truncated \(TC\)\n/,
    );
    expect(stdout).toContain("    additional: x.addr.consul. 0 A 10.0.0.1\n");
    expect(stdout).toMatch(
      /10\.0\.0\.1:1: priority 1, weight 1, target x\.addr\.consul: first of its priority in 25 %/,
    );
    expect(stdout).toMatch(/10\.0\.0\.2:2: .*first of its priority in 75 %/);
    expect(stdout).toMatch(/- module, IPv4: a VM with -epmd_module srv_epmd dials 10\.0\.0\.[12]:[12]\n/);
    expect(stdout).toMatch(/- module, IPv6: .*no IPv6 endpoint\n/);
  });

  test("keeps the steps of each of several nodes together, with what came of them", async () => {
    const entries = [...at("a@h.test", 20001), ...at("b@h.test", 20002)];
    const { stdout } = await runCommand(["resolve", "a@h.test", "b@h.test", ...entries, "--trace"]);
    const nodes = Array.from(stdout.matchAll(/^(?:- )?([ab]@h\.test)(?: is alive|: found)/gm), ([, node]) => node);
    expect(nodes).toEqual(["a@h.test", "a@h.test", "b@h.test", "b@h.test"]);
    expect(stdout.indexOf("- order: 127.0.0.1:20001")).toBeLessThan(stdout.indexOf("b@h.test is alive"));
  });

  test("of what is not found says who looks for the reason, and no ways to it", async () => {
    const dns = await startFakeDns(() => ({ rcode: 3 }));
    const { code, stdout } = await runCommand(["resolve", "a@svc", "--dns", `127.0.0.1:${dns.port}`, "--trace"]);
    await dns.close();
    const gone = ["resolve", "a@h.test", ...at("a@h.test", await freePort()), "--trace", "--probe"];
    expect((await runCommand(gone)).stdout).toMatch(/- srv-epmd doctor a@h\.test looks for the reason\n$/);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      / {2}a\.svc\.service\.consul has no SRV record .*\n- srv-epmd doctor a@svc\.service\.consul looks/,
    );
    expect(stdout).not.toContain("gateway");
  });

  test("with --json tells the ways in the result", async () => {
    const args = ["resolve", "a@127.0.0.1", ...at("a@127.0.0.1", 20001), "--trace", "--json"];
    const { stdout, stderr } = await runCommand(args);
    expect(JSON.parse(stdout).ways).toEqual([
      { way: "module", family: 4, dials: "127.0.0.1:20001" },
      { way: "module", family: 6, reason: "no IPv6 endpoint" },
      { way: "host", family: 4, asks: "127.0.0.1:4369", dials: "127.0.0.1:20001" },
      { way: "gateway", reason: "no loopback address stands for 127.0.0.1" },
    ]);
    expect(stderr).toContain("- order: 127.0.0.1:20001\n");
  });
});

describe("resolve --via", () => {
  /** PORT2_RESP: port, type 77, protocol 0, versions 6 and 5, name a, Extra. */
  const port2 = (port: string, extra = "") =>
    Buffer.from(`7700${port}4d0000060005000161${(extra.length / 2).toString(16).padStart(4, "0")}${extra}`, "hex");
  const NOT_FOUND = Buffer.from("7701", "hex");
  /** An EPMD that answers the full name and the bare one. */
  const epmd = (full: Buffer, bare: Buffer) =>
    fakeNode((socket, received) => socket.end(received.includes("@") ? full : bare));

  test("a srv-epmd gives the endpoints to the full name, and a port to a stock VM", async () => {
    const port = await epmd(port2("2329", "040a0102042329" + "06fd0000000000000000000000000000042329"), port2("2329"));
    const { code, stdout } = await runCommand(["resolve", "a@h.test", "--via", `127.0.0.1:${port}`]);
    expect(stdout).toMatch(
      new RegExp(
        `^a@h\\.test: found by the srv-epmd at 127\\.0\\.0\\.1:${port} .*\\n {2}10\\.1\\.2\\.4:9001 .*\\n {2}\\[fd00::4\\]:9001 .*\\n {2}a stock VM that asks it for a dials 127\\.0\\.0\\.1:9001\\n$`,
      ),
    );
    expect(code).toBe(0);
  });

  test("its reason is shown when it has not found the node", async () => {
    const port = await epmd(Buffer.concat([NOT_FOUND, Buffer.from("no SRV record")]), NOT_FOUND);
    const { code, stdout } = await runCommand(["resolve", "a@h.test", "--via", `127.0.0.1:${port}`]);
    expect(stdout).toMatch(/not found by the srv-epmd at .*\n {2}no SRV record\n {2}a stock VM .* is told no port\n$/);
    expect(code).toBe(1);
  });

  test("a stock EPMD knows bare names, and its own address is the node's", async () => {
    const port = await epmd(NOT_FOUND, port2("2329"));
    const { stdout } = await runCommand(["resolve", "a@h.test", "--via", `127.0.0.1:${port}`, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ node: "a@h.test", outcome: "found", source: "epmd" },
      endpoints: [{ address: "127.0.0.1", port: 9001, family: 4 }],
      via: { epmd: `127.0.0.1:${port}`, kind: "stock", aliveName: "a", stockVm: "127.0.0.1:9001" },
    });
  });

  test("is exit 3 where no EPMD is, and exit 2 where none can be", async () => {
    const port = await freePort();
    const none = await runCommand(["resolve", "a@h.test", "--via", `127.0.0.1:${port}`]);
    expect(none).toMatchObject({ code: 3, stdout: expect.stringContaining("ECONNREFUSED") });
    expect(await runCommand(["resolve", "a@h.test", "--via", "here"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--via: "here" must be an address'),
    });
  });

  test("goes with --port when it names none, and with --trace and --probe", async () => {
    const node = await nodeOf("a@h.test");
    const port = await epmd(NOT_FOUND, port2(node.toString(16).padStart(4, "0")));
    const args = ["resolve", "a@h.test", "--via", "127.0.0.1", "--port", String(port), "--trace", "--probe"];
    const { code, stdout } = await runCommand(args);
    expect(stdout).toMatch(new RegExp(`- PORT_PLEASE2 a to 127\\.0\\.0\\.1:${port}: port ${node} `));
    expect(stdout).toContain("- PORT_PLEASE2 a@h.test to ");
    expect(stdout).toContain("is a@h.test (");
    expect(code).toBe(0);
  });
});

describe("resolve --watch", () => {
  test("prints a line a change, and ends on a signal with the exit code of the last state", async () => {
    const port = await nodeOf("a@h.test");
    const gone = await freePort();
    const file = join(await temporaryFolder("watch"), "nodes");
    await writeFile(file, `a@h.test=127.0.0.1:${gone}\n`);
    const dns = await startFakeDns(() => ({ rcode: 3 }));
    const command = startCommand([
      ...["resolve", "a@h.test", "b@h.test", "--watch", "--probe", "--nodes-file", file],
      ...["--dns", `127.0.0.1:${dns.port}`],
    ]);
    await command.waitForOutput(new RegExp(`Z a@h\\.test: found by static: 127\\.0\\.0\\.1:${gone} \\(refused\\)\n`));
    await command.waitForOutput(/Z b@h\.test: not found: /);
    await writeFile(file, `a@h.test=127.0.0.1:${port}\nb@h.test=127.0.0.1:${port}\n`);
    await command.waitForOutput(new RegExp(`Z a@h\\.test: found by static: 127\\.0\\.0\\.1:${port} \\(node\\)\n`));
    await command.waitForOutput(/Z b@h\.test: found by static: .* \(other-node a@h\.test\)\n/);
    command.signal("SIGINT");
    expect(await command.done).toBe(1);
    expect(command.stdout().trim().split("\n")).toHaveLength(4);
    await dns.close();
  });

  test("with --json gives an object a change", async () => {
    const command = startCommand(["resolve", "a@h.test", ...at("a@h.test", 1), "--watch", "--json"]);
    await command.waitForOutput(/\n/);
    command.signal("SIGTERM");
    expect(await command.done).toBe(0);
    expect(JSON.parse(command.stdout())).toMatchObject({
      ...{ at: expect.stringMatching(/^[0-9-]{10}T.*Z$/), node: "a@h.test", outcome: "found", source: "static" },
    });
  });

  test("on a terminal it paints over what it has shown, cut to the width, and ends when nobody reads on", async () => {
    const terminal = { stdoutIsTerminal: true, columns: 40, env: { TERM: "xterm" } };
    const command = startCommand(["resolve", "a@h.test", ...at("a@h.test", 1), "--watch"], terminal);
    await command.waitForOutput(/since [0-9:]{8}/);
    // Three lines up, and erase from there.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
    await command.waitForOutput(/\u001b\[3A\u001b\[J/);
    for (const line of command.stdout().replaceAll(`${ESC}[`, "").split("\n")) {
      expect(line.replaceAll(/^[0-9]+m|[0-9]+[AJ]|J|0m$/g, "").length).toBeLessThan(48);
    }
    command.hangUp();
    expect(await command.done).toBe(0);
  });

  test("does not go with --trace", async () => {
    expect(await runCommand(["resolve", "a@h", "--watch", "--trace"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--watch shows changes and --trace every step of one look-up"),
    });
  });
});

describe("colour", () => {
  const colours = async (terminal: object) =>
    (await runCommand(["resolve", "a@h.test", ...at("a@h.test", 1)], terminal)).stdout.includes(ESC);

  test.each<[string, object, boolean]>([
    ["is there on a terminal", { stdoutIsTerminal: true, env: { TERM: "xterm" } }, true],
    ["is there when NO_COLOR is empty", { stdoutIsTerminal: true, env: { NO_COLOR: "" } }, true],
    ["is not there with NO_COLOR", { stdoutIsTerminal: true, env: { NO_COLOR: "1" } }, false],
    ["is not there on a dumb terminal", { stdoutIsTerminal: true, env: { TERM: "dumb" } }, false],
    ["is not there in a pipe", { env: { TERM: "xterm" } }, false],
  ])("%s", async (_, terminal, expected) => {
    expect(await colours(terminal)).toBe(expected);
  });

  test("is not in JSON", async () => {
    const args = ["resolve", "a@h.test", ...at("a@h.test", 1), "--json"];
    expect((await runCommand(args, { stdoutIsTerminal: true })).stdout).not.toContain(ESC);
  });
});

test("resolve --json says what a bound of the look-up has left out", async () => {
  const dns = await startFakeDns(({ qname }) => ({
    answers: Array.from({ length: 50 }, (_, index) => srv(qname, "h.test", 1000 + index)),
    additionals: [aRecord("h.test", "127.0.0.1")],
  }));
  onTestFinished(dns.close);
  const args = ["resolve", "a@svc.test", "--dns", `127.0.0.1:${dns.port}`, "--json"];
  const { stdout } = await runCommand(args);
  expect(JSON.parse(stdout)).toMatchObject({
    outcome: "found",
    leftOut: [
      { what: "SRV records", count: 18, of: 50 },
      { what: "probes", count: 24, of: 32 },
    ],
  });
});
