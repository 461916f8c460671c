import { describe, expect, test } from "vitest";
import { advertised } from "../../src/publish/core/advertised.js";
import {
  type DaemonIdentity,
  instanceOf,
  type Publication,
  publicationOf,
  publishesToConsul,
} from "../../src/publish/core/publication.js";
import type { ServiceEntry } from "../../src/publish/core/service-entry.js";
import { registeredNode, serveConfig } from "../support/registered-node.js";

const DAEMON: DaemonIdentity = { hostName: "box1", port: 4369, owner: "boot/4026531840/4369" };
/** Nomad 1.x, `mode = "host"`, one port. */
const HOST_NETWORK = {
  NOMAD_SHORT_ALLOC_ID: "1a2b3c4d",
  NOMAD_PORT_dist: "20001",
  NOMAD_HOST_PORT_dist: "20001",
  NOMAD_ALLOC_PORT_dist: "20001",
  NOMAD_IP_dist: "10.1.2.3",
  NOMAD_HOST_IP_dist: "10.1.2.3",
  NOMAD_ALLOC_IP_dist: "10.1.2.3",
};
/** `mode = "bridge"`, `to = 4370`. */
const BRIDGE = {
  NOMAD_SHORT_ALLOC_ID: "1a2b3c4d",
  NOMAD_PORT_dist: "4370",
  NOMAD_HOST_PORT_dist: "23456",
  NOMAD_HOST_IP_dist: "10.1.2.3",
  NOMAD_ALLOC_IP_dist: "172.26.64.5",
  NOMAD_PORT_epmd: "4369",
  NOMAD_HOST_PORT_epmd: "23457",
  NOMAD_HOST_IP_epmd: "10.1.2.3",
  NOMAD_ALLOC_IP_epmd: "172.26.64.5",
};

function entriesOf(publication: Publication): readonly ServiceEntry[] {
  if (publication.outcome !== "publish") throw new Error(`${publication.outcome}: ${publication.reason}`);
  return publication.entries;
}

function reasonOf(publication: Publication): string {
  return publication.outcome === "publish" ? "published" : `${publication.outcome}: ${publication.reason}`;
}

const publish = (name: string, port: number, ...config: Parameters<typeof serveConfig>) =>
  publicationOf(registeredNode(name, port), serveConfig(...config), DAEMON, () => false);

describe("a published node", () => {
  test("has the id, service, tag and meta that make name.svc.service.consul resolve", () => {
    const [entry] = entriesOf(publish("node_a", 20001, { domain: ["svc"], weight: "7", tag: ["blue"] }));
    expect(entry).toEqual({
      id: "srv-epmd:box1:node_a",
      aliveName: "node_a",
      service: "svc",
      tags: ["node_a", "blue"],
      address: undefined,
      port: 20001,
      isNative: false,
      weight: 7,
      meta: {
        "erlang-node": "node_a@svc.service.consul",
        "erlang-node-name": "node_a@svc.service.consul",
        "erlang-dist-port": "20001",
        "srv-epmd-owner": "boot/4026531840/4369",
        "srv-epmd-since": "0",
      },
      ttl: 15_000,
      deregisterAfter: 300_000,
      tcpCheck: undefined,
    });
  });

  test("says that it is hidden", () => {
    const hidden = { ...registeredNode("node_a", 20_001), nodeType: 72 };
    const of = (node: typeof hidden) =>
      entriesOf(publicationOf(node, serveConfig({ domain: ["svc"] }), DAEMON, () => false))[0]?.meta[
        "srv-epmd-node-type"
      ];
    expect([of(hidden), of({ ...hidden, nodeType: 77 })]).toEqual(["hidden", undefined]);
  });

  test("carries the labels before the service in its tag", () => {
    const [entry] = entriesOf(publish("rabbit", 25672, { domain: ["n1.rmq.service.dc1.consul"] }));
    expect(entry).toMatchObject({ service: "rmq", tags: ["rabbit.n1"] });
    expect(entry?.meta["erlang-node"]).toBe("rabbit@n1.rmq.service.dc1.consul");
  });

  test("is published under the service of a domain whose datacenter is written with its kind", () => {
    const config = serveConfig({ domain: ["svc.service.dc1.dc.consul"] });
    expect(publishesToConsul(config)).toBe(true);
    const [entry] = entriesOf(publicationOf(registeredNode("a", 1), config, DAEMON, () => false));
    expect(entry).toMatchObject({ service: "svc", tags: ["a"] });
    expect(entry?.meta["erlang-node"]).toBe("a@svc.service.dc1.dc.consul");
  });

  test("goes to the service of the first domain whose glob matches its name", () => {
    const flags = { domain: ["web*=www", "*=rest.service.consul"] };
    expect(entriesOf(publish("web1", 1, flags))[0]?.service).toBe("www");
    expect(entriesOf(publish("db", 1, flags))[0]?.service).toBe("rest");
  });

  test("takes --service and --node-host before what the domain says", () => {
    const [entry] = entriesOf(publish("a", 1, { domain: ["demo.test"], service: "svc-dist", nodeHost: "a.example" }));
    expect(entry?.service).toBe("svc-dist");
    expect(entry?.meta["erlang-node"]).toBe("a@a.example");
  });

  test("is called after its service when there is no domain at all", () => {
    const [entry] = entriesOf(publish("a", 1, { service: "svc", register: "consul" }));
    expect(entry?.meta["erlang-node"]).toBe("a@svc.service.consul");
  });

  test("is probed by the agent where it can reach the port", () => {
    const probe = (node: ReturnType<typeof registeredNode>, flags = {}) =>
      entriesOf(
        publicationOf(node, serveConfig({ domain: ["svc"], tcpCheck: "true", ...flags }), DAEMON, () => false),
      )[0]?.tcpCheck;
    expect(probe(registeredNode("a", 20001))).toBe("127.0.0.1:20001");
    expect(probe(registeredNode("a", 20001, { family: 6 }))).toBe("[::1]:20001");
    expect(probe(registeredNode("a", 20001), { advertiseAddress: ["10.0.0.1"] })).toBe("10.0.0.1:20001");
  });
});

