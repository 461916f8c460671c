import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { aclToken, DNS_RULES } from "../support/acl-token.js";
import { createAuthMethod } from "../support/auth-method.js";
import type { ErlangNode } from "../support/erlang.js";
import { type Allocation, createAllocation, type RunningAllocation, type RunningTask } from "../support/nomad-alloc.js";
import { type Client, startClients } from "../support/nomad-client.js";
import { JOBS, type JobFile, readJob } from "../support/nomad-job.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

interface Instance {
  readonly Service: { readonly Address: string; readonly Port: number; readonly Tags: readonly string[] };
}

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
  "curl",
)("the job sidecar.nomad.hcl in allocations of two clients, with Consul's ACLs", () => {
  let file: JobFile;
  let clients: readonly [Client, Client];
  let jwt: string;
  let first: Allocation;
  let second: Allocation;
  let daemon: RunningTask;
  let one: ErlangNode;
  let other: RunningAllocation;

  beforeAll(async () => {
    file = await readJob("sidecar.nomad.hcl");
    clients = (await startClients(2, { acl: true })) as [Client, Client];
    const reading = await aclToken(clients[0].consul, DNS_RULES);
    for (const { consul } of clients) await consul.request("PUT", "/v1/agent/token/default", { Token: reading });
    const method = await createAuthMethod(clients[0].consul, {
      name: "srv-epmd",
      rules: await readFile(`${JOBS}consul-policy.hcl`, "utf8"),
    });
    jwt = method.jwt();
    [first, second] = await Promise.all([
      createAllocation(clients[0], file, { jwt }),
      createAllocation(clients[1], file, { jwt }),
    ]);
  });

  /** Address and port of the instances that pass, by tag, as the other client's agent has them. */
  const published = async () => {
    const { body } = await clients[1].consul.request("GET", "/v1/health/service/svc-dist?passing=1");
    const places = (body as Instance[]).map(({ Service: { Tags, Address, Port } }) => [
      Tags.join(),
      `${Address}:${Port}`,
    ]);
    return Object.fromEntries(places) as Record<string, string>;
  };
  const placeOf = ({ client, ports }: Allocation, of = "dist") =>
    `${client.address}:${ports.find(({ label }) => label === of)?.hostPort}`;

  test("the release waits until its EPMD answers, and would end without the wait", async () => {
    await expect(first.node({ env: { SRV_EPMD_WAIT: "0" } })).rejects.toThrow(/no srv-epmd answers at 127\.0\.0\.1/);
    const starting = first.node();
    await sleep(2_000);
    daemon = await first.start("srv-epmd");
    one = await starting;
    expect(one.child.stdout() + one.child.stderr()).toMatch(/is registered after a wait of [0-9.]+ s/);
  });

  test("a node is published with the host side of its port, and answers there to other machines", async () => {
    const found = await waitFor(async () => (await published())[`svc-${first.shortId}`], { what: "the publication" });
    expect(found).toBe(placeOf(first));
    // The node listens in a network that the other client does not know.
    expect(await one.eval("inet:getifaddrs()")).toContain("{172,26,64,2}");
    const [address, port] = found.split(":");
    await clients[1].host.run("bash", "-c", `exec 3<>/dev/tcp/${address}/${port}`);
    await expect(
      clients[1].host.run("timeout", "1", "bash", "-c", `exec 3<>/dev/tcp/${first.ip}/${port}`),
    ).rejects.toThrow();
  });

  test("Nomad's check, and Prometheus, reach srv-epmd at the host side of its own port", async () => {
    const get = (path: string) => clients[1].host.run("curl", "-sf", `http://${placeOf(first, "admin")}${path}`);
    expect(JSON.parse((await get("/readyz")).stdout)).toMatchObject({
      ready: true,
      checks: expect.arrayContaining([{ name: "published", ok: true }]),
    });
    expect((await get("/metrics")).stdout).toMatch(/^srv_epmd_published_nodes 1$/m);
  });

  test("the allocations of two clients connect by themselves, though they have one address inside", async () => {
    other = await second.run();
    expect([second.ip, second.shortId]).toEqual([first.ip, expect.not.stringMatching(first.shortId)]);
    await waitFor(async () => (await one.nodes()).includes(second.nodeName), { what: "the link" });
    expect(await other.node.nodes()).toEqual([first.nodeName]);
    const alloc = `rpc:call('${second.nodeName}', os, getenv, ["NOMAD_SHORT_ALLOC_ID"])`;
    expect(await one.eval(alloc)).toBe(`"${second.shortId}"`);
    expect(await published()).toEqual({
      [`svc-${first.shortId}`]: placeOf(first),
      [`svc-${second.shortId}`]: placeOf(second),
    });
  });

  test("a node on a port that is not mapped is not published, and the log says what to do", async () => {
    const stray = await first.node({
      env: { RELEASE_NODE: "stray@svc-dist.service.consul", ERL_DIST_PORT: undefined, SRV_EPMD_CONNECT: undefined },
    });
    const line = await waitFor(() => daemon.log().find(({ node, reason }) => node === "stray" && reason), {
      what: "the reason",
    });
    const port = placeOf(first).split(":")[1];
    expect(line.reason).toMatch(
      new RegExp(`no port of this bridge network is mapped: start the VM with ERL_DIST_PORT=${port} \\(dist\\)`),
    );
    expect(Object.keys(await published())).not.toContain("stray");
    await stray.kill();
  });

  test("an allocation that is stopped leaves nothing in Consul, and the other's node stays", async () => {
    const exits = await other.stop();
    expect(exits.map(({ code }) => code)).toEqual([0]);
    expect(await published()).toEqual({ [`svc-${first.shortId}`]: placeOf(first) });
    const { body } = await clients[1].consul.request("GET", "/v1/agent/services");
    expect(body).toEqual({});
    await waitFor(async () => (await one.nodes()).length === 0, { what: "the end of the link" });
  });

  test("no token with less than the policy would do", async () => {
    const weak = await createAuthMethod(clients[0].consul, { name: "weak", rules: DNS_RULES });
    const edited = await readJob("sidecar.nomad.hcl", (text) =>
      text.replace(/(AUTH_METHOD +=) "srv-epmd"/, `$1 "${weak.name}"`),
    );
    const third = await createAllocation(clients[0], edited, { jwt: weak.jwt() });
    const refused = await third.start("srv-epmd");
    const vm = await third.node();
    await waitFor(() => refused.log().some((line) => JSON.stringify(line).includes("service:write on svc-dist")), {
      what: "Consul's refusal in the log",
    });
    expect(Object.keys(await published())).toEqual([`svc-${first.shortId}`]);
    await vm.kill();
  });
});
