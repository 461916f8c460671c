import { describe, expect, test } from "vitest";
import { type ConfigInput, loadConfig } from "../../src/config/config.js";
import { refusedByServe } from "../../src/config/conflicts.js";
import { OPTION_KEYS } from "../../src/config/options.js";
import { ConfigError } from "../../src/errors.js";

type Input = Partial<ConfigInput> & { readonly contents?: unknown };

function load({ contents, ...input }: Input = {}) {
  const file = contents === undefined ? {} : { file: { path: "srv.yaml", contents } };
  return loadConfig({ command: "serve", flags: {}, env: {}, ...file, ...input });
}

/** Code and message of the ConfigError that an input gives. */
function complaint(input: Input): string {
  try {
    load(input);
  } catch (error) {
    if (error instanceof ConfigError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error("was accepted");
}

describe("a domain that Consul understands and under which nothing is published", () => {
  const said = (flags: ConfigInput["flags"], command: ConfigInput["command"] = "serve") =>
    load({ flags, command }).warnings.filter((warning) => warning.startsWith("--domain"));

  test.each(["svc.query.consul", "svc.service.west.peer.consul", "svc.service.team.ns.consul", "svc.consul"])(
    "%s is said at the start, with why and what would be right",
    (domain) => {
      expect(said({ domain: [domain] })).toEqual([
        expect.stringMatching(
          /^--domain: no node is published under .*: .*--domain svc\.service\.consul.*--register none/,
        ),
      ]);
    },
  );

  test("is said of each one, beside others that are published", () => {
    expect(said({ domain: ["web*=web.virtual.consul", "db*=box1.node.consul", "svc"] })).toHaveLength(2);
    const env = { ERL_DIST_PORT: "9100" };
    expect(load({ flags: { publishNode: ["a@b.connect.consul"] }, env }).warnings).toHaveLength(1);
  });

  test("says that a tag with a dot is not found by every Consul", () => {
    expect(said({ domain: ["n1.mq.service.consul"] })).toEqual([
      expect.stringMatching(/tags with a dot, such as rabbit\.n1, .*--domain mq\.service\.consul/),
    ]);
  });

  test.each<ConfigInput["flags"]>([
    { domain: ["svc"] },
    { domain: ["svc.service.dc1.dc.consul"] },
    { domain: ["demo.example"] },
    { domain: ["svc.query.consul"], register: "none" },
    { domain: ["svc.query.consul"], dnsListen: "127.0.0.1:8653" },
    { domain: ["svc.query.consul"], register: "consul", service: "svc" },
  ])("is not said of %j", (flags) => {
    expect(said(flags)).toEqual([]);
  });

  test("does not concern commands that publish nothing", () => {
    expect(said({ domain: ["svc.query.consul"] }, "resolve")).toEqual([]);
  });
});

describe("a value is taken from", () => {
  const sources = {
    flags: { port: "1" },
    own: { SRV_EPMD_PORT: "2" },
    contents: { port: 3 },
    ecosystem: { ERL_EPMD_PORT: "4" },
  };

  test.each([
    ["the flag first", ["flags", "own", "contents", "ecosystem"], 1],
    ["then SRV_EPMD_*", ["own", "contents", "ecosystem"], 2],
    ["then the file", ["contents", "ecosystem"], 3],
    ["then the ecosystem's variable", ["ecosystem"], 4],
    ["then the default", [], 4369],
  ] as const)("%s", (_, present, port) => {
    const has = (source: keyof typeof sources) => (present as readonly string[]).includes(source);
    const { config } = load({
      flags: has("flags") ? sources.flags : {},
      env: { ...(has("own") && sources.own), ...(has("ecosystem") && sources.ecosystem) },
      ...(has("contents") && { contents: sources.contents }),
    });
    expect(config.port).toBe(port);
    expect(config.given.has("port")).toBe(present.length > 0);
  });

  test("a source as a whole: lists are not joined", () => {
    const { config } = load({ flags: { tag: ["a"] }, env: { SRV_EPMD_TAG: "b,c" } });
    expect(config.tag).toEqual(["a"]);
  });

  test("a variable only when it is not empty", () => {
    expect(load({ env: { SRV_EPMD_PORT: "", ERL_EPMD_PORT: "" } }).config.port).toBe(4369);
  });

  test("the default of the command", () => {
    expect(load().config.timeout).toBe(4_000);
    expect(load({ command: "wait" }).config.timeout).toBe(60_000);
  });
});

describe("a list", () => {
  test("is separated by commas in a variable", () => {
    const { config } = load({ env: { SRV_EPMD_DNS: "10.0.0.1, consul=[::1]:8600" } });
    expect(config.dns).toEqual([
      { domain: undefined, address: "10.0.0.1", port: 53 },
      { domain: "consul", address: "::1", port: 8600 },
    ]);
  });

  test("is separated by blanks too in ERL_EPMD_ADDRESS, as epmd has it", () => {
    expect(load({ env: { ERL_EPMD_ADDRESS: " 10.0.0.1,fd00::1  10.0.0.2," } }).config.listen).toEqual([
      "10.0.0.1",
      "fd00::1",
      "10.0.0.2",
    ]);
  });

  test("may be a single value in a file", () => {
    expect(load({ contents: { tag: "one" } }).config.tag).toEqual(["one"]);
    expect(load({ contents: { tag: ["one", "two"] } }).config.tag).toEqual(["one", "two"]);
  });

  test("is empty when nobody gives it", () => {
    expect(load().config.tag).toEqual([]);
  });
});

test("a configuration is frozen, lists included", () => {
  const { config } = load({ flags: { tag: ["a"] } });
  expect([config, config.tag, config.dns].map(Object.isFrozen)).toEqual([true, true, true]);
});

test("every option has a value or is known to have none", () => {
  expect(Object.keys(load().config).sort()).toEqual(
    [...OPTION_KEYS, "told", "left", "leftUrls", "given", "nomad"].sort(),
  );
});

test("a file speaks in numbers and truth values as well", () => {
  const { config } = load({ contents: { "max-ttl": 2, "tcp-check": true, "prefer-reachable": false } });
  expect([config.maxTtl, config.tcpCheck, config.preferReachable]).toEqual([2_000, true, false]);
});

test("an empty file is fine", () => {
  expect(load({ contents: null }).config.port).toBe(4369);
});

describe("other commands' options", () => {
  const env = { SRV_EPMD_WEIGHT: "heavy", SRV_EPMD_TTL: "soon", SRV_EPMD_PUBLISH_NODE: "a@svc" };

  test("in the environment are not looked at, wrong as they may be", () => {
    const { config, warnings } = load({ command: "names", env });
    expect([config.weight, config.ttl, warnings]).toEqual([1, 15_000, []]);
    expect(config.given.size).toBe(0);
  });

  test("in a shared file neither, as long as they are options", () => {
    expect(load({ command: "resolve", contents: { weight: "heavy" } }).config.weight).toBe(1);
    expect(complaint({ command: "resolve", contents: { wieght: 1 } })).toContain("CONFIG_UNKNOWN");
  });

  test("stop the command that has them", () => {
    expect(complaint({ env })).toContain("SRV_EPMD_WEIGHT");
  });
});

describe("what nobody knows", () => {
  test("warns as a variable", () => {
    const env = { SRV_EPMD_PROT: "1", SRV_EPMD_CONECT: "*@svc", SRV_EPMD_CONSUL_SSL: "true", SRV_EPMD_QUX: "1" };
    const { warnings } = load({ env: { ...env, SRV_EPMDX: "1", PATH: "/" } });
    expect(warnings).toEqual([
      "SRV_EPMD_PROT is not a variable of srv-epmd; was SRV_EPMD_PORT meant?",
      "SRV_EPMD_CONECT is not a variable of srv-epmd; was SRV_EPMD_CONNECT meant?",
      "SRV_EPMD_CONSUL_SSL is not a variable of srv-epmd; is it misspelt?",
      "SRV_EPMD_QUX is not a variable of srv-epmd; is it misspelt?",
    ]);
  });

  test("does not warn when it belongs to the Erlang module", () => {
    const env = { SRV_EPMD_ADDRESS: "127.0.0.1", SRV_EPMD_CONNECT: "x", SRV_EPMD_LOG: "debug", SRV_EPMD_WAIT: "1m" };
    expect(load({ env }).warnings).toEqual([]);
  });

  test.each([
    ["prot", "; was port meant?"],
    ["maxTtl", "; was max-ttl meant?"],
    ["max_ttl", "; was max-ttl meant?"],
    ["frobnicate", ""],
    ["config", " of the file itself"],
    ["consul-ssl", "; it is set by the variable CONSUL_HTTP_SSL alone"],
  ])("stops as the key %s of a file", (key, hint) => {
    expect(complaint({ contents: { [key]: "1" } })).toBe(`CONFIG_UNKNOWN srv.yaml: ${key} is not an option${hint}`);
  });
});

describe("an old name of an option stops, and names the new one", () => {
  test("which says the same where it was switched off", () => {
    expect(complaint({ contents: { "probe-endpoints": false } })).toContain("give --no-prefer-reachable");
    expect(complaint({ env: { SRV_EPMD_STDOUT: "false" } })).toContain("give --out DIR");
  });

  test.each([
    ["no-admin", "--admin none"],
    ["probe-endpoints", "--prefer-reachable"],
    ["gateway-host", "--gateway-domain"],
    ["stdout", "--out -"],
    ["fallback-epmd", "--fallback epmd"],
    ["fallback-port", "--fallback N"],
    ["negative-ttl", "--max-ttl"],
  ])("%s", (flag, now) => {
    const variable = `SRV_EPMD_${flag.replaceAll("-", "_").toUpperCase()}`;
    expect(complaint({ env: { [variable]: "1" } })).toMatch(
      `CONFIG_UNKNOWN ${variable} is no longer an option: give ${now}`,
    );
    expect(complaint({ contents: { [flag]: true } })).toMatch(
      `CONFIG_UNKNOWN srv.yaml: ${flag} is no longer an option: give ${now}`,
    );
    const key = flag.replaceAll(/-([a-z])/g, (_, letter) => letter.toUpperCase());
    expect(complaint({ flags: { [key]: "true" } })).toContain(`${key} is no longer an option: give ${now}`);
  });

  test.each([
    ["consul-token", "CONSUL_HTTP_TOKEN"],
    ["consul-ca", "CONSUL_CACERT"],
    ["consul-cert", "CONSUL_CLIENT_CERT"],
    ["consul-key", "CONSUL_CLIENT_KEY"],
  ])("%s as a variable of ours; in a file it stays", (flag, variable) => {
    const old = `SRV_EPMD_${flag.replaceAll("-", "_").toUpperCase()}`;
    expect(complaint({ env: { [old]: "s3cr3t" } })).toBe(
      `CONFIG_UNKNOWN ${old} is no longer an option: give ${variable}, or ${flag} in the configuration file`,
    );
    const both = { "consul-cert": "c", "consul-key": "k" };
    expect(load({ contents: { ...both, [flag]: "x" } }).warnings).toEqual([]);
  });

  test("but not as a variable that is empty", () => {
    expect(load({ env: { SRV_EPMD_NO_ADMIN: "" } }).config.admin).toEqual({ address: "127.0.0.1", port: 9369 });
  });
});

describe("a complaint names option, place, value and what would be right", () => {
  test.each([
    ["a flag", { flags: { port: "http" } }, '--port: "http" must be a whole number from 0 to 65535'],
    ["a variable", { env: { SRV_EPMD_TTL: "soon" } }, 'SRV_EPMD_TTL: "soon" must be a duration such as'],
    ["an ecosystem's variable", { env: { ERL_EPMD_PORT: "x" } }, 'ERL_EPMD_PORT: "x" must be a whole number'],
    ["a file", { contents: { family: 5 } }, 'srv.yaml: family: "5" must be any, 4 or 6'],
    ["one of a list", { flags: { listen: ["::1", "lo"] } }, '--listen: "lo" must be an IPv4 or IPv6 address'],
    ["an empty item", { env: { SRV_EPMD_LISTEN: "::1," } }, 'SRV_EPMD_LISTEN: "" must be an IPv4 or IPv6 address'],
  ])("in %s", (_, input, message) => {
    expect(complaint(input)).toContain(`CONFIG_VALUE ${message}`);
  });

  test("when one value is given several times or as an empty list", () => {
    expect(complaint({ flags: { port: ["1", "2"] } })).toBe(
      "CONFIG_VALUE --port is given 2 times (1, 2); give it once",
    );
    expect(complaint({ contents: { port: [] } })).toBe("CONFIG_VALUE srv.yaml: port is given 0 times; give it once");
  });

  test("when a file holds something else than options", () => {
    expect(complaint({ contents: ["port"] })).toContain("CONFIG_FILE srv.yaml: must hold options by flag name");
    expect(complaint({ contents: "port" })).toContain("CONFIG_FILE");
    expect(complaint({ contents: { port: { number: 1 } } })).toContain("CONFIG_VALUE srv.yaml: port: must be text");
    expect(complaint({ contents: { port: null } })).toContain("CONFIG_VALUE srv.yaml: port: must be text");
  });
});

describe("a secret is not shown", () => {
  const messages = [
    complaint({ flags: { consulToken: ["s3cr3t", "s3cr3t"] } }),
    complaint({ contents: { "consul-token": ["s3cr3t", "s3cr3t"] } }),
    complaint({ contents: { "consul-token": "" } }),
    complaint({ env: { CONSUL_HTTP_ADDR: "http://me:s3cr3t@127.0.0.1:8500" } }),
    complaint({ flags: { consul: "ftp://s3cr3t@127.0.0.1" } }),
    complaint({ flags: { consul: ["http://me:s3cr3t@a", "http://me:s3cr3t@b"] } }),
  ];

  test.each(messages)("in: %s", (message) => {
    expect(message).not.toContain("s3cr3t");
    expect(message).toMatch(/consul|CONSUL/);
  });
});

describe("the scheme of the agent", () => {
  const consul = (env: Record<string, string>, flags: ConfigInput["flags"] = {}) => load({ env, flags }).config.consul;

  test("is https for an address without one where CONSUL_HTTP_SSL says so, and for the default", () => {
    expect(consul({ CONSUL_HTTP_ADDR: "10.0.0.1:8501", CONSUL_HTTP_SSL: "true" })).toBe("https://10.0.0.1:8501");
    expect(consul({ CONSUL_HTTP_SSL: "1" })).toBe("https://127.0.0.1:8500");
    expect(consul({ CONSUL_HTTP_ADDR: "10.0.0.1:8500", CONSUL_HTTP_SSL: "false" })).toBe("http://10.0.0.1:8500");
  });

  test("stays where it is written", () => {
    expect(consul({ CONSUL_HTTP_ADDR: "http://10.0.0.1:8500", CONSUL_HTTP_SSL: "true" })).toBe("http://10.0.0.1:8500");
    const env = { CONSUL_HTTP_ADDR: "10.0.0.1:8500", CONSUL_HTTP_SSL: "true" };
    expect(consul(env, { consul: "http://10.0.0.1:8500" })).toBe("http://10.0.0.1:8500");
    expect(consul({ CONSUL_HTTP_ADDR: "unix:///run/c.sock", CONSUL_HTTP_SSL: "true" })).toBe("unix:///run/c.sock");
  });
});

describe("what is right alone can be wrong together", () => {
  test.each([
    [{ env: { CONSUL_CLIENT_CERT: "a.pem" } }, "CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY"],
    [
      { contents: { "consul-key": "a.key" } },
      "CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY (consul-cert and consul-key in a file)",
    ],
    [{ flags: { dnsListen: "127.0.0.1:53" } }, "--dns-listen answers for the nodes under --domain"],
    [{ flags: { register: "consul" } }, "--register consul needs --domain or --service"],
    [{ flags: { publishNode: ["a@svc"] } }, "--publish-node needs ERL_DIST_PORT"],
    [{ command: "names", flags: { port: "0" } }, "--port 0 (any free port) is for serve only"],
    [{ flags: { fallback: ["9100", "epmd", "9200"] } }, "--fallback: 9100 and 9200 are two ports; give one"],
    [{ flags: { gateway: "true" } }, "--gateway needs to know which hosts resolve to loopback addresses"],
    [{ flags: { gatewayDomain: ["n1.svc"] } }, "--gateway-domain is an option of the gateway: give --gateway too"],
    [{ env: { SRV_EPMD_GATEWAY_LISTEN: "none" } }, "--gateway-listen is an option of the gateway"],
    [{ flags: { connectListen: "9100" } }, "--connect-listen is an option of a native end: give --connect-native too"],
    [{ env: { SRV_EPMD_CONNECT_RECHECK: "none" } }, "--connect-recheck is an option of a native end"],
    [{ flags: { connectNative: "true", mesh: "true" } }, "--connect-native and --mesh are two ways through Consul"],
    [{ flags: { connectNative: "true" } }, "--connect-native needs nodes that are published in Consul"],
    [{ flags: { connectNative: "true", domain: ["svc"], register: "none" } }, "--connect-native needs nodes that are"],
    [{ flags: { connectNative: "true", domain: ["svc.service.nomad"] } }, "--connect-native needs nodes that are"],
    [{ flags: { connectNative: "true", domain: ["a*=one", "two"] } }, "--connect-native shows the certificate of one"],
    [
      { flags: { connectNative: "true", domain: ["other"], service: "svc" } },
      "--connect-native: nodes are published as svc (--service), and peers look for them in other (--domain)",
    ],
    [{ flags: { connectNative: "true", domain: ["svc"], allow: ["10.0.0.0/8"] } }, "--connect-native reaches nodes of"],
    [
      { flags: { connectNative: "true", domain: ["svc"], catalogue: "none" } },
      "--connect-native finds nodes in Consul's",
    ],
  ] as const)("%j", (input, message) => {
    expect(complaint(input)).toContain(`CONFIG_CONFLICT ${message}`);
  });

  test.each([
    [{ SRV_EPMD_GATEWAY_FORWARD: "10.0.0.1:53" }, "--gateway-forward is an option of the gateway"],
    [{ SRV_EPMD_GATEWAY: "true" }, "--gateway needs to know which hosts"],
    [{ SRV_EPMD_REGISTER: "consul" }, "--register consul needs --domain or --service"],
    [{ SRV_EPMD_DNS_LISTEN: "127.0.0.1:53" }, "--dns-listen answers for the nodes under --domain"],
    [{ SRV_EPMD_PUBLISH_NODE: "a@svc" }, "--publish-node needs ERL_DIST_PORT"],
    [{ SRV_EPMD_ADVERTISE_ADDRESS: "10.0.0.1,10.0.0.2" }, "--advertise-address: 10.0.0.1, 10.0.0.2 has two IPv4"],
  ])(
    "in the environment of a daemon that has more flags: %j stops no other command, and doctor can say it",
    (env, message) => {
      expect(complaint({ env })).toContain(message);
      for (const command of ["resolve", "names", "wait", "hosts", "relay", "doctor"] as const) {
        expect(load({ command, env }).warnings).toEqual([]);
      }
      const { config } = load({ command: "doctor", env });
      expect(refusedByServe(config)).toEqual([expect.stringContaining(message)]);
    },
  );

  test.each([
    { env: { CONSUL_CLIENT_CERT: "a.pem", CONSUL_CLIENT_KEY: "a.key" } },
    { flags: { dnsListen: "127.0.0.1:53", domain: ["demo.test"] } },
    { flags: { register: "consul", service: "svc" } },
    { flags: { publishNode: ["a@svc"] }, env: { ERL_DIST_PORT: "9100" } },
    { flags: { port: "0" } },
    { flags: { fallback: ["9100", "epmd"] } },
    { flags: { gateway: "true", domain: ["svc"] } },
    { flags: { gateway: "true", gatewayDomain: ["svc"], gatewayListen: "none" } },
    // Other commands may find it in a shared file.
    { command: "relay", flags: { relaySocket: "/tmp/x.sock" } },
    { command: "hosts", env: { SRV_EPMD_GATEWAY_DOMAIN: "svc" } },
  ] as const)("and right together: %j", (input) => {
    expect(load(input).config).toBeDefined();
  });
});

test("what Nomad says of the task is there for every command", () => {
  const { config } = load({ command: "resolve", env: { ERL_DIST_PORT: "9100", NOMAD_SHORT_ALLOC_ID: "abcd1234" } });
  expect(config.nomad).toMatchObject({ erlDistPort: 9100, shortAllocId: "abcd1234" });
});