describe("the port and address of a node", () => {
  test("outside of Nomad are its own port and the agent's address", () => {
    expect(advertised(registeredNode("a", 20001), serveConfig())).toEqual({ port: 20001, addresses: [] });
  });

  test("on the host network are its own port and NOMAD_HOST_IP", () => {
    expect(advertised(registeredNode("a", 20001), serveConfig({}, HOST_NETWORK))).toEqual({
      port: 20001,
      addresses: ["10.1.2.3"],
    });
  });

  test("on the host network without a Nomad port are its own and the agent's", () => {
    expect(advertised(registeredNode("a", 41234), serveConfig({}, HOST_NETWORK))).toEqual({
      port: 41234,
      addresses: [],
    });
  });

  test("in a bridge network are the host side of the mapping", () => {
    expect(advertised(registeredNode("a", 4370), serveConfig({}, BRIDGE))).toEqual({
      port: 23456,
      addresses: ["10.1.2.3"],
    });
  });

  test("with to = -1 are one and the same inside and outside", () => {
    const env = { ...BRIDGE, NOMAD_PORT_dist: "23456" };
    expect(advertised(registeredNode("a", 23456), serveConfig({}, env))?.port).toBe(23456);
  });

  test("do not exist for a port that a bridge network does not map, and the log says which would do", () => {
    const publication = publish("a", 41234, { domain: ["svc"] }, BRIDGE);
    expect(reasonOf(publication)).toBe(
      "refuse: the node listens on port 41234, to which no port of this bridge network is mapped: start the VM with ERL_DIST_PORT=4370 (dist) and the srv_epmd module, else with -kernel inet_dist_listen_min 4370 inet_dist_listen_max 4370",
    );
    expect(advertised(registeredNode("a", 41234), serveConfig({}, BRIDGE))).toBeUndefined();
  });

  test("are those of the relay process where it takes callers for the node, and its port is the one to be mapped", () => {
    const native = (connectPort: number) => ({ ...serveConfig({ domain: ["svc"] }, BRIDGE), connectPort });
    const node = registeredNode("a", 41234);
    expect(advertised(node, native(4370))).toEqual({ port: 23456, addresses: ["10.1.2.3"] });
    expect(reasonOf(publicationOf(node, native(29000), DAEMON, () => false))).toBe(
      "refuse: callers are taken at port 29000, to which no port of this bridge network is mapped: give --port-label dist",
    );
  });

  test("name no EPMD port as the one for distribution", () => {
    const { NOMAD_PORT_epmd, NOMAD_HOST_PORT_epmd, NOMAD_HOST_IP_epmd, NOMAD_ALLOC_IP_epmd } = BRIDGE;
    const only = { NOMAD_PORT_epmd, NOMAD_HOST_PORT_epmd, NOMAD_HOST_IP_epmd, NOMAD_ALLOC_IP_epmd };
    expect(reasonOf(publish("a", 41234, { domain: ["svc"] }, only))).toContain("give the group a port for it");
  });

  test("come from --port-label where two labels map the same port", () => {
    const env = {
      ...BRIDGE,
      NOMAD_PORT_other: "4370",
      NOMAD_HOST_PORT_other: "29999",
      NOMAD_HOST_IP_other: "10.9.9.9",
    };
    expect(advertised(registeredNode("a", 4370), serveConfig({ portLabel: "other" }, env))).toEqual({
      port: 29999,
      addresses: ["10.9.9.9"],
    });
  });

  test("refuse a --port-label that Nomad does not know", () => {
    expect(reasonOf(publish("a", 4370, { domain: ["svc"], portLabel: "nope" }, BRIDGE))).toContain(
      "this group has dist, epmd",
    );
  });

  test("are what --advertise-port and --advertise-address say, with placeholders filled", () => {
    const flags = {
      domain: ["svc"],
      advertisePort: "9100",
      advertiseAddress: ["{name}.{service}.example", "10.0.0.1"],
    };
    expect(advertised(registeredNode("a", 41234), serveConfig(flags, BRIDGE))).toEqual({
      port: 9100,
      addresses: ["a.svc.example", "10.0.0.1"],
    });
  });
});

