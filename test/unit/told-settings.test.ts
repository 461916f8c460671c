import { describe, expect, test } from "vitest";
import { type ConfigInput, loadConfig } from "../../src/config/config.js";
import { type Command, flagOf, OPTION_KEYS, type OptionKey, optionOf } from "../../src/config/options.js";
import { type BoundSettings, readToldSettings, settingsToTell, toldLine } from "../../src/config/told.js";

const AT = "127.0.0.1:9369";
const BOUND: BoundSettings = { port: 4369, dnsListen: undefined, gatewayListen: undefined, dns: [] };
const TOKEN = "b1gs33d5-7f6e-4c3e-9a38-tokentoken00";

/** What a daemon with these flags and variables tells. */
function toldBy(flags: ConfigInput["flags"], env: ConfigInput["env"] = {}, bound: Partial<BoundSettings> = {}) {
  const { config } = loadConfig({ command: "serve", flags, env });
  return settingsToTell(config, { ...BOUND, ...bound });
}

function daemonOf(options: unknown, withheld: unknown = []) {
  const daemon = readToldSettings({ version: "1.0.0", epmd: { port: 4369 }, options, withheld }, AT);
  if (!daemon) throw new Error("not read");
  return daemon;
}

/** The configuration of a command beside a daemon that told this. */
function beside(
  options: unknown,
  input: Partial<ConfigInput> & { readonly command?: Command } = {},
  withheld: unknown = [],
) {
  return loadConfig({ command: "resolve", flags: {}, env: {}, ...input, daemon: daemonOf(options, withheld) });
}

describe("the table of options says what a daemon tells", () => {
  const having = (told: string) => OPTION_KEYS.filter((key) => optionOf(key).told === told);

  test("no value that is a secret, and none that makes a command open a file or run something", () => {
    for (const key of [...having("value"), ...having("url")]) {
      const { secret, placeholder, help } = optionOf(key);
      expect([key, secret ?? false, /^(FILE|PATH|DIR|TOKEN)$/.test(placeholder ?? ""), /\bfile\b/.test(help)]).toEqual([
        ...[key, false, false, false],
      ]);
    }
  });

  test("that values which are URLs are told as such, and those alone", () => {
    const readsUrls = (key: OptionKey) => {
      try {
        return optionOf(key).parse("https://box1:8501") === "https://box1:8501";
      } catch {
        return false;
      }
    };
    expect(OPTION_KEYS.filter((key) => readsUrls(key) && optionOf(key).placeholder === "URL")).toEqual(having("url"));
  });

  test("the names of all credentials for these URLs, without their values", () => {
    for (const url of having("url")) {
      const { group } = optionOf(url);
      const others = OPTION_KEYS.filter((key) => optionOf(key).group === group && key !== url);
      const silent = others.filter((key) => optionOf(key).told === undefined);
      expect(silent).toEqual(group === "consul" ? ["consulSsl"] : []);
    }
  });
});

describe("a daemon tells its options", () => {
  test("as they were written, from wherever they were set, with the ports that it got", () => {
    const flags = { domain: ["a_*=one", "svc"], dns: ["consul=127.0.0.1:8600"], port: "0", dnsListen: "127.0.0.1:0" };
    const env = { SRV_EPMD_CONSUL_DOMAIN: "corp", ERL_EPMD_ADDRESS: "10.0.0.1 fd00::1" };
    expect(toldBy(flags, env, { port: 14369, dnsListen: "127.0.0.1:8653" })).toEqual({
      options: {
        port: "14369",
        listen: ["10.0.0.1", "fd00::1"],
        domain: ["a_*=one", "svc"],
        "consul-domain": "corp",
        dns: ["consul=127.0.0.1:8600"],
        "dns-listen": "127.0.0.1:8653",
      },
      withheld: [],
    });
  });

  test("with the name server that it has found beside those that it was given", () => {
    const dns = ["consul=127.0.0.1:8600"];
    expect(toldBy({ dns: ["10.0.0.2"] }, {}, { dns }).options.dns).toEqual(["10.0.0.2", ...dns]);
    expect(toldBy({}, {}, { dns }).options.dns).toEqual(dns);
  });

  test("and never a token, a file or how it proves who it is: their names alone", () => {
    const env = { CONSUL_HTTP_TOKEN: TOKEN, NOMAD_TOKEN: TOKEN, CONSUL_CACERT: "/etc/ca.pem" };
    const told = toldBy({ nodesFile: "/etc/srv-epmd/nodes", consulTokenFile: "/run/secret" }, env);
    expect(JSON.stringify(told)).not.toMatch(/tokentoken|\/etc|\/run/);
    expect(told.withheld.toSorted()).toEqual([
      ...["consul-ca", "consul-token", "consul-token-file", "nodes-file", "nomad-token"],
    ]);
  });

  test("with the agent's URL as it is used", () => {
    expect(toldBy({}, { CONSUL_HTTP_SSL: "true" }).options.consul).toBe("https://127.0.0.1:8500");
    expect(toldBy({ consul: "box1:8500" }).options.consul).toBe("http://box1:8500");
    expect(toldBy({}).options).not.toHaveProperty("consul");
  });
});

