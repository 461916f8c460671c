import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { runCommand, startCommand } from "../support/command-line.js";
import { startFakeDns } from "../support/fake-dns-server.js";
import { freePort } from "../support/free-port.js";
import { silentPort } from "../support/silent-port.js";
import { waitFor } from "../support/wait-for.js";

const NODE = "a@h.test";
const ENTRY = `${NODE}=127.0.0.1:20001`;

async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** The EPMD port of a daemon: it accepts connections, and that is all that is looked at. */
const epmdPort = () => listen(createTcpServer((socket) => socket.destroy()));

/** What listens where a daemon serves HTTP. */
async function fakeHttp(answer: RequestListener, at = 0): Promise<number> {
  const server = createServer(answer);
  const port = await listen(server, at);
  onTestFinished(() => server.closeAllConnections());
  return port;
}

interface Told {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly withheld?: readonly string[];
  /** That of the command when not given. */
  readonly port?: number;
}

/** A daemon that tells these settings. @returns flags by which a command finds it */
async function daemonTelling({ options = {}, withheld = [], port }: Told): Promise<string[]> {
  const own = await epmdPort();
  const admin = await fakeHttp(({ url }, response) => {
    const body = { version: "9.9.9", epmd: { port: port ?? own }, options, withheld };
    response.writeHead(url === "/v1/settings" ? 200 : 404).end(JSON.stringify(body));
  });
  return ["--admin", `127.0.0.1:${admin}`, "--port", String(own)];
}

const resolve = (...args: readonly string[]) => runCommand(["resolve", NODE, "--json", ...args]);
/** Results differ in their times alone. */
const found = (stdout: string) => ({ ...(JSON.parse(stdout) as object), elapsedMs: 0 });

describe("a command asks the daemon of this machine for its settings", () => {
  test("and uses them, which one line on stderr says; the result is that of the same settings given by hand", async () => {
    const at = await daemonTelling({ options: { node: [ENTRY], family: "4" } });
    const { code, stdout, stderr } = await resolve(...at);
    const byHand = await resolve("--admin", "none", "--node", ENTRY, "--family", "4");
    expect([code, found(stdout)]).toEqual([0, found(byHand.stdout)]);
    expect(byHand.stderr).toBe("");
    expect(stderr).toBe(
      `srv-epmd: with the settings of the srv-epmd here (${at[1]}, version 9.9.9): --family 4 --node ${ENTRY}\n`,
    );
  });

  test("and what is given by hand wins, without a word where that is all", async () => {
    const at = await daemonTelling({ options: { node: [ENTRY] } });
    const { stdout, stderr } = await resolve(...at, "--node", `${NODE}=127.0.0.1:20002`);
    expect(found(stdout)).toMatchObject({ endpoints: [{ port: 20002 }] });
    expect(stderr).toBe("");
  });

  test("and a log level that asks for less silences the line; as JSON it is a log line", async () => {
    const at = await daemonTelling({ options: { node: [ENTRY] } });
    expect((await resolve(...at, "--log-level", "error")).stderr).toBe("");
    const { stderr } = await resolve(...at, "--log-format", "json");
    expect(JSON.parse(stderr)).toMatchObject({ level: "warn", msg: expect.stringContaining(`--node ${ENTRY}`) });
  });

  test("and says which ones it cannot know", async () => {
    const at = await daemonTelling({ options: {}, withheld: ["nodes-file", "consul-token-file"] });
    expect((await resolve(...at, "--node", ENTRY)).stderr).toMatch(
      /has --nodes-file, --consul-token-file, to be given by hand\n$/,
    );
  });

  test("and a value that drives a terminal is shown as text, if it is taken at all", async () => {
    const at = await daemonTelling({ options: { "srv-name": "\u001b[31m{name}.{host}", domain: ["\u001b[2J"] } });
    const { stderr } = await resolve(...at, "--node", ENTRY);
    expect(stderr).toContain("\\x1b[31m");
    expect(stderr).toContain("it also has --domain, to be given by hand");
    expect(stderr).not.toContain("\u001b");
  });

  test("and goes without settings that contradict what is given", async () => {
    const at = await daemonTelling({ options: { fallback: ["4370", "4371"], node: [ENTRY] } });
    const { code, stderr } = await resolve(...at, "--node", ENTRY);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^srv-epmd: the settings .* are not used, they contradict what is given: --fallback: .*\n$/);
    const wrong = await resolve(...at, "--fallback", "1", "--fallback", "2");
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("--fallback: 1 and 2 are two ports")]);
  });

  test("and wait asks again until it has started", async () => {
    const [admin, epmd] = [await freePort(), await epmdPort()];
    const at = ["--admin", `127.0.0.1:${admin}`, "--port", String(epmd)];
    const waiting = startCommand(["wait", NODE, ...at, "--timeout", "20s", "--json"]);
    await fakeHttp((_, response) => {
      response.end(JSON.stringify({ version: "9.9.9", epmd: { port: epmd }, options: { node: [ENTRY] } }));
    }, admin);
    expect(await waiting.done).toBe(0);
    expect(waiting.stderr()).toContain(`--node ${ENTRY}`);
    expect(JSON.parse(waiting.stdout())).toMatchObject({ for: NODE, there: true });
  });

  test("and does not where an EPMD is named, and with --admin none", async () => {
    const asked: string[] = [];
    const admin = await fakeHttp(({ url = "" }, response) => {
      asked.push(url);
      response.writeHead(404).end();
    });
    const at = ["--admin", `127.0.0.1:${admin}`];
    const epmd = `127.0.0.1:${await epmdPort()}`;
    await runCommand(["resolve", NODE, "--via", epmd, ...at]);
    await runCommand(["names", epmd, ...at]);
    await runCommand(["hosts", "svc"]);
    await runCommand(["resolve", NODE, "--node", ENTRY, "--admin", "none"]);
    expect(asked).toEqual([]);
    await runCommand(["resolve", NODE, "--node", ENTRY, ...at]);
    expect(asked).toEqual(["/v1/settings"]);
  });
});