describe("a node that registered with port 0", () => {
  test("is refused, since nobody could dial it", () => {
    expect(reasonOf(publish("a", 0, { domain: ["svc"] }))).toBe(
      "refuse: the node registered with port 0: it listens nowhere, so nobody can dial it",
    );
  });

  test.each([
    ["--advertise-port", { advertisePort: "9100" }, {}],
    ["Nomad's port", {}, BRIDGE],
  ])("has no port for others, whatever %s says", (_, flags, env) => {
    expect(advertised(registeredNode("a", 0), serveConfig({ domain: ["svc"], ...flags }, env))).toBeUndefined();
  });
});

describe("IPv6", () => {
  const flags = { domain: ["svc"], advertiseAddress: ["10.0.0.1", "fd00::1"] };

  test("is published beside IPv4, as an instance of its own, for a node that registered over ::1", () => {
    const node = registeredNode("a", 20001, { family: 6 });
    const entries = entriesOf(publicationOf(node, serveConfig(flags), DAEMON, () => false));
    expect(entries.map(({ id, address, tags }) => ({ id, address, tags }))).toEqual([
      { id: "srv-epmd:box1:a", address: "10.0.0.1", tags: ["a"] },
      { id: "srv-epmd:box1:a:6", address: "fd00::1", tags: ["a"] },
    ]);
  });

  test("is not published for a node that registered over 127.0.0.1, as it listens on IPv4 only", () => {
    const entries = entriesOf(publish("a", 20001, flags));
    expect(entries.map(({ address }) => address)).toEqual(["10.0.0.1"]);
  });

  test("alone refuses an IPv4 node and says what would help", () => {
    const only6 = publish("a", 20001, { domain: ["svc"], advertiseAddress: ["fd00::1"] });
    expect(reasonOf(only6)).toContain("-proto_dist inet6_tcp");
    const nomad = publish("a", 20001, { domain: ["svc"] }, { ...HOST_NETWORK, NOMAD_HOST_IP_dist: "fd00::1" });
    expect(reasonOf(nomad)).toContain("NOMAD_HOST_IP_dist is fd00::1");
  });
});

describe("a name that Consul's DNS could not find", () => {
  test.each([
    ["x".repeat(64), "64 characters"],
    ["ünïcode", "letters, digits"],
    ["sp ace", "letters, digits"],
    ["foo\\bar", "letters, digits"],
    ["dot.ted", "letters, digits"],
  ])("%s is refused", (name, why) => {
    const reason = reasonOf(publish(name, 1, { domain: ["svc"] }));
    expect(reason).toMatch(/^refuse: /);
    expect(reason).toContain(why);
  });

  test.each(["x".repeat(63), "under_score", "UPPER", "1234", "-lead", "tail-"])("%s is published", (name) => {
    expect(entriesOf(publish(name, 1, { domain: ["svc"] }))).toHaveLength(1);
  });
});