describe("a command beside a daemon", () => {
  const options = { domain: ["svc"], dns: ["consul=127.0.0.1:8600"], "consul-domain": "corp", mesh: "true" };

  test("has the daemon's settings where none are given by hand", () => {
    const { config, taken } = beside(options);
    expect(config.domain.map(({ domain }) => domain)).toEqual(["svc"]);
    expect(config.dns).toEqual([{ domain: "consul", address: "127.0.0.1", port: 8600 }]);
    expect([config.consulDomain, config.mesh]).toEqual(["corp", true]);
    expect(Array.from(config.told)).toEqual(["domain", "consulDomain", "dns", "mesh"]);
    // As if they had been given: a mesh is one only when the option was set.
    expect(config.given.has("mesh")).toBe(true);
    expect(taken?.left).toEqual([]);
  });

  test.each<[string, Partial<ConfigInput>]>([
    ["a flag", { flags: { domain: "other" } }],
    ["a variable of ours", { env: { SRV_EPMD_DOMAIN: "other" } }],
    ["the configuration file", { file: { path: "f.json", contents: { domain: "other" } } }],
  ])("%s wins, and of the other options the daemon's hold", (_, input) => {
    const { config } = beside(options, input);
    expect(config.domain.map(({ domain }) => domain)).toEqual(["other"]);
    expect(config.consulDomain).toBe("corp");
    expect(config.told.has("domain")).toBe(false);
  });

  test("the ecosystem's variable wins too", () => {
    const env = { ERL_EPMD_PORT: "4370", CONSUL_HTTP_ADDR: "box1:8500" };
    const { config } = beside({ consul: "http://10.0.0.1:8500", "consul-domain": "corp" }, { env });
    expect([config.port, config.consul, config.consulDomain]).toEqual([4370, "http://box1:8500", "corp"]);
  });

  test("takes what it has an option for, and has nothing to say of what is its own default", () => {
    const { config, taken } = beside({ tag: ["x"], "register-uid": ["0"], port: "4369", family: "any" });
    expect([config.tag, taken?.texts.size, taken?.left]).toEqual([[], 0, []]);
    expect(beside({ tag: ["x"] }, { command: "doctor" }).config.tag).toEqual(["x"]);
  });

  test.each<[string, unknown]>([
    ["domain", ["not a domain"]],
    ["domain", "svc; rm -rf /"],
    ["dns", ["http://evil.example/"]],
    ["consul-domain", ["a", "b"]],
    ["family", []],
    ["advertise-port", 4370],
    ["family", { toString: "4" }],
    ["gateway-range", "10.0.0.0/8"],
  ])("goes without %s %j, which its own reader refuses", (name, value) => {
    const { config, taken } = beside({ [name]: value, "srv-name": "{name}" }, { command: "doctor" });
    const { config: plain } = loadConfig({ command: "doctor", flags: {}, env: {} });
    const key = OPTION_KEYS.find((one) => flagOf(one) === name) as OptionKey;
    expect(config[key]).toEqual(plain[key]);
    expect(taken?.left).toEqual([key]);
    expect(config.srvName).toBe("{name}");
  });

  test.each([
    ["nodes-file", "/etc/shadow"],
    ["consul-token-file", "/root/.secret"],
    ["consul-token", TOKEN],
    ["consul-ca", "/tmp/ca.pem"],
    ["consul-ssl-verify", "false"],
    ["consul-tls-server-name", "evil.example"],
    ["relay-socket", "/run/evil.sock"],
    ["runtime-dir", "/tmp"],
    ["config", "/tmp/config.json"],
    ["out", "/usr/bin"],
    ["timeout", "24h"],
    ["log-level", "silent"],
    ["admin", "10.0.0.66:80"],
    ["via", "10.0.0.66"],
    ["__proto__", "x"],
  ])("takes no %s, whatever a program tells", (name, value) => {
    for (const command of ["resolve", "wait", "names", "doctor"] as const) {
      const { config } = beside(JSON.parse(JSON.stringify({ [name]: value })), { command });
      const { config: plain } = loadConfig({ command, flags: {}, env: {} });
      expect(JSON.stringify(config)).toBe(JSON.stringify(plain));
    }
  });

  test("is not warned of what the daemon was warned of", () => {
    const told = { mesh: "true", fallback: ["epmd"], helpers: "ask", register: "consul", "dns-listen": "127.0.0.1:53" };
    expect(beside(told).warnings).toEqual([]);
    expect(beside({ mesh: "true" }, { flags: { fallback: "epmd" } }).warnings).toHaveLength(1);
  });

  test("is refused nothing by the daemon's own surroundings: --publish-node needs its ERL_DIST_PORT, not ours", () => {
    expect(beside({ "publish-node": ["a@svc"] }, { command: "doctor" }).config.publishNode).toHaveLength(1);
  });
});

