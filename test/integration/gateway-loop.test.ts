import { describe, expect, test } from "vitest";
import { queryFor } from "../support/dns-query.js";
import { freePort } from "../support/free-port.js";
import { askTcp, askUdp, gatewayDns, rawNameServer } from "../support/gateway-dns.js";
import type { RawHandler } from "../support/raw-name-server.js";

describe("a name server that asks us in turn", () => {
  /** A name server that has others find its answers. */
  const forwarderTo =
    (port: number, only = ""): RawHandler =>
    async (query) => {
      if (!query.bytes.includes(only)) return undefined;
      const at = { address: "127.0.0.1", port };
      return query.transport === "udp" ? askUdp(at, query.bytes, 2_000) : (await askTcp(at, query.bytes))[0];
    };

  test("keeps the gateway from starting, and the error names it and says what to do", async () => {
    const port = await freePort();
    const server = await rawNameServer(forwarderTo(port));
    const at = { address: "127.0.0.1", port };
    const started = performance.now();
    await expect(gatewayDns({ at, forward: { servers: [server] } })).rejects.toMatchObject({
      name: "ConfigError",
      code: "CONFIG_CONFLICT",
      message: `--gateway-forward: the name server 127.0.0.1:${server.port} forwards questions back to the gateway's own DNS at 127.0.0.1:${port}, which would forward them there again; give another name server with --gateway-forward`,
    });
    expect(performance.now() - started).toBeLessThan(700);
    // The question went round once.
    expect(server.queries.length).toBe(1);
    // And the port is free again.
    await gatewayDns({ at });
  });

  test("is found when it is the second, and others are silent", async () => {
    const port = await freePort();
    const [silent, bad] = [await rawNameServer(() => undefined), await rawNameServer(forwarderTo(port))];
    const dns = [{ ...bad, domain: "consul" }];
    const forward = { servers: [silent], dns, domains: ["svc.consul"] };
    await expect(gatewayDns({ at: { address: "127.0.0.1", port }, forward })).rejects.toThrow(
      `--dns: the name server 127.0.0.1:${bad.port} forwards questions for names under svc.consul back`,
    );
  });

  test("for names under the gateway's domain alone is found too: it would be given those back that are no addresses", async () => {
    const port = await freePort();
    const server = await rawNameServer(forwarderTo(port, "\x03svc\x04test"));
    const forward = { servers: [server], domains: ["svc.test"] };
    await expect(gatewayDns({ at: { address: "127.0.0.1", port }, forward })).rejects.toThrow(
      /questions for names under svc\.test back .*--dns svc\.test=127\.0\.0\.1:8600/,
    );
  });

  test("is found when it is another gateway that was started first", async () => {
    const [one, two] = [await freePort(), await freePort()].map((port) => ({ address: "127.0.0.1", port }));
    if (!one || !two) throw new Error("no ports");
    const first = await gatewayDns({ at: one, forward: { servers: [two] } });
    await expect(gatewayDns({ at: two, forward: { servers: [one] } })).rejects.toThrow("forwards questions back");
    // The first goes on, and its own hosts have their addresses.
    expect((await askUdp(first.dns, queryFor("svc.test")))?.subarray(-4).toString("hex")).toBe("7f400094");
  });

  test("is not one that is silent, refuses or is not there: the gateway starts, within a second", async () => {
    const servers = [
      await rawNameServer(() => undefined),
      await rawNameServer(() => undefined),
      await rawNameServer(({ bytes }) =>
        Buffer.from(bytes.toString("latin1").replace("\x01\x00", "\x81\x85"), "latin1"),
      ),
      { address: "127.0.0.1", port: await freePort() },
    ];
    const started = performance.now();
    await gatewayDns({ forward: { servers, domains: ["svc.test", "other.test"] } });
    expect(performance.now() - started).toBeLessThan(1_200);
  });

  test("is asked for a name that nobody can know, which is another each time", async () => {
    const server = await rawNameServer(() => undefined);
    for (let i = 0; i < 2; i++) await gatewayDns({ forward: { servers: [server], domains: ["svc.test"] } });
    const names = server.queries.map(({ bytes }) => bytes.subarray(13, 37).toString());
    expect(new Set(names).size).toBe(4);
    expect(names.every((name) => /^[0-9a-f]{24}$/.test(name))).toBe(true);
  });
});
