import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { CHECKS } from "../../src/doctor/checks.js";
import { runCommand } from "../support/command-line.js";
import { startFakeConsul } from "../support/fake-consul.js";
import { startFakeDns } from "../support/fake-dns-server.js";
import { freePort } from "../support/free-port.js";

const IDS = CHECKS.map(({ id }) => id);

test("doctor gives the verdict: each problem with its evidence and one action, and how many checks are well", async () => {
  const port = await freePort();
  const { code, stdout, stderr } = await runCommand(["doctor", "--port", String(port)]);
  expect([code, stderr]).toEqual([1, ""]);
  const [problem, action, sum, ...rest] = stdout.split("\n");
  expect(problem).toBe(`fail  nothing listens on 127.0.0.1:${port} (epmd-port)`);
  expect(action).toMatch(/^ {6}do: {2}start srv-epmd serve here/);
  expect(sum).toMatch(/^1 problem; \d+ ok, \d+ skipped \(--all\)$/);
  const [ok = 0, skipped = 0] = (sum?.match(/\d+(?= ok| skipped)/g) ?? []).map(Number);
  expect([ok + skipped, rest]).toEqual([IDS.length - 1, [""]]);
});

test("doctor tells what follows from a problem under it, and not as a problem of its own", async () => {
  // Both are the machine of the agent, on which nothing answers.
  const dead = String(await freePort());
  const consul = ["--domain", "svc", "--consul", `http://127.0.0.1:${dead}`, "--dns", `127.0.0.1:${dead}`];
  const args = ["doctor", "--port", String(await freePort()), ...consul, "node_b@svc"];
  const [{ code, stdout }, { stdout: json }] = await Promise.all([runCommand(args), runCommand([...args, "--json"])]);
  expect(code).toBe(1);
  const lines = stdout.split("\n");
  const problems = lines.filter((line) => /^(fail|warn)/.test(line));
  expect(problems).toEqual([expect.stringMatching(/\(consul-agent\)$/), expect.stringMatching(/\(epmd-port\)$/)]);
  expect(lines.slice(2, 4)).toEqual([
    expect.stringMatching(/^ {6}so: {2}resolver: svc\.service\.consul: 127\.0\.0\.1:\d+ does not answer/),
    expect.stringMatching(/^ {11}peer-records: node_b@svc\.service\.consul: /),
  ]);
  expect(lines).toContain("VMs here do not reach node_b@svc.service.consul");
  const told = new Map(
    json
      .split("\n")
      .slice(0, -1)
      .map((line) => [JSON.parse(line).check, JSON.parse(line)] as const),
  );
  expect(told.get("consul-agent")).toMatchObject({ code: "CONSUL_DOWN" });
  expect(told.get("consul-agent")).not.toHaveProperty("follows");
  expect(told.get("resolver")).toMatchObject({ code: "RESOLVER_AGENT", follows: "CONSUL_DOWN" });
  expect(told.get("peer-records")).toMatchObject({ code: "PEER_UNAVAILABLE", follows: "RESOLVER_AGENT" });
});

test("where agent and serve are down, doctor begins with these, and not with the name servers of resolv.conf", async () => {
  // A domain that nobody's name servers know.
  const consul = ["--consul-domain", "nowhere", "--consul", `http://127.0.0.9:${await freePort()}`];
  const args = ["doctor", "--port", String(await freePort()), ...consul, "node_x@svc"];
  const { code, stdout } = await runCommand(args);
  const problems = stdout.split("\n").filter((line) => /^(fail|warn)/.test(line));
  expect([code, problems]).toEqual([
    1,
    [expect.stringMatching(/\(consul-agent\)$/), expect.stringMatching(/\(epmd-port\)$/)],
  ]);
  expect(stdout).toMatch(
    /so: {2}resolver: svc\.service\.nowhere: .*; nothing answers at 127\.0\.0\.9:8600, where the DNS/,
  );
  expect(stdout).not.toContain("--dns nowhere=127.0.0.9:8600");
});

test("an agent that has joined no server is not told as servers without a majority", async () => {
  const consul = await startFakeConsul();
  const alone = [{ Name: "box3", Addr: "10.0.0.3", Status: 1, Tags: { role: "node" } }];
  consul.misbehave(({ path }) => {
    return path === "/v1/agent/members"
      ? { status: 200, body: alone }
      : { status: 500, body: "No known Consul servers." };
  });
  const args = ["doctor", "--port", String(await freePort()), "--domain", "svc", "--consul", consul.url];
  const { stdout } = await runCommand(args);
  await consul.close();
  expect(stdout).toMatch(
    /^fail {2}Consul's agent here knows no server \(No known Consul servers\); .* \(consul-leader\)\n {6}do: {2}join it to a server that runs: consul join /m,
  );
});