describe("the URL of an API that a daemon tells", () => {
  const CONSUL = "http://10.66.0.1:8500";
  const NOMAD = "https://10.66.0.1:4646";
  const urls = (input: Partial<ConfigInput> = {}, options: object = { consul: CONSUL, "nomad-addr": NOMAD }) => {
    const { config, taken } = beside(options, input);
    return [config.consul, config.nomadAddr, taken?.left] as const;
  };

  test("is taken where there is nothing secret to send there", () => {
    expect(urls()).toEqual([CONSUL, NOMAD, []]);
  });

  test.each<[string, Record<string, string>]>([
    ["a token", { CONSUL_HTTP_TOKEN: TOKEN }],
    ["a file with one", { CONSUL_HTTP_TOKEN_FILE: "/run/token" }],
    ["a file with one, by our variable", { SRV_EPMD_CONSUL_TOKEN_FILE: "/run/token" }],
    ["a login", { SRV_EPMD_CONSUL_AUTH_METHOD: "m", SRV_EPMD_CONSUL_BEARER_TOKEN_FILE: "/jwt" }],
    ["a client certificate", { CONSUL_CLIENT_CERT: "/c.pem", CONSUL_CLIENT_KEY: "/k.pem" }],
  ])("of Consul's is not taken by a command that has %s", (_, env) => {
    expect(urls({ env })).toEqual(["http://127.0.0.1:8500", NOMAD, ["consul"]]);
  });

  test.each<[string, Record<string, string>]>([
    ["a token", { NOMAD_TOKEN: TOKEN }],
    ["a file with one", { SRV_EPMD_NOMAD_TOKEN_FILE: "/run/token" }],
    ["a client certificate", { NOMAD_CLIENT_CERT: "/c.pem", NOMAD_CLIENT_KEY: "/k.pem" }],
    ["the identity of its task", { NOMAD_SECRETS_DIR: "/secrets" }],
  ])("of Nomad's is not taken by a command that has %s", (_, env) => {
    expect(urls({ env })).toEqual([CONSUL, undefined, ["nomadAddr"]]);
  });

  test("is not taken where it is a path: what listens there sees which user asks", () => {
    const sockets = { consul: "unix:///run/evil.sock", "nomad-addr": "unix:///run/evil.sock" };
    expect(urls({}, sockets)).toEqual(["http://127.0.0.1:8500", undefined, ["consul", "nomadAddr"]]);
  });

  test("is known as one to be given by hand, unless it is a path or no URL", () => {
    const env = { CONSUL_HTTP_TOKEN: TOKEN };
    const left = (options: object) => Array.from(beside(options, { env }).config.leftUrls);
    expect(left({ consul: CONSUL, "nomad-addr": NOMAD })).toEqual([["consul", CONSUL]]);
    for (const consul of ["unix:///run/evil.sock", "http://", "\x1b[2J"]) expect(left({ consul })).toEqual([]);
  });
});

