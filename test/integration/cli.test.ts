import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMANDS } from "../../src/cli/commands.js";
import { run } from "../../src/cli/program.js";
import { flagOf, hasFlag, OPTION_KEYS, optionOf } from "../../src/config/options.js";
import { runCommand } from "../support/command-line.js";
import { askingNoDaemon } from "../support/environment.js";
import { freePort } from "../support/free-port.js";

/** Runs a command line in this process. */
async function cli(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await run(args, {
    env: { ...askingNoDaemon(args), ...env },
    program: [],
    stdout: (text) => out.push(text),
    stderr: (text) => err.push(text),
    stderrIsTerminal: false,
    columns: 300,
    onSignal: () => {},
  });
  return { code, stdout: out.join(""), stderr: err.join("") };
}

describe("bad usage stops with exit 2 and says what is wrong and what would be right", () => {
  test.each<[string, string[], RegExp]>([
    ["no command", [], /no command; give one of serve, resolve, names, wait, doctor, ping, module, hosts, relay, help/],
    ["a misspelt command", ["server"], /"server" is not a command; was serve meant\? see srv-epmd --help\n$/],
    ["a misspelt command with --help", ["docotr", "--help"], /"docotr" is not a command; was doctor meant\?/],
    ["a flag without its dashes", ["version"], /"version" is not a command; was --version meant\?/],
    [
      "a command behind its options",
      ["--domain", "svc", "serve"],
      /"--domain" is not a command; serve comes before its/,
    ],
    ["an unknown command", ["frobnicate"], /"frobnicate" is not a command; give one of serve, .*, help, completion\n$/],
    [
      "an unknown flag",
      ["serve", "--prot", "1"],
      /--prot is not an option; was --port meant\? see srv-epmd serve --help/,
    ],
    ["an old name", ["serve", "--no-admin"], /--no-admin is no longer an option: give --admin none/],
    [
      "an old name of a switch, negated",
      ["serve", "--no-probe-endpoints"],
      /--no-probe-endpoints is no longer an option: give --no-prefer-reachable\n$/,
    ],
    ["an unknown short flag", ["serve", "-p", "1"], /-p is not an option/],
    ["a flag of another command", ["names", "--listen", "::"], /--listen is an option of serve, doctor, not of names/],
    ["a setting that has no flag", ["serve", "--consul-ssl"], /--consul-ssl is not an option/],
    ["a flag without its value", ["serve", "--port"], /--port needs a value/],
    ["a flag before another flag", ["serve", "--port", "--gateway"], /--port needs a value/],
    ["a flag with an empty value", ["serve", "--port", ""], /--port needs a value/],
    ["a negated flag that has a value", ["serve", "--no-port"], /--no-port is not an option/],
    ["a port that is none", ["serve", "--port", "70000"], /--port: "70000" must be a whole number from 0 to 65535/],
    ["a flag given twice", ["serve", "--port", "1", "--port", "2"], /--port is given 2 times \(1, 2\); give it once/],
    ["a boolean that is none", ["resolve", "a@b", "--json=perhaps"], /--json: "perhaps" must be true or false/],
    ["an address that is none", ["serve", "--listen", "box1"], /--listen: "box1" must be an IPv4 or IPv6 address/],
    [
      "a duration that is none",
      ["resolve", "a@b", "--timeout", "4 s"],
      /--timeout: "4 s" must be a duration such as 500ms/,
    ],
    [
      "a domain that is none",
      ["serve", "--domain", "a..b"],
      /--domain: "a..b" has the domain "a..b", which must be a domain name/,
    ],
    ["a static node that is none", ["serve", "--node", "a=1"], /--node: "a=1" must be written name@host=address:port/],
    ["a name server with a name", ["resolve", "a@b", "--dns", "dns.test"], /--dns: "dns.test" must be an address/],
    [
      "a placeholder that is none",
      ["serve", "--srv-name", "{nam}.x"],
      /--srv-name: "{nam}.x" has the placeholder {nam}/,
    ],
    ["a Consul URL that is none", ["serve", "--consul", "ftp://x"], /--consul: "ftp:\/\/x" must be http:\/\/host:port/],
    ["no node to resolve", ["resolve"], /a name is missing; usage: srv-epmd resolve <name..>/],
    ["one name too many", ["wait", "a@b", "c@d"], /"c@d" is one argument too many; usage: srv-epmd wait \[name\]/],
    ["a node name that is none", ["resolve", "@svc"], /node "@svc" must be a node name such as node_a@svc/],
    ["a pattern for one node", ["ping", "*@svc"], /'\*@svc' is a pattern.*srv-epmd names --match '\*@svc'/],
    [
      "a pattern for the node to wait for",
      ["wait", "node_?"],
      /'node_\?' is a pattern, and one node is asked for.*doctor --cluster 'node_\?'/,
    ],
    ["an EPMD that is none", ["names", "here"], /EPMD "here" must be an address/],
    [
      "a pattern that is none",
      ["names", "--match", "node_*"],
      /--match: "node_\*" must be a pattern such as 'node_\*@svc'/,
    ],
    ["a service with a dot", ["serve", "--service", "a.b"], /--service: "a.b" must be a name without dots/],
    [
      "two addresses of one family",
      ["serve", "--advertise-address", "10.0.0.1", "--advertise-address", "10.0.0.2"],
      /--advertise-address: 10.0.0.1, 10.0.0.2 has two IPv4 addresses; give one of each family/,
    ],
    ["a flag without its value", ["serve", "--dns"], /--dns needs a value/],
    ["an IPv6 address whose port lacks brackets", ["serve", "--dns", "::1:8600"], /was \[::1\]:8600 meant\?/],
    ["a domain that is never reached", ["serve", "--domain", "svc", "--domain", "n*=b"], /n\*=b is never reached: svc/],
    [
      "a token on the command line, which ps shows",
      ["serve", "--consul-token", "a\nb"],
      /^srv-epmd: --consul-token is no longer an option: give CONSUL_HTTP_TOKEN, or consul-token in the configuration file\n$/,
    ],
    [
      "less than Consul's minimum",
      ["serve", "--deregister-after", "5s"],
      /must be at least 1m, which is Consul's minimum/,
    ],
    ["a module for nowhere", ["module"], /say where it goes: --out DIR, --out - to print it, or --app DIR/],
    ["a zone without a domain", ["serve", "--dns-listen", "127.0.0.1:0"], /--dns-listen answers .* give --domain too/],
    [
      "a nodes file that is not there",
      ["resolve", "a@b", "--nodes-file", "/no/such"],
      /--nodes-file: cannot use \/no\/such: ENOENT/,
    ],
    ["a config file that is not there", ["serve", "--config", "/no/such"], /--config: cannot use \/no\/such: ENOENT/],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await cli(args);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^srv-epmd: .*\n$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("a bad variable is named as it was given", async () => {
    expect(await cli(["resolve", "a@b"], { SRV_EPMD_FAMILY: "5" })).toMatchObject({
      code: 2,
      stderr: 'srv-epmd: SRV_EPMD_FAMILY: "5" must be any, 4 or 6\n',
    });
  });

  test("where the log is JSON, the complaint is too, and the exit code is the same", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "srv-epmd-")), "config.json");
    writeFileSync(file, '{"log-format": "json"}');
    const asked = [
      [["serve", "--port", "70000", "--log-format", "json"], {}, 2, "CONFIG_VALUE"],
      [["serve", "--port", "70000", "--log-format=json"], {}, 2, "CONFIG_VALUE"],
      [["serve", "--prot", "1"], { SRV_EPMD_LOG_FORMAT: "json" }, 2, "CONFIG_UNKNOWN"],
      [["names", "127.0.0.1:1", "--config", file], {}, 3, "EPMD_UNREACHABLE"],
    ] as const;
    for (const [args, env, exit, errorCode] of asked) {
      const { code, stderr } = await cli(args, env);
      expect(JSON.parse(stderr)).toEqual({
        level: "fatal",
        time: expect.any(String),
        code: errorCode,
        msg: expect.stringMatching(/--port|--prot|cannot ask/),
      });
      expect([code, stderr.endsWith("}\n")]).toEqual([exit, true]);
    }
    const pretty = await cli(["serve", "--port", "70000", "--log-format", "pretty"], { SRV_EPMD_LOG_FORMAT: "json" });
    expect(pretty.stderr).toMatch(/^srv-epmd: /);
  });

  test.each([
    ["with a scheme", "http://user:s3cret@host:8500"],
    ["without one", "user:s3cret@host:8500"],
    ["with a slash in it", "http://user:s3/cret@host"],
  ])("a password in a URL %s is not repeated", async (_, url) => {
    for (const given of [await cli(["serve", "--consul", url]), await cli(["serve"], { CONSUL_HTTP_ADDR: url })]) {
      expect(given.code).toBe(2);
      expect(given.stderr).toContain("...@");
      expect(given.stderr).not.toMatch(/s3|cret/);
    }
  });

  test("a name cannot drive the terminal", async () => {
    const { stdout } = await cli(["resolve", "a\u009b31m@h", "--node", "a\u009b31m@h=10.0.0.1:1"]);
    expect(stdout).toMatch(/^a\\x9b31m@h/);
  });

  test("a secret is not repeated", async () => {
    for (const token of ["s3\ncret", "s3cret"]) {
      for (const flags of [[], ["--consul-token", token]]) {
        const { code, stderr } = await cli(["serve", "--port", "x", ...flags], { CONSUL_HTTP_TOKEN: token });
        expect(code).toBe(2);
        expect(stderr).not.toMatch(/s3|cret/);
      }
    }
  });
});