describe("what is not meant for Consul", () => {
  test("is a helper, unless --helpers publish or its exact name is given", () => {
    const name = "rpc-1a2b-web";
    expect(reasonOf(publish(name, 1, { domain: ["svc"] }))).toMatch(/^skip: .*helper/);
    expect(entriesOf(publish(name, 1, { domain: ["svc"], helpers: "publish" }))).toHaveLength(1);
    expect(entriesOf(publish(name, 1, { domain: ["svc"], publish: [name] }))).toHaveLength(1);
    expect(reasonOf(publish(name, 1, { domain: ["svc"], publish: ["*"] }))).toMatch(/^skip: .*helper/);
  });

  test("is what a RabbitMQ here has started, and no node that only has such a name", () => {
    const node = registeredNode("n1-130-26011", 1);
    const beside = (alive: string) =>
      publicationOf(node, serveConfig({ domain: ["svc"] }), DAEMON, (name) => name === alive);
    expect(reasonOf(beside("n1"))).toMatch(/^skip: .*helper/);
    expect(entriesOf(beside("n2"))).toHaveLength(1);
  });

  test("is a name that no --publish glob matches", () => {
    expect(reasonOf(publish("db", 1, { domain: ["svc"], publish: ["web*"] }))).toMatch(/^skip: /);
    expect(entriesOf(publish("web1", 1, { domain: ["svc"], publish: ["web*"] }))).toHaveLength(1);
  });

  test("is a name without a domain under Consul's", () => {
    expect(reasonOf(publish("a", 1, { domain: ["web*=svc"] }))).toMatch(/^skip: no --domain/);
    expect(reasonOf(publish("a", 1, { domain: ["demo.test"], register: "consul" }))).toMatch(
      /^skip: its domain demo.test/,
    );
  });
});

describe("another ERL_DIST_PORT in our own environment", () => {
  const warning = (name: string, port: number) => {
    const publication = publish(name, port, { domain: ["svc"], helpers: "publish" }, { ERL_DIST_PORT: "4370" });
    return publication.outcome === "publish" ? publication.warning : undefined;
  };

  test("is said to be a likely mistake", () => {
    expect(warning("a", 41234)).toContain("ERL_DIST_PORT=4370");
    expect(warning("a", 4370)).toBeUndefined();
  });

  test("is none for a helper, which has a port of its own", () => {
    expect(warning("rpc-1a2b-web", 41234)).toBeUndefined();
  });
});

describe("the instance", () => {
  test.each([
    ["--instance", { instance: "mine" }, HOST_NETWORK, 4369, "mine"],
    ["Nomad's allocation", {}, HOST_NETWORK, 14369, "1a2b3c4d"],
    ["the host name", {}, {}, 4369, "box1"],
    ["the host name with a port that is not EPMD's", {}, {}, 14369, "box1:14369"],
  ])("is %s", (_, flags, env, port, instance) => {
    expect(instanceOf(serveConfig(flags, env), { ...DAEMON, port })).toBe(instance);
  });
});

describe("publication into Consul", () => {
  test.each([
    [{ domain: ["svc"] }, true],
    [{ domain: ["svc.service.dc1.consul"] }, true],
    [{ domain: ["demo.test"] }, false],
    [{ domain: ["web*=demo.test", "*=svc"] }, true],
    [{}, false],
    [{ domain: ["svc"], dnsListen: "127.0.0.1:8653" }, false],
    [{ domain: ["svc"], register: "none" }, false],
    [{ service: "svc", register: "consul" }, true],
  ])("with %j is %s", (flags, expected) => {
    expect(publishesToConsul(serveConfig(flags))).toBe(expected);
  });
});

test("a node from --publish-node is published under the host written there", () => {
  const config = serveConfig({ publishNode: ["node_a@svc"] }, { ERL_DIST_PORT: "4370" });
  expect(publishesToConsul(config)).toBe(true);
  const [entry] = entriesOf(
    publicationOf(registeredNode("node_a", 4370, { origin: "configured" }), config, DAEMON, () => false),
  );
  expect(entry).toMatchObject({ service: "svc", tags: ["node_a"], port: 4370 });
});