describe("where no daemon tells its settings", () => {
  /** As it was before, with a line before the result: nothing that decides a look-up was given. */
  async function withoutDaemon(...args: readonly string[]) {
    const startedAt = performance.now();
    // No name server is asked for it.
    const { code, stdout, stderr } = await runCommand(["resolve", "a@localhost", "--json", ...args]);
    const took = performance.now() - startedAt;
    expect([code, JSON.parse(stdout)]).toEqual([1, expect.objectContaining({ outcome: "not-found" })]);
    expect(stderr).toMatch(/^srv-epmd: the settings of serve are not known here, only the defaults: .*--domain, --dns/);
    return { why: stderr, took };
  }

  test.each<[string, RequestListener, RegExp]>([
    ["something else answers", (_, response) => response.end("<html>hello</html>"), /is no srv-epmd\./],
    ["an older srv-epmd answers", (_, response) => response.writeHead(404).end("none"), /of an older version/],
    [
      "the answer leads elsewhere",
      (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/v1/settings" }).end(),
      /is no srv-epmd\./,
    ],
    [
      "JSON of another kind comes",
      (_, response) => response.end('{"options":{"node":["a@h.test=1.2.3.4:5"]}}'),
      /is no/,
    ],
    ["the connection is cut", (request) => request.socket.destroy(), /gave no answer: .*(socket hang up|ECONNRESET)/],
    [
      "the answer has no end",
      (_, response) => {
        const more = () => {
          if (!response.destroyed) response.write("x".repeat(65_536), () => setImmediate(more));
        };
        response.on("error", () => {});
        more();
      },
      /answered with more than 262144 bytes/,
    ],
    ["the answer comes a byte at a time", (_, response) => drip(response), /did not answer within 1000 ms/],
    ["no answer comes", () => {}, /did not answer within 1000 ms/],
  ])("%s: it says why", async (_, answer, expected) => {
    const admin = await fakeHttp(answer);
    const { why, took } = await withoutDaemon("--admin", `127.0.0.1:${admin}`, "--port", String(await epmdPort()));
    expect(why).toMatch(expected);
    expect(took).toBeLessThan(5_000);
  });

  test("a port that accepts nothing costs half a second", async () => {
    const admin = await silentPort();
    const { took } = await withoutDaemon("--admin", `127.0.0.1:${admin}`, "--port", String(await epmdPort()));
    expect(took).toBeGreaterThan(400);
    expect(took).toBeLessThan(5_000);
  });

  test("nothing listens: it says where it asked", async () => {
    const admin = `127.0.0.1:${await freePort()}`;
    expect((await withoutDaemon("--admin", admin)).why).toContain(`nothing listens on ${admin}`);
  });

  test("the daemon is that of another EPMD", async () => {
    const at = await daemonTelling({ options: { node: [ENTRY] }, port: 4370 });
    expect((await withoutDaemon(...at)).why).toContain(`has the EPMD port 4370, not ${at[3]}`);
  });

  test("an address of another machine is not asked", async () => {
    expect((await withoutDaemon("--admin", "192.0.2.1:9369")).why).toContain("is no address of this machine");
  });

  test("it says so as well when the node is found, before the result", async () => {
    // PORT2_RESP of the node a, at port 20001.
    const answer = Buffer.from([119, 0, 0x4e, 0x21, 77, 0, 0, 6, 0, 5, 0, 1, 97, 0, 0]);
    const epmd = await listen(createTcpServer((socket) => socket.on("data", () => socket.end(answer))));
    const at = ["--admin", `127.0.0.1:${await freePort()}`, "--port", String(epmd)];
    const { code, stdout, stderr } = await runCommand(["resolve", "a@localhost", "--json", ...at]);
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ source: "registry" })]);
    expect(stderr).toMatch(/^srv-epmd: the settings of serve are not known here, only the defaults: nothing listens/);
    const waited = await runCommand(["wait", "a@localhost", "--timeout", "1s", ...at]);
    expect(waited.stderr).toMatch(/^srv-epmd: the settings of serve are not known here/);
    expect((await runCommand(["resolve", "a@localhost", ...at, "--log-level", "error"])).stderr).toBe("");
  });

  test("doctor says so whatever was given, and of --admin none where a srv-epmd runs", async () => {
    const nobody = ["--admin", `127.0.0.1:${await freePort()}`, "--port", String(await freePort())];
    const { stderr } = await runCommand(["doctor", "--domain", "svc", "--dns", "127.0.0.1:1", ...nobody]);
    expect(stderr).toMatch(
      /^srv-epmd: the settings of serve are not known here, only the defaults and what is given: nothing listens on .*\n$/,
    );
    const none = ["--admin", "none", "--port", String(await freePort())];
    expect((await runCommand(["doctor", "--domain", "svc", ...none])).stderr).toBe("");
    const serving = startCommand(["serve", ...none, "--log-format", "json"]);
    await waitFor(() => serving.stderr().includes('"ready"'), { what: "serve" });
    const beside = await runCommand(["doctor", ...none]);
    serving.signal("SIGTERM");
    await serving.done;
    expect(beside.stderr).toMatch(/only the defaults: --admin is none\. A srv-epmd has the EPMD port \d+: give its/);
  });

  test("nothing is said of it when look-ups were told by hand, and where it does not matter", async () => {
    const admin = ["--admin", `127.0.0.1:${await freePort()}`];
    expect((await resolve(...admin, "--node", ENTRY)).stderr).toBe("");
    const dns = await startFakeDns(() => ({ rcode: 3 }));
    onTestFinished(() => dns.close());
    const { code, stderr } = await resolve(...admin, "--dns", `127.0.0.1:${dns.port}`);
    expect([code, stderr]).toEqual([1, ""]);
    const names = await runCommand(["names", ...admin, "--port", String(await freePort())]);
    expect(names.stderr).not.toContain("settings");
  });
});

function drip(response: Parameters<RequestListener>[1]): void {
  const timer = setInterval(() => response.write(" "), 50);
  response.on("error", () => {});
  response.on("close", () => clearInterval(timer));
}