test("an agent that hangs is asked no second question after the first: each would take as long as it is waited for", async () => {
  const consul = await startFakeConsul();
  consul.misbehave(() => "hang");
  const dead = ["--dns", `127.0.0.1:${await freePort()}`];
  const args = ["doctor", "--port", String(await freePort()), "--domain", "svc", "--consul", consul.url, ...dead];
  const { stdout } = await runCommand(args);
  const asked = consul.requests.map(({ path }) => path).sort();
  await consul.close();
  expect(stdout).toMatch(/ does not answer: request timed out .* \(consul-agent\)$/m);
  expect(asked).toEqual(["/v1/agent/members", "/v1/status/leader"]);
});

test("doctor --all tells every check on a line, in order, with advice below what is not well, then the verdict", async () => {
  const port = await freePort();
  const { code, stdout, stderr } = await runCommand(["doctor", "--all", "--port", String(port)]);
  expect([code, stderr]).toEqual([1, ""]);
  const [all = "", verdict = ""] = stdout.split("\n\n");
  const lines = all.split("\n");
  // Neighbours that are skipped for one reason share a line.
  const ids = lines.flatMap((line) => {
    const [, id, also = ""] = /^(?:ok|warn|fail|skip) +([a-z-]+) {2,}\S.*?(?: \(also (.*)\))?$/.exec(line) ?? [];
    return id === undefined ? [] : [id, ...also.split(", ").filter(Boolean)];
  });
  expect(ids).toEqual(IDS);
  expect(lines.find((line) => line.startsWith("skip  peer-records"))).toMatch(
    /ask srv-epmd doctor node@host \(also peer-daemon, peer-tcp, .*, peer-ways, peer-link\)$/,
  );
  expect(lines[0]).toBe("ok    serve-options        serve starts with these options");
  const at = lines.indexOf(`fail  epmd-port            nothing listens on 127.0.0.1:${port}`);
  expect(lines[at + 1]).toMatch(/^ {6}start srv-epmd serve here/);
  expect(verdict).toMatch(/^fail {2}nothing listens .*\(epmd-port\)\n[\s\S]*\n1 problem; \d+ ok, \d+ skipped\n$/);
});

test("doctor paints on a terminal alone, and not where NO_COLOR is set", async () => {
  const args = ["doctor", "--all", "--port", String(await freePort())];
  const [painted, plain] = await Promise.all([
    runCommand(args, { stdoutIsTerminal: true }),
    runCommand(args, { stdoutIsTerminal: true, env: { NO_COLOR: "1" } }),
  ]);
  expect(painted.stdout.startsWith("\x1b[32mok    serve-options")).toBe(true);
  expect(painted.stdout).toContain("\n\x1b[31mfail  epmd-port");
  expect(painted.stdout).toContain("\x1b[2mskip  loopbacks");
  expect(plain.stdout).not.toContain("\x1b");
});

test("doctor breaks its lines between words on a terminal, so that columns stay columns", async () => {
  const args = ["doctor", "--all", "--port", String(await freePort())];
  const { stdout } = await runCommand(args, { stdoutIsTerminal: true, columns: 80, env: { NO_COLOR: "1" } });
  const lines = stdout.split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  const at = lines.findIndex((line) => line.startsWith("skip  port-mapping"));
  expect(lines.slice(at, at + 2)).toEqual([
    "skip  port-mapping         no port is mapped: there is no NOMAD_PORT_<label>,",
    "                           --advertise-port or --advertise-address",
  ]);
});

test("doctor --json gives an object a check and line, with advice where something is to be done", async () => {
  const { stdout } = await runCommand(["doctor", "--json", "--port", String(await freePort())]);
  const told = stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, string>);
  expect(told.map(({ check }) => check)).toEqual(IDS);
  for (const { result, advice, evidence } of told) {
    expect(evidence).toMatch(/\S/);
    expect(advice === undefined).toBe(result === "ok" || result === "skip");
  }
});

