import { afterAll, beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { dnsClient, watchSrv } from "../support/dns-client.js";
import { type ErlangNode, type NodeOptions, startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { createHosts } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

/** Short, so that what is not refreshed shows within a test. */
const TTL = ["--ttl", "5s"];
/** Milliseconds between a change here and Consul's DNS. */
const LIMIT = 100;

interface Service {
  readonly ServiceID: string;
  readonly Tags: readonly string[];
  readonly Meta: Readonly<Record<string, string>>;
  readonly Weights: { readonly Passing: number; readonly Warning: number };
  readonly Address: string;
  readonly Port: number;
}

/** The instances of a service as the agent holds them, by id. */
async function held(consul: Consul, service: string): Promise<Record<string, Service>> {
  const { body } = await consul.request("GET", "/v1/agent/services");
  const all = Object.entries(body as Record<string, Service & { Service: string }>);
  return Object.fromEntries(all.filter(([, entry]) => entry.Service === service));
}

function serve(consul: Consul, service: string, port = 0, ...args: string[]): Promise<Daemon> {
  const ttl = args.includes("--ttl") ? [] : TTL;
  return startDaemon({ port, args: ["--domain", service, "--consul", consul.socketUrl, ...ttl, ...args] });
}

const node = (name: string, epmdPort: number, options: Partial<NodeOptions> = {}) =>
  startNode({ name: `${name}@127.0.0.1`, epmdPort, ...options });

async function portOf(vm: ErlangNode): Promise<number> {
  const answer = await vm.eval(
    "{port, P, _} = erl_epmd:port_please(hd(string:lexemes(atom_to_list(node()), [$@])), {127,0,0,1}), P",
  );
  return Number(answer);
}

requirePeer("erl", "consul")("a node in Consul's DNS", () => {
  let consul: Consul;
  beforeAll(async () => {
    consul = await startConsul();
  });
  afterAll(() => consul.stop());
  const dns = () => dnsClient(consul.dnsPort);
  const present = (name: string) =>
    waitFor(async () => (await dns().srv(name)).length > 0, { what: `${name} in DNS`, interval: 5 });
  const absent = (name: string, timeout = 10_000) =>
    waitFor(async () => (await dns().srv(name)).length === 0, { what: `${name} out of DNS`, interval: 5, timeout });

  test("is there within 100 ms of its registration, and gone within 100 ms of its end", async () => {
    const daemon = await serve(consul, "quick");
    const owner = "q.quick.service.consul";
    const appeared: number[] = [];
    const vanished: number[] = [];
    // Other tests use the machine too: the quickest of some tries tells how long it takes.
    const quickest = (times: readonly number[]) => Math.min(...times);
    const vm = await startNode({ epmdPort: daemon.port });
    for (let tries = 0; tries < 10 && !(quickest(appeared) < LIMIT && quickest(vanished) < LIMIT); tries++) {
      const registrations = daemon.log().filter((line) => line.msg === "node registered").length;
      const seenAt = present(owner).then(() => Date.now());
      await vm.eval("{ok, _} = net_kernel:start(['q@127.0.0.1', longnames])");
      const seen = await seenAt;
      const line = await waitFor(() => daemon.log().filter(({ msg }) => msg === "node registered")[registrations], {
        what: "the registration",
      });
      appeared.push(seen - Date.parse(String(line.time)));
      expect((await dns().srv(owner)).map(({ port }) => port)).toEqual([await portOf(vm)]);
      expect(await dns().a(owner)).toEqual(["127.0.0.1"]);
      const stoppedAt = performance.now();
      await Promise.all([vm.eval("net_kernel:stop()"), absent(owner)]);
      vanished.push(Math.round(performance.now() - stoppedAt));
    }
    expect(quickest(appeared), `from registration to DNS: ${appeared.join(", ")} ms`).toBeLessThan(LIMIT);
    expect(quickest(vanished), `from its end to absence: ${vanished.join(", ")} ms`).toBeLessThan(LIMIT);
    await vm.kill();

    const afterKill: number[] = [];
    for (let tries = 0; tries < 4 && !(quickest(afterKill) < LIMIT); tries++) {
      const killed = await node("q", daemon.port);
      await present(owner);
      killed.child.signal("SIGKILL");
      const killedAt = performance.now();
      await absent(owner);
      afterKill.push(Math.round(performance.now() - killedAt));
    }
    expect(quickest(afterKill), `from kill -9 to absence: ${afterKill.join(", ")} ms`).toBeLessThan(LIMIT);
    await waitFor(async () => Object.keys(await held(consul, "quick")).length === 0, { what: "the removal" });
    await daemon.stop();
  });

  test("carries weight, tags and meta of the node", async () => {
    const daemon = await serve(
      consul,
      "laden",
      0,
      "--weight",
      "7",
      "--tag",
      "blue",
      "--tag",
      "eu",
      "--instance",
      "box1",
    );
    const vm = await node("web", daemon.port);
    await present("web.laden.service.consul");
    const port = await portOf(vm);
    const { "srv-epmd:box1:web": entry, ...others } = await held(consul, "laden");
    expect(others).toEqual({});
    expect(entry).toMatchObject({ Tags: ["web", "blue", "eu"], Weights: { Passing: 7, Warning: 7 }, Port: port });
    expect(entry?.Meta).toMatchObject({
      "erlang-node": "web@laden.service.consul",
      "erlang-node-name": "web@laden.service.consul",
      "erlang-dist-port": String(port),
      "srv-epmd-owner": expect.stringMatching(new RegExp(`^[0-9a-f-]{36}/[0-9]+/${daemon.port}$`)),
      "srv-epmd-since": expect.stringMatching(/^[0-9]{10}$/),
    });
    expect(await dns().srv("web.laden.service.consul")).toEqual([
      { name: "test-agent.node.dc1.consul", port, priority: 1, weight: 7 },
    ]);
    expect(await dns().srv("blue.laden.service.consul")).toHaveLength(1);
    await vm.kill();
    await daemon.stop();
  });

  test("has its IPv6 address when it registered over ::1", async () => {
    const daemon = await serve(consul, "six", 0, "--advertise-address", "fd77::6", "--advertise-address", "10.77.0.6");
    const vm = await startNode({ name: "web@::1", epmdPort: daemon.port, args: ["-proto_dist", "inet6_tcp"] });
    const owner = "web.six.service.consul";
    await waitFor(async () => (await dns().srv(owner)).length === 2, { what: "an entry for each family" });
    expect(await dns().aaaa(owner)).toEqual(["fd77::6"]);
    expect(await dns().a(owner)).toEqual(["10.77.0.6"]);
    const targets = (await dns().srv(owner)).map(({ name }) => name).sort();
    expect(targets).toEqual(["0a4d0006.addr.dc1.consul", "fd770000000000000000000000000006.addr.dc1.consul"]);
    await vm.kill();
    await absent(owner);
    await daemon.stop();
  });

  test.concurrent("is not missed for a moment while its daemon is restarted with SIGTERM or killed and started again", async () => {
    // On a busy machine a stop, a start and the VM's return can take longer than 5 s.
    const ttl = ["--ttl", "15s"];
    const restart = async (service: string, end: (daemon: Daemon) => Promise<unknown>) => {
      const port = await freePort();
      const first = await serve(consul, service, port, ...ttl);
      const vm = await node("web", port);
      const owner = `web.${service}.service.consul`;
      await present(owner);
      const watch = watchSrv(dns(), owner);
      await end(first);
      const second = await serve(consul, service, port, ...ttl);
      await second.waitForLog((line) => line.msg === "node registered", "the VM's return");
      await second.waitForLog((line) => line.msg === "published", "its publication");
      // A refresh that came too late would show now.
      const wait = watch.looks().length;
      await waitFor(() => (watch.looks().at(-1)?.at ?? 0) > (watch.looks()[wait - 1]?.at ?? 0) + 15_500, {
        what: "longer than the TTL",
        timeout: 60_000,
      });
      const absences = await watch.stop();
      expect(watch.looks().length).toBeGreaterThan(200);
      const logs = `${first.child.stderr()}then\n${second.child.stderr()}`;
      expect(absences, `${service}: absences among ${watch.looks().length} looks\n${logs}`).toEqual([]);
      expect(Object.keys(await held(consul, service))).toHaveLength(1);
      await vm.kill();
      await absent(owner);
      await second.stop();
    };
    await Promise.all([
      restart("restarted", async (daemon) => expect(await daemon.stop()).toMatchObject({ code: 0 })),
      restart("killed", (daemon) => daemon.kill()),
    ]);
  }, 120_000);

  test.concurrent("leaves nothing behind when VM and daemon are stopped together", async () => {
    const daemon = await serve(consul, "together");
    const [one, two] = await Promise.all([node("one", daemon.port), node("two", daemon.port)]);
    await Promise.all([present("one.together.service.consul"), present("two.together.service.consul")]);
    const [exit] = await Promise.all([daemon.stop(), one.stop(), two.stop()]);
    expect(exit).toMatchObject({ code: 0 });
    expect(await held(consul, "together")).toEqual({});
    expect(exit.ms, `the daemon took ${exit.ms} ms`).toBeLessThan(4_500);
  });

  test.concurrent("is removed by the next daemon within 10 s when it died with the last one, and taken over when it returns", async () => {
    const port = await freePort();
    const first = await serve(consul, "orphaned", port);
    const [gone, back] = await Promise.all([node("gone", port), node("back", port)]);
    await Promise.all([present("gone.orphaned.service.consul"), present("back.orphaned.service.consul")]);
    await Promise.all([first.kill(), gone.kill(), back.kill()]);
    const second = await serve(consul, "orphaned", port);
    const startedAt = performance.now();
    const again = await node("back", port);
    const newPort = await portOf(again);
    await waitFor(async () => (await dns().srv("back.orphaned.service.consul"))[0]?.port === newPort, {
      what: "the new port",
    });
    const watch = watchSrv(dns(), "back.orphaned.service.consul");
    await waitFor(async () => Object.keys(await held(consul, "orphaned")).length === 1, {
      what: "the removal",
      timeout: 15_000,
    });
    const took = Math.round(performance.now() - startedAt);
    expect(took, `removed after ${took} ms`).toBeLessThan(12_500);
    expect(await dns().srv("gone.orphaned.service.consul")).toEqual([]);
    expect(await watch.stop()).toEqual([]);
    await again.kill();
    await second.stop();
  });

  test("is told from one of the same name that belongs to another daemon of the machine", async () => {
    const [one, two] = await Promise.all([serve(consul, "twice"), serve(consul, "twice")]);
    const [webOne, webTwo] = await Promise.all([node("web", one.port), node("web", two.port)]);
    const owner = "web.twice.service.consul";
    const ports = async () => (await dns().srv(owner)).map(({ port }) => port).sort((a, b) => a - b);
    await waitFor(async () => (await ports()).length === 2, { what: "both in DNS" });
    const [portOne, portTwo] = await Promise.all([portOf(webOne), portOf(webTwo)]);
    expect(await ports()).toEqual([portOne, portTwo].sort((a, b) => a - b));
    const watch = watchSrv(dns(), owner);
    await Promise.all([webOne.kill(), one.stop()]);
    await waitFor(async () => Object.keys(await held(consul, "twice")).length === 1, { what: "the removal of one" });
    expect(await ports()).toEqual([portTwo]);
    expect((await watch.stop()).length).toBe(0);
    await webTwo.kill();
    await two.stop();
  });
});

requirePeer(
  "erl",
  "consul",
  "netns",
)("nodes in two network namespaces with one host name and one port", () => {
  test("share a Consul agent, and neither daemon touches what is the other's", async () => {
    const { hosts } = await createHosts([
      { addresses: ["10.78.0.1/24"], hosts: ["10.78.0.1 pod"], hostname: "pod" },
      { addresses: ["10.78.0.2/24"], hosts: ["10.78.0.2 pod"], hostname: "pod" },
    ]);
    const consul = await startConsul();
    const dns = dnsClient(consul.dnsPort);
    const owner = "web.pods.service.consul";
    const where = async () => (await dns.a(owner)).sort();
    const start = (index: 0 | 1) => {
      const netns = hosts[index];
      if (!netns) throw new Error("no host");
      const address = `10.78.0.${index + 1}`;
      const args = ["--domain", "pods", "--consul", consul.socketUrl, ...TTL, "--advertise-address", address];
      return {
        serve: () => startDaemon({ port: 4369, netns, args }),
        web: () => startNode({ name: `web@${address}`, netns }),
      };
    };
    const [left, right] = [start(0), start(1)];
    const daemons = await Promise.all([left.serve(), right.serve()]);
    const [webLeft, webRight] = await Promise.all([left.web(), right.web()]);
    await waitFor(async () => (await where()).join() === "10.78.0.1,10.78.0.2", { what: "both in DNS" });
    expect(Object.keys(await held(consul, "pods")).sort()).toEqual([
      "srv-epmd:pod:web",
      expect.stringMatching(/^srv-epmd:pod~[0-9a-f]{8}:web$/),
    ]);

    const watch = watchSrv(dns, owner);
    const counts = () => watch.looks().map(({ ports }) => ports.length);
    // Each in turn is killed and started again under its live VM: the other's entry and its own stay.
    for (const [index, place] of [left, right].entries()) {
      await daemons[index]?.kill();
      const again = await place.serve();
      await again.waitForLog((line) => line.msg === "node registered", "the VM's return");
      await again.waitForLog((line) => line.msg === "published", "its publication");
      daemons[index] = again;
    }
    expect(Math.min(...counts()), `records seen: ${counts().join(" ")}`).toBe(2);
    expect(Object.keys(await held(consul, "pods"))).toHaveLength(2);

    await webLeft.kill();
    await waitFor(async () => (await where()).join() === "10.78.0.2", { what: "the left one out of DNS" });
    await daemons[0]?.stop();
    expect((await watch.stop()).length, "looks that found neither").toBe(0);
    expect(await where()).toEqual(["10.78.0.2"]);
    await webRight.kill();
    await waitFor(async () => (await where()).length === 0, { what: "the right one out of DNS" });
    await daemons[1]?.stop();
    await consul.stop();
  });
});

requirePeer("erl", "consul")("a node whose Consul agent lost its state", () => {
  test("is back soon after the agent", async () => {
    const consul = await startConsul();
    const daemon = await serve(consul, "forgotten");
    const vm = await node("web", daemon.port);
    const dns = dnsClient(consul.dnsPort);
    const owner = "web.forgotten.service.consul";
    await waitFor(async () => (await dns.srv(owner)).length === 1, { what: "the node in DNS" });
    await consul.restart();
    const answersAt = performance.now();
    await waitFor(async () => (await dns.srv(owner)).length === 1, { what: "the node in DNS again" });
    const took = Math.round(performance.now() - answersAt);
    // Refreshed at a third of the TTL, with what is left of a retry's delay.
    expect(took, `back ${took} ms after the agent`).toBeLessThan(4_000);
    await vm.kill();
    await waitFor(async () => (await dns.srv(owner)).length === 0, { what: "its end" });
    await daemon.stop();
    await consul.stop();
  });
});