test("module --out - prints the module", async () => {
  const { code, stdout, stderr } = await cli(["module", "--out", "-"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("-module(srv_epmd).");
});

describe("help", () => {
  test.each([["--help"], ["-h"]])("%s lists the commands", async (word) => {
    const { code, stdout, stderr } = await cli([word]);
    expect(stdout).toMatch(/^ {2}serve .*\n {2}resolve <name\.\.> /m);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test("of serve has ten options with placeholders, defaults and the ecosystem's variables, and examples", async () => {
    const { stdout } = await cli(["serve", "--help"]);
    expect(stdout.match(/^ {2}--/gm)).toHaveLength(10);
    expect(stdout).toMatch(/^ {2}--port N +EPMD port.*\[default:\s+4369; ERL_EPMD_PORT\]/m);
    expect(stdout).toContain("srv-epmd serve --domain svc.service.consul");
    expect(stdout).toContain("srv-epmd serve --help-all");
    expect((await cli(["names", "--help"])).stdout).not.toContain("--listen");
  });

  test("--help-all has every option by topic, but those that this program gives itself", async () => {
    const [serve, relay, program] = await Promise.all([
      cli(["serve", "--help-all"]),
      cli(["relay", "--help-all"]),
      cli(["--help-all"]),
    ]);
    const flags = (text: string) => Array.from(text.matchAll(/^ {2}--([a-z-]+)/gm), ([, flag]) => flag).sort();
    const shown = OPTION_KEYS.filter((key) => hasFlag(key) && !optionOf(key).hidden);
    expect(flags(program.stdout)).toEqual(shown.map(flagOf).sort());
    expect(flags(serve.stdout)).toEqual(
      shown
        .filter((key) => optionOf(key).commands.includes("serve"))
        .map(flagOf)
        .sort(),
    );
    expect(relay.stdout).toMatch(/^Gateway:\n {2}--relay-ports LOW-HIGH/m);
    expect(relay.stdout).not.toContain("--until-idle");
  });

  test("of doctor does not repeat that of serve", async () => {
    for (const flag of ["--help", "--help-all"]) {
      const { stdout } = await cli(["doctor", flag]);
      expect(stdout).toContain("Every option of serve is one of doctor too: srv-epmd serve --help-all");
      expect(stdout.match(/^ {2}--/gm)?.length).toBeLessThan(10);
    }
  });

  test("fits 80 columns, however wide the terminal is", async () => {
    for (const command of ["", ...COMMANDS.map(({ name }) => name)]) {
      for (const flag of ["--help", "--help-all"]) {
        const { stdout } = await cli([command, flag].filter((word) => word !== ""));
        for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
      }
    }
  });

  test("fits a narrow terminal", async () => {
    const { stdout } = await runCommand(["serve", "--help"], { columns: 50 });
    for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(50);
  });

  test("--version prints the version alone", async () => {
    expect((await cli(["--version"])).stdout).toMatch(/^\S+\n$/);
  });
});

describe("completion", () => {
  const words = async (...line: string[]) => (await cli(["--completions", ...line])).stdout.trim().split("\n");

  test("prints a script for the shell that is named, else for $SHELL, else for bash", async () => {
    const script = async (args: string[], env = {}) => (await cli(["completion", ...args], env)).stdout;
    expect(await script([])).toContain("complete -F _srv_epmd srv-epmd");
    expect(await script([], { SHELL: "/usr/bin/zsh" })).toMatch(/^#compdef srv-epmd/);
    expect(await script([], { SHELL: "/bin/dash" })).toContain("complete -F _srv_epmd srv-epmd");
    expect(await script(["fish"])).toContain("complete -c srv-epmd");
    expect(await cli(["completion", "tcsh"])).toMatchObject({ code: 2, stdout: "" });
  });

  test("offers commands, and the flags of a command", async () => {
    expect(await words("re")).toEqual(expect.arrayContaining(["resolve", "relay", "help", "completion"]));
    const flags = await words("serve", "--co");
    expect(flags).toEqual(expect.arrayContaining(["--consul-token-file", "--register", "--help-all"]));
    expect(flags).not.toContain("--consul-token");
    expect(await words("names", "--li")).not.toContain("--listen");
    expect(await words("relay", "--")).not.toContain("--until-idle");
  });

  test.each([
    [
      ["serve", "--register", ""],
      ["consul", "none"],
    ],
    // bash has an = as a word of its own, zsh and fish do not.
    [
      ["serve", "--register", "=", "no"],
      ["consul", "none"],
    ],
    [
      ["serve", "--register", "="],
      ["consul", "none"],
    ],
    [
      ["serve", "--register=no"],
      ["--register=consul", "--register=none"],
    ],
    [["serve", "--fallback", ""], ["epmd"]],
    [["serve", "--config", ""], [":files"]],
    [["module", "--out", ""], [":folders"]],
    [["serve", "--domain", ""], [""]],
    [
      ["completion", ""],
      ["bash", "zsh", "fish"],
    ],
    [["nothing", ""], [""]],
  ])("after %j offers %j", async (line, candidates) => {
    expect(await words(...line)).toEqual(candidates);
  });

  test("offers values that the options take", () => {
    for (const key of OPTION_KEYS) {
      const { placeholder = "", parse } = optionOf(key);
      for (const word of placeholder.split("|").filter((text) => /^[a-z0-9]+$/.test(text))) {
        expect(() => parse(word), `${key} ${word}`).not.toThrow();
      }
    }
  });
});

describe("values come from flag, variable and file", () => {
  let directory = "";
  const file = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "srv-epmd-cli-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each([
    ["nodes.json", '{"node": ["a@h=10.0.0.1:1", "b@h=10.0.0.2:2"], "json": true}'],
    ["nodes.yaml", "node:\n  - a@h=10.0.0.1:1\n  - b@h=10.0.0.2:2\njson: true\n"],
  ])("%s", async (name, text) => {
    const { code, stdout } = await cli(["resolve", "b@h", "--config", file(name, text)]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ source: "static", endpoints: [{ address: "10.0.0.2", port: 2 }] });
  });

  test("a file with a key that is no option, or that is broken, stops with exit 2", async () => {
    const wrong = file("wrong.json", '{"nod": []}');
    expect((await cli(["resolve", "a@h", "--config", wrong])).stderr).toBe(
      `srv-epmd: ${wrong}: nod is not an option; was node meant?\n`,
    );
    const broken = await cli(["resolve", "a@h"], { SRV_EPMD_CONFIG: file("broken.json", "{") });
    expect(broken.code).toBe(2);
    expect(broken.stderr).toMatch(/--config: cannot use .*broken.json: /);
  });

  test("a broken line of a nodes file is named", async () => {
    const path = file("nodes", "a@h=10.0.0.1:1 # first\n\nb@h\n");
    expect(await cli(["resolve", "a@h", "--nodes-file", path])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/line 3: "b@h" must be written name@host=address:port/),
    });
  });

  test("blanks around the = of an entry do no harm", async () => {
    const { code } = await cli(["resolve", "a@h", "--nodes-file", file("spaced", "a@h = 10.0.0.1:1\n")]);
    expect(code).toBe(0);
  });

  test("a misspelt variable is only warned about", async () => {
    const { code, stderr } = await cli(["resolve", "a@h", "--node", "a@h=10.0.0.1:1"], { SRV_EPMD_FAMILIY: "4" });
    expect(code).toBe(0);
    expect(JSON.parse(stderr)).toMatchObject({ level: "warn", msg: expect.stringContaining("SRV_EPMD_FAMILIY") });
  });
});

