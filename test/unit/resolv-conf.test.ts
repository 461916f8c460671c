import { describe, expect, test } from "vitest";
import { parseResolvConf, searchNames } from "../../src/dns/core/resolv-conf.js";

describe("resolv.conf", () => {
  test("names servers, the search list and options", () => {
    const conf = parseResolvConf(
      "# made by hand\nnameserver 10.0.0.1\nnameserver\t2001:db8::1  ; second\nsearch Corp.Example. lan\noptions ndots:2 timeout:3 attempts:4 rotate\n",
    );
    expect(conf).toEqual({
      nameservers: ["10.0.0.1", "2001:db8::1"],
      search: ["corp.example", "lan"],
      ndots: 2,
      timeout: 3000,
      attempts: 4,
      useTcp: false,
      rotate: true,
      ignored: [],
    });
  });

  test.each([
    ["an empty file", ""],
    ["a file of comments", "# nothing\n;nothing\n"],
    ["a server that is no address", "nameserver dns.example\nnameserver 10.0.0.1%eth0\nnameserver\n"],
  ])("of %s means this machine, as in glibc", (_, text) => {
    expect(parseResolvConf(text)).toEqual({
      nameservers: ["127.0.0.1"],
      search: [],
      ndots: 1,
      timeout: undefined,
      attempts: undefined,
      useTcp: false,
      rotate: false,
      ignored: [],
    });
  });

  test("keeps the zone of a link-local server, drops repeated ones, and reads lines that end in CR LF", () => {
    const { nameservers } = parseResolvConf(
      "nameserver fe80::1%eth0\r\nnameserver 10.0.0.1\r\nnameserver 10.0.0.1\r\n",
    );
    expect(nameservers).toEqual(["fe80::1%eth0", "10.0.0.1"]);
  });

  test("takes nothing for a keyword but the first word of a line, nor of a comment anything", () => {
    const text =
      "  search  a   .  b  # c d\nfoo 10.0.0.1\nfoo ndots:9\n# nameserver 10.0.0.2\ndomain\nnameserver 10.0.0.3#10.0.0.4\n";
    expect(parseResolvConf(text)).toMatchObject({ nameservers: ["10.0.0.3"], search: ["a", "b"], ndots: 1 });
    const odd = "options xndots:9 ndots:3x timeout:1s\nnameserver xfe80::1%eth0\nnameserver fe80::g%eth0\n";
    expect(parseResolvConf(odd)).toMatchObject({ nameservers: ["127.0.0.1"], ndots: 1, timeout: undefined });
  });

  test("counts the last of several search and domain lines", () => {
    expect(parseResolvConf("search a b\ndomain c\n").search).toEqual(["c"]);
    expect(parseResolvConf("domain c\nsearch a b\n").search).toEqual(["a", "b"]);
  });

  test("holds options within glibc's limits and passes over what it does not understand", () => {
    const conf = parseResolvConf("options ndots:99 timeout:99 attempts:99 ndots:x timeout: edns0\nsortlist 1.2.3.4\n");
    expect(conf).toMatchObject({ ndots: 15, timeout: 30_000, attempts: 5 });
    expect(parseResolvConf("options timeout:0 attempts:0 ndots:0")).toMatchObject({
      ndots: 0,
      timeout: 1000,
      attempts: 1,
    });
  });
});

describe("options of resolv.conf", () => {
  const options = (text: string) => {
    const { useTcp, rotate, ignored } = parseResolvConf(text);
    return { useTcp, rotate, ignored };
  };

  test("that are heeded: TCP alone, servers in turn; EDNS(0) and a socket for each query are there without", () => {
    const text = "options rotate edns0\noptions single-request-reopen use-vc\n";
    expect(options(text)).toEqual({ useTcp: true, rotate: true, ignored: [] });
  });

  test("that are ignored are named, each once, and so is what is no option", () => {
    const text = "options trust-ad single-request no-aaaa trust-ad ndots:x timeout:2\n";
    const ignored = ["trust-ad", "single-request", "no-aaaa", "ndots:x"];
    expect(options(text)).toEqual({ useTcp: false, rotate: false, ignored });
  });
});

describe("the search list", () => {
  const search = ["corp.example", "lan"];
  test("goes first for a name with fewer dots than ndots", () => {
    expect(searchNames("host", { search, ndots: 1 })).toEqual(["host.corp.example", "host.lan", "host"]);
    expect(searchNames("svc.ns", { search, ndots: 5 })).toEqual(["svc.ns.corp.example", "svc.ns.lan", "svc.ns"]);
    // As many dots as ndots are enough.
    expect(searchNames("svc.ns", { search, ndots: 1 })).toEqual(["svc.ns"]);
  });

  test("is left alone for a name with dots enough, so that names of nodes stay at home", () => {
    expect(searchNames("node_a.svc.service.consul", { search, ndots: 1 })).toEqual(["node_a.svc.service.consul"]);
  });

  test("is left alone for a name with a trailing dot", () => {
    expect(searchNames("host.", { search, ndots: 1 })).toEqual(["host"]);
  });
});