describe("the line that says so", () => {
  const line = (options: unknown, withheld: unknown = [], own = "1.0.0", input: Partial<ConfigInput> = {}) => {
    const { taken } = beside(options, input, withheld);
    return taken && toldLine(daemonOf(options, withheld), taken, own);
  };

  test("names what is used, as it would be written", () => {
    expect(line({ domain: ["svc"], dns: ["consul=127.0.0.1:8600"], gateway: "true" })).toBe(
      `with the settings of the srv-epmd here (${AT}): --domain svc --dns consul=127.0.0.1:8600 --gateway`,
    );
  });

  test("names it as a user types it: a switch without a value, quotes for a shell, a variable with its sign", () => {
    const typed = (options: object) => line(options)?.replace(/^.*?\): /, "");
    expect(typed({ mesh: "yes", "prefer-reachable": "0" })).toBe("--no-prefer-reachable --mesh");
    expect(typed({ domain: ["rabbit*=svc"], "srv-name": "{name}.{host}" })).toBe("--domain 'rabbit*=svc'");
    expect(typed({ "srv-name": "_epmd.{name}.{host}" })).toBe("--srv-name _epmd.{name}.{host}");
    expect(typed({ "nomad-namespace": "web" })).toBe("NOMAD_NAMESPACE=web");
  });

  test("names what the daemon has and keeps to itself", () => {
    expect(line({ domain: ["svc"] }, ["nodes-file", "consul-ca", "no-such"])).toBe(
      `with the settings of the srv-epmd here (${AT}): --domain svc; it also has --nodes-file, CONSUL_CACERT, to be given by hand`,
    );
    const input = { env: { CONSUL_HTTP_TOKEN: TOKEN } };
    expect(line({ consul: "http://10.66.0.1:8500" }, [], "1.0.0", input)).toBe(
      `the srv-epmd here (${AT}) has --consul http://10.66.0.1:8500, to be given by hand`,
    );
    expect(line({}, ["nodes-file"])).toBe(`the srv-epmd here (${AT}) has --nodes-file, to be given by hand`);
  });

  test("is none where nothing is used, or all is given by hand", () => {
    expect(line({ port: "4369" })).toBeUndefined();
    const input = { flags: { domain: "svc", nodesFile: "/etc/nodes" } };
    expect(line({ domain: ["svc"] }, ["nodes-file"], "1.0.0", input)).toBeUndefined();
  });

  test("names the daemon's version where it is another one, and a few of many values", () => {
    const node = Array.from({ length: 9 }, (_, index) => `n${index}@h=10.0.0.1:${index + 1}`);
    expect(line({ node }, [], "2.0.0")).toMatch(
      /\(127\.0\.0\.1:9369, version 1\.0\.0\): (--node \S+ ){6}\(and 3 more --node\)$/,
    );
  });
});

test("the port is the one by which the daemon was recognized", () => {
  const told = { version: "1.0.0", epmd: { port: 14_369 }, options: { port: "666" } };
  expect(readToldSettings(told, AT)?.texts.get("port")).toEqual(["14369"]);
});

test.each([
  [undefined],
  [null],
  ["text"],
  [[]],
  [{}],
  [{ options: {}, epmd: {} }],
  [{ options: [], epmd: { port: 4369 } }],
  [{ options: {}, epmd: { port: "4369" } }],
  [{ epmd: { port: 4369 } }],
])("%j is no settings", (json) => {
  expect(readToldSettings(json, AT)).toBeUndefined();
});
