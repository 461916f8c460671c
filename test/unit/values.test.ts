import { describe, expect, test } from "vitest";
import * as network from "../../src/config/network-values.js";
import { loopbackRange } from "../../src/config/network-values.js";
import { optionOf } from "../../src/config/options.js";
import * as values from "../../src/config/values.js";
import { fillTemplate } from "../../src/text.js";

/** Message of the ValueError that a text gives. */
function complaint(parse: (text: string) => unknown, text: string): string {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof values.ValueError) return error.message;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was accepted`);
}

describe("a duration", () => {
  test.each([
    ["500ms", 500],
    ["5s", 5_000],
    ["1m", 60_000],
    ["2h", 7_200_000],
    ["4", 4_000],
    ["1.5s", 1_500],
    ["1.25s", 1_250],
    ["0", 0],
    ["2147483647ms", 2_147_483_647],
  ])("%s is %i ms", (text, milliseconds) => {
    expect(values.duration(text)).toBe(milliseconds);
  });

  test.each(["", "s", "-1s", "1 s", "5sec", "1d", "1e3", ".5s", "25d", "600h", "Infinity"])("%j is none", (text) => {
    expect(complaint(values.duration, text)).toContain("500ms, 5s or 1m");
  });

  test.each([
    ["deregisterAfter", "60s", "59s", "1m, which is Consul's minimum"],
    ["ttl", "1s", "1ms", "1s, because the check is passed each third of it"],
    ["ttl", "1.5s", "999ms", "1s, because"],
    ["timeout", "100ms", "99ms", "100ms, because"],
    ["timeout", "0.1", "0", "100ms, because"],
    ["packetTimeout", "100ms", "1ms", "100ms, in which"],
  ] as const)(
    "of --%s may be %s, and not %s, which is told with the least that makes sense",
    (key, least, less, why) => {
      const { parse } = optionOf(key);
      expect(parse(least)).toBe(values.duration(least));
      expect(complaint(parse, less)).toContain(`must be at least ${why}`);
      expect(complaint(parse, "soon")).toContain("must be a duration");
    },
  );
});

test.each(["1s", "15", "9h", "32767s"])("a keep-alive of %s is one that Linux takes", (text) => {
  expect(values.keepAlive(text)).toBe(values.duration(text));
});

test.each(["0", "999ms", "32768s", "-1"])("a keep-alive of %s is not", (text) => {
  expect(complaint(values.keepAlive, text)).toMatch(/^must be a duration/);
});

describe("a user", () => {
  test("is a number or a name", () => {
    expect(["0", "1000", "4294967294", "app", "_www-data", "svc$", "a.b"].map(values.user)).toEqual([
      ...[0, 1000, 4_294_967_294, "app", "_www-data", "svc$", "a.b"],
    ]);
  });

  test.each(["", "-1", "4294967295", "99999999999", "1000x", "a b", "root:x", "é"])("is not %j", (text) => {
    expect(complaint(values.user, text)).toContain("such as 1000 or app");
  });
});

describe("a number", () => {
  test("lies within its bounds", () => {
    expect([values.port("1"), values.port("65535"), values.listenPort("0")]).toEqual([1, 65535, 0]);
    expect(complaint(values.port, "0")).toBe("must be a whole number from 1 to 65535");
  });

  test.each(["", "65536", "-1", "1.0", "0x10", "1e3", " 1", "99999999999"])("%j is no port", (text) => {
    complaint(values.port, text);
  });
});

describe("a choice", () => {
  test("between true and false has several words", () => {
    expect(["true", "1", "yes", "ON"].map(values.boolean)).toEqual([true, true, true, true]);
    expect(["false", "0", "no", "Off"].map(values.boolean)).toEqual([false, false, false, false]);
    for (const other of ["maybe", "untrue", "truer", "10", "nono", "offer", ""]) {
      expect(complaint(values.boolean, other)).toBe("must be true or false");
    }
  });

  test("is one of the words, and the complaint lists them", () => {
    const parse = values.oneOf("any", "4", "6");
    expect(parse("4")).toBe("4");
    expect(complaint(parse, "5")).toBe("must be any, 4 or 6");
  });

  test("of a family is a number", () => {
    expect(["any", "4", "6"].map(network.family)).toEqual(["any", 4, 6]);
  });
});

describe("a token", () => {
  test("is what a header can carry", () => {
    expect(values.token("b1gs33d5-7f6e!~")).toBe("b1gs33d5-7f6e!~");
    for (const other of ["", "a b", " a", "a\n", "\na", "ä", "a\u007f"]) {
      expect(complaint(values.token, other)).toBe("must be printable ASCII without blanks");
    }
  });
});

describe("an address", () => {
  test("is made canonical", () => {
    expect(["10.0.0.1", "FD00:0::1", "::ffff:10.0.0.1"].map(network.ip)).toEqual(["10.0.0.1", "fd00::1", "10.0.0.1"]);
    expect(["localhost", "LocalHost"].map(network.ip)).toEqual(["127.0.0.1", "127.0.0.1"]);
  });

  test.each(["", "localhosts", "localhost:80", "10.0.0", "10.0.0.1:80", "fe80::1%eth0", "10.0.0.1%x"])(
    "%j is none",
    (text) => {
      expect(complaint(network.ip, text)).toContain("such as 10.0.0.1 or fd00::1");
    },
  );

  const withPort = network.ipPort(8600);
  test.each([
    ["127.0.0.1", "127.0.0.1", 8600],
    ["127.0.0.1:53", "127.0.0.1", 53],
    ["::1", "::1", 8600],
    ["[::1]", "::1", 8600],
    ["[::1]:53", "::1", 53],
    ["fd00::1:53", "fd00::1:53", 8600],
    ["localhost", "127.0.0.1", 8600],
    ["localhost:53", "127.0.0.1", 53],
  ])("with a port may be written %s", (text, address, port) => {
    expect(withPort(text)).toEqual({ address, port });
  });

  test.each([
    "",
    ":53",
    "[]:53",
    "localhost.:53",
    "[localhost]:53",
    "127.0.0.1:",
    "[::1]53",
    "[::1",
    "fe80::1%eth0",
    "10.0.0.1%x:53",
  ])("%j is none with a port", (text) => {
    expect(complaint(withPort, text)).toContain("such as 10.0.0.1 or [::1]:8600");
  });

  test("may need its port", () => {
    expect(complaint(network.ipListenPort, "127.0.0.1")).toContain("with a port such as 127.0.0.1:8653");
    expect(network.ipListenPort("127.0.0.1:0").port).toBe(0);
  });

  test("with a wrong port is told of the port", () => {
    expect(complaint(withPort, "10.0.0.1:70000")).toBe(
      'has the port "70000", which must be a whole number from 1 to 65535',
    );
    complaint(withPort, "10.0.0.1:0");
  });

  test("or a network may be allowed", () => {
    expect(network.cidr("10.0.0.0/8")).toEqual({ bytes: [10, 0, 0, 0], prefix: 8 });
    expect(complaint(network.cidr, "10.0.0.0/40")).toContain("10.0.0.0/8 or fd00::/8");
  });
});

describe("the gateway's values", () => {
  test("an address with a port may be none at all", () => {
    expect([network.ipPortOrNone(53)("none"), network.ipPortOrNone(53)("127.0.0.1:0")]).toEqual([
      undefined,
      { address: "127.0.0.1", port: 0 },
    ]);
    expect(complaint(network.ipPortOrNone(53), "nil")).toContain("such as 10.0.0.1 or [::1]:53");
  });

  test("ports have a lower and a higher end", () => {
    expect(network.portRange("61000-64999")).toEqual({ low: 61000, high: 64999 });
    expect(network.portRange("61000-61000")).toEqual({ low: 61000, high: 61000 });
    expect(complaint(network.portRange, "61000")).toContain("two ports with a dash");
    expect(complaint(network.portRange, "64999-61000")).toContain("begin with the lower port");
    expect(complaint(network.portRange, "1-70000")).toContain('the port "70000"');
  });

  test("a range of loopback addresses is told by any of its addresses", () => {
    expect(loopbackRange("127.64.3.9/10")).toEqual({ bytes: [127, 64, 0, 0], prefix: 10 });
    expect(loopbackRange("127.255.255.0/24")).toEqual({ bytes: [127, 255, 255, 0], prefix: 24 });
  });

  test.each(["10.0.0.0/8", "127.64.0.0/7", "::1/128", "::ffff:127.64.0.0/90", "127.64.0.0/33", "svc", ""])(
    "%j is no range of loopback addresses",
    (text) => {
      expect(complaint(loopbackRange, text)).toContain("IPv4 loopback addresses such as 127.64.0.0/10");
    },
  );

  test.each(["127.0.0.0/8", "127.0.0.0/9", "127.0.0.0/24", "127.0.1.1/24"])("%s is what others use", (text) => {
    expect(complaint(loopbackRange, text)).toContain("127.64.0.0/10 is free");
  });

  test.each(["127.64.0.0/25", "127.64.0.9"])("%s is too small", (text) => {
    expect(complaint(loopbackRange, text)).toContain("give at least 256");
  });
});

describe("a domain", () => {
  test("is written in any case, with or without its last dot", () => {
    expect(network.domainName("SVC.service.Consul.")).toBe("svc.service.consul");
    expect(network.domainName("_svc._tag.service.consul")).toBe("_svc._tag.service.consul");
    expect(network.domainName(`${"x".repeat(63)}.a`)).toHaveLength(65);
  });

  test.each([
    ...["", ".", "a..b", ".a", "-a.b", "a-.b", "a b", "ü.example", "a/b", "a@b", "x\0", "10.0.0.300"],
    ...[`${"x".repeat(64)}.a`, Array.from({ length: 127 }, () => "x").join("..x"), "x.".repeat(127).concat("x")],
  ])("%j is none", (text) => {
    expect(complaint(network.domainName, text)).toContain("such as svc.service.consul");
  });

  test("may be for some alive names only", () => {
    const rule = network.domainRule("web*=web.service.consul");
    expect([rule.domain, rule.glob.pattern]).toEqual(["web.service.consul", "web*"]);
    expect(network.domainRule("svc").glob.matches("anything")).toBe(true);
    expect(complaint(network.domainRule, "=svc")).toBe('has the pattern "", which must not be empty');
    expect(complaint(network.domainRule, "web*=")).toContain('has the domain ""');
    expect(complaint(network.domainRule, "10.0.0.1")).toContain("must be a domain name");
  });

  test("may have a name server of its own", () => {
    expect(network.dnsServer("consul=[::1]:8600")).toEqual({ domain: "consul", address: "::1", port: 8600 });
    expect(network.dnsServer("10.0.0.2")).toEqual({ domain: undefined, address: "10.0.0.2", port: 53 });
    expect(network.dnsServer("consul=localhost:8600")).toEqual({ domain: "consul", address: "127.0.0.1", port: 8600 });
    expect(network.dnsServer("localhost")).toEqual({ domain: undefined, address: "127.0.0.1", port: 53 });
    expect(complaint(network.dnsServer, "=10.0.0.2")).toContain('has the domain ""');
    complaint(network.dnsServer, "consul=");
  });
});

describe("a node", () => {
  test("in a static entry has a name, a host, an address and a port", () => {
    expect(network.staticNode("node_a@svc=10.0.0.1:8081")).toEqual({
      aliveName: "node_a",
      host: "svc",
      address: "10.0.0.1",
      port: 8081,
    });
    expect(network.staticNode("a@fd00::1=[fd00::1]:1").host).toBe("fd00::1");
  });

  test.each(["", "a", "a@h", "a@h=10.0.0.1", "a@h=:1", "@h=10.0.0.1:1", "a@=10.0.0.1:1", "a.b@h=10.0.0.1:1"])(
    "%j is no static entry",
    (text) => {
      complaint(network.staticNode, text);
    },
  );

  test("of the configuration may leave its host to --domain", () => {
    expect(network.configuredNode("a@svc")).toEqual({ aliveName: "a", host: "svc" });
    expect(network.configuredNode("a")).toEqual({ aliveName: "a", host: undefined });
    expect(complaint(network.configuredNode, "a@")).toContain('has the host ""');
  });

  test("has an alive name without what splits names", () => {
    expect(network.aliveName("ünode-1")).toBe("ünode-1");
    expect(network.aliveName("😈".repeat(255))).toHaveLength(510);
    for (const text of ["", "a.b", "a@b", "a b", "a/4", "a\0", "x".repeat(256)]) complaint(network.aliveName, text);
  });
});

describe("an advertised address", () => {
  test.each(["10.0.0.1", "host-7.example.com", "{name}.nodes.example", "{host}", "{name}-{service}.example"])(
    "may be %s",
    (text) => {
      expect(network.addressOrTemplate(text)).toBe(text);
    },
  );

  test.each(["", "0.0.0.0", "::", "{nmae}.example", "a b", "10.0.0.1:80", "fe80::1%eth0", "10.0.0.300", "{name"])(
    "cannot be %j",
    (text) => {
      complaint(network.addressOrTemplate, text);
    },
  );
});

describe("a template", () => {
  const parse = values.template("name", "host");

  test("is filled with what the node is", () => {
    expect(fillTemplate(parse("_{name}._tcp.{host}"), { name: "a", host: "svc" })).toBe("_a._tcp.svc");
  });

  test("takes values as they are, even when they look like placeholders or patterns", () => {
    expect(fillTemplate("{name}.{host}", { name: "{host}", host: "$&" })).toBe("{host}.$&");
  });

  test.each(["{nmae}.{host}", "{name", "{name.{host}", "{}", "x{"])("%j is told of its placeholder", (text) => {
    expect(complaint(parse, text)).toMatch(/has the placeholder \{.*, which is none of \{name\}, \{host\}$/);
  });
});

describe("the Consul agent", () => {
  test.each([
    ["http://127.0.0.1:8500", "http://127.0.0.1:8500"],
    ["HTTPS://consul.example", "https://consul.example"],
    ["127.0.0.1:8500", "http://127.0.0.1:8500"],
    ["localhost:8500", "http://localhost:8500"],
    ["[::1]:8500", "http://[::1]:8500"],
    ["unix:///alloc/tmp/consul_http.sock", "unix:///alloc/tmp/consul_http.sock"],
  ])("at %s is %s", (text, url) => {
    expect(network.agentUrl(text)).toBe(url);
  });

  test.each([
    "",
    "ftp://x",
    "http://",
    "http://a:b",
    "unix://",
    "::1",
    "http://user:pw@x",
    "http://:pw@x",
    "http://x?token=t",
    "x:8500/#t",
  ])("cannot be at %j", (text) => {
    expect(complaint(network.agentUrl, text)).toContain("http://host:port");
  });
});

test("a glob and a text must not be empty", () => {
  expect(values.glob("node_*").matches("node_a")).toBe(true);
  expect([complaint(values.glob, ""), complaint(values.text, "")]).toEqual(["must not be empty", "must not be empty"]);
});