test("doctor takes the options of serve, and says what is wrong with them as serve does", async () => {
  const serve = ["--replace-epmd", "--allow-kill", "--packet-timeout", "5s", "--deregister-on-stop", "--tcp-check"];
  const port = ["--port", String(await freePort())];
  expect((await runCommand(["doctor", ...port, ...serve])).code).toBe(1);
  const beside = await runCommand(["doctor", ...port, "--dns-listen", "127.0.0.1:5300", "--json"]);
  expect([beside.code, beside.stderr]).toEqual([1, ""]);
  // First, since nothing else is right before that is.
  expect(JSON.parse(beside.stdout.split("\n")[0] ?? "")).toEqual({
    ...{ check: "serve-options", result: "fail", code: "OPTIONS_REFUSED", facts: { code: "CONFIG_CONFLICT" } },
    evidence: expect.stringMatching(/^serve does not start with these options: --dns-listen .*give --domain too/),
    advice: expect.stringContaining("start serve"),
  });
  for (const wrong of [["--fallback", "9100", "--fallback", "9200"], ["--port", "0"], ["a@svc", "b@svc"], ["@svc"]]) {
    const { code, stderr } = await runCommand(["doctor", ...wrong]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^srv-epmd: /)]);
  }
});

test("doctor does not let a name from the network drive the terminal, or break a line", async () => {
  const server = createServer((socket) => {
    const line = "name evil\x1b[2J;\u0020none at port 5\n";
    socket.once("data", (bytes) =>
      socket.end(
        bytes[2] === 0x6e ? Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from(line)]) : Buffer.from([0x77, 1]),
      ),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = (server.address() as { port: number }).port;
  const { stdout } = await runCommand(["doctor", "--all", "--port", String(port)]);
  server.close();
  expect(stdout).toContain("with the nodes evil\\x1b[2J; none (port 5)\n");
  expect(stdout).toContain("with the nodes evil\\x1b[2J; none (port 5) (epmd-port)\n");
  expect(stdout).not.toContain("\x1b");
});

test("doctor tells name servers that refuse, or answer for another part of DNS", async () => {
  const [refusing, foreign] = await Promise.all([
    startFakeDns(() => ({ rcode: 5 })),
    startFakeDns(() => ({ rcode: 3 })),
  ]);
  const port = ["--port", String(await freePort()), "--json"];
  const ask = async (...servers: readonly number[]) => {
    const dns = servers.flatMap((server) => ["--dns", `127.0.0.1:${server}`]);
    const { stdout } = await runCommand(["doctor", ...port, ...dns, "a@svc"]);
    const line = stdout.split("\n").find((one) => one.includes('"check":"resolver"')) ?? "{}";
    return JSON.parse(line) as Record<string, string>;
  };
  expect(await ask(refusing.port)).toMatchObject({
    result: "fail",
    evidence: `svc.service.consul: 127.0.0.1:${refusing.port} refuses (REFUSED)`,
    advice: expect.stringContaining("--dns consul=127.0.0.1:8600"),
  });
  expect(await ask(foreign.port)).toMatchObject({
    result: "warn",
    evidence: expect.stringContaining("it may not know the domain"),
  });
  expect((await ask(refusing.port, foreign.port)).advice).toContain("counts like any");
  await Promise.all([refusing.close(), foreign.close()]);
});

test("doctor asks Consul once for the instances of a service, however many checks look at them", async () => {
  const consul = await startFakeConsul();
  consul.misbehave(({ path }) => (path === "/v1/status/leader" ? { status: 200, body: "10.9.9.9:8300" } : undefined));
  const dns = await startFakeDns(({ qname }) => ({ rcode: qname === "svc.service.consul" ? 0 : 3 }));
  const epmd = createServer((socket) => {
    const names = Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from("name node_a at port 5\n")]);
    socket.once("data", (bytes) => socket.end(bytes[2] === 0x6e ? names : Buffer.from([0x77, 1])));
  }).listen(0, "127.0.0.1");
  await once(epmd, "listening");
  const port = String((epmd.address() as { port: number }).port);
  const flags = ["--domain", "svc", "--consul", consul.url, "--dns", `127.0.0.1:${dns.port}`, "--port", port];
  const { stdout } = await runCommand(["doctor", "--json", ...flags, "node_b@svc"]);
  epmd.close();
  await Promise.all([consul.close(), dns.close()]);
  const told = new Map(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => [JSON.parse(line).check, JSON.parse(line).evidence] as const),
  );
  expect([told.get("catalogue"), told.get("same-name"), told.get("peer-records")]).toEqual([
    "no node is registered here that would be published",
    expect.stringContaining("Consul does not list node_a@svc.service.consul"),
    expect.stringContaining("nothing is registered in Consul as the service svc"),
  ]);
  // The catalogue of look-ups asks once too, and then after each blocking query, as the list is empty.
  const asked = consul.requests.map(({ path }) => path).filter((path) => path.startsWith("/v1/health/service/svc"));
  const held = asked.filter((path) => path.includes("index="));
  expect(asked.length - 2 * held.length).toBeLessThanOrEqual(2);
});
