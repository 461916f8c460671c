import { afterAll, beforeAll, expect, test } from "vitest";
import { aclToken, type DeletableToken, DNS_RULES, deletableToken } from "../support/acl-token.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { type Examined, examine, untilFails } from "../support/doctor.js";
import { rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const WRITE = 'service "svc" { policy = "write" }';
const ID = "srv-epmd:box1:node_a";

requirePeer("consul")("srv-epmd doctor, where Consul's servers and its agent differ", () => {
  let consul: Consul;
  let daemon: Daemon;
  let serves: DeletableToken;
  let seeing: string;
  let writing: string;
  let flags: string[];

  beforeAll(async () => {
    consul = await startConsul({ acl: true });
    serves = await deletableToken(consul, WRITE);
    [seeing, writing] = await Promise.all([aclToken(consul, `${WRITE} ${DNS_RULES}`), aclToken(consul, WRITE)]);
    await consul.request("PUT", "/v1/agent/token/default", { Token: await aclToken(consul, DNS_RULES) });
    flags = ["--domain", "svc", "--consul", consul.url, "--dns", `127.0.0.1:${consul.dnsPort}`, "--instance", "box1"];
    daemon = await startDaemon({ args: [...flags, "--ttl", "5m"], env: { CONSUL_HTTP_TOKEN: serves.token } });
    await rawNode(daemon.port, { name: "node_a", port: 20_001 });
    await waitFor(async () => (await inCatalogue()).length === 1, { what: "the publication" });
  });
  afterAll(async () => {
    await daemon?.kill();
    await consul?.kill();
  });

  const inCatalogue = async () => (await consul.request("GET", "/v1/health/service/svc?passing=1")).body as unknown[];
  const doctor = (token = seeing): Promise<Examined> =>
    examine([...flags, "--port", String(daemon.port)], { env: { CONSUL_HTTP_TOKEN: token } });

  test("all is well where they do not", async () => {
    const { of } = await doctor();
    expect(of("registration").result).toBe("ok");
    expect(of("catalogue")).toEqual({
      ...{ check: "catalogue", result: "ok" },
      evidence: "the servers and the agent have the same: 1 entry",
    });
    expect(of("registration-dns").result).toBe("ok");
  });

  test.each([
    [
      "the entry",
      `/v1/agent/service/maintenance/${encodeURIComponent(ID)}`,
      `service maintenance, consul maint, check _service_maintenance:${ID}`,
    ],
    ["the machine", "/v1/agent/maintenance", "node maintenance, consul maint, check _node_maintenance"],
  ])("maintenance mode of %s: that it is that, its check, its reason, and how it ends", async (whose, path, what) => {
    await consul.request("PUT", `${path}?enable=true&reason=new+disk`);
    const { of } = await untilFails("registration", () => doctor());
    await consul.request("PUT", `${path}?enable=false`);
    expect(of("registration").evidence).toContain(
      `DNS leaves it out: ${whose} is in Consul's maintenance mode (${what}): new disk`,
    );
    expect(of("registration").advice).toContain("consul maint -disable");
    expect(of("catalogue").result).toBe("ok");
    expect(of("registration-dns")).toMatchObject({ result: "fail", follows: "REGISTRATION_MAINTENANCE" });
  });

  test("the token that the entry was registered with is gone: the catalogue says so, and not the rights of DNS", async () => {
    await serves.remove();
    await consul.request("PUT", "/v1/catalog/deregister", { Node: "test-agent", ServiceID: ID });
    await waitFor(async () => (await inCatalogue()).length === 0, { what: "the loss" });
    const { of } = await untilFails("catalogue", () => doctor());
    expect(of("consul-token").result).toBe("ok");
    expect(of("registration").result).toBe("ok");
    expect(of("catalogue").evidence).toMatch(
      /^the agent has node_a, and Consul's servers do not: .* with the token that registered it, and that token was deleted/,
    );
    expect(of("catalogue").advice).toContain("it registers the entries again");
    expect(of("registration-dns")).toMatchObject({ result: "fail", follows: "CATALOGUE_DIFFERS" });
  });

  test("a token that may not see the servers' catalogue: that it may not, and what could be", async () => {
    const { of } = await doctor(writing);
    expect(of("catalogue")).toMatchObject({ result: "skip", evidence: expect.stringContaining("node_prefix") });
    expect(of("registration-dns").advice).toMatch(/acl\.tokens\.default.* or the token is gone that the entry was/);
  });

  test("serve's own token is gone: unknown, which is another matter than a right that is missing", async () => {
    const { of } = await doctor(serves.token);
    expect(of("consul-token").evidence).toBe("Consul does not know the token (ACL not found)");
  });

  test("a dead node that the servers have and the agent has not", async () => {
    const other = await deletableToken(consul, WRITE);
    const entry = {
      ID: "srv-epmd:box1:ghost",
      Name: "svc",
      Tags: ["ghost"],
      Port: 1,
      Meta: { "erlang-node": "ghost@svc" },
    };
    await consul.request("PUT", "/v1/agent/service/register", entry, other.token);
    await waitFor(async () => (await inCatalogue()).length > 0, { what: "the ghost" });
    await other.remove();
    await consul.request("PUT", "/v1/agent/service/deregister/srv-epmd:box1:ghost", undefined, seeing);
    const { of } = await doctor();
    expect(of("catalogue").result).toBe("fail");
    expect(of("catalogue").evidence).toContain(
      "Consul's servers have ghost@svc (srv-epmd:box1:ghost, passing) for this machine (test-agent), and the agent does not",
    );
    expect(of("catalogue").advice).toContain('{"Node":"test-agent","ServiceID":"srv-epmd:box1:ghost"}');
  });
});