describe("results", () => {
  const nodes = ["--node", "a@h=10.0.0.1:1", "--node", "b@h=[fd00::2]:22"];

  test("resolve prints one block a node, in the order of the command line; the worst decides the exit code", async () => {
    const silent = ["--dns", "127.0.0.1:1", "--timeout", "300ms"];
    const { code, stdout } = await cli(["resolve", "b@h", "a@h", ...nodes, ...silent]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^b@h\.service\.consul: found by static \([0-9.]+ ms\)\n {2}\[fd00::2\]:22 {2}fd00::2\na@h\.service\.consul: found/,
    );
    expect((await cli(["resolve", "a@localhost", "a@h", ...nodes, ...silent])).code).toBe(1);
    expect((await cli(["resolve", "a@localhost", "c@h.test", ...nodes, ...silent])).code).toBe(3);
  });

  test("resolve --trace shows the steps, on stderr when stdout is for programs", async () => {
    const plain = await cli(["resolve", "a@h", ...nodes, "--trace"]);
    expect(plain.stdout).toMatch(
      /^- a@h is alive name a at host h\.service\.consul\n- registry: .* is not this machine\n- static: 1 endpoint\n/,
    );
    const json = await cli(["resolve", "a@h", ...nodes, "--trace", "--json"]);
    expect(json.stdout.trim().split("\n")).toHaveLength(1);
    expect(json.stderr).toContain("- static: ");
  });

  test("names and wait say with exit 3 and 1 that nobody listens", async () => {
    const port = String(await freePort());
    expect(await cli(["names", "--port", port])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(`cannot ask the EPMD at 127.0.0.1:${port}: connect ECONNREFUSED`),
    });
    expect(await cli(["wait", "--port", port, "--timeout", "200ms"])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`gave up after 0\\.\\d s: the EPMD on port ${port}: .*ECONNREFUSED`)),
    });
    for (const place of [["localhost", "--port", port], [`localhost:${port}`]]) {
      expect((await cli(["names", ...place])).stderr).toContain(`cannot ask the EPMD at 127.0.0.1:${port}`);
    }
    const json = await cli(["wait", "--port", port, "--timeout", "200ms", "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ there: false, waitedMs: expect.any(Number) });
  });

  test("wait says what it is waiting for when that takes long", async () => {
    const { stderr } = await cli(["wait", "node_a@h.test", "--dns", "127.0.0.1:9", "--timeout", "5s"]);
    const lines = stderr.trim().split("\n");
    expect(lines.length).toBeGreaterThan(1);
    expect(lines[0]).toMatch(/^srv-epmd: waiting for node_a@h\.test \([2-4] s\): .*127\.0\.0\.1:9/);
    expect(lines.at(-1)).toMatch(/^srv-epmd: gave up after [0-9.]+ s: node_a@h\.test: .*127\.0\.0\.1:9/);
  });
});
