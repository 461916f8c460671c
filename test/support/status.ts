import { problemsOf } from "../../src/admin/core/problems.js";
import type { LocalNode, NodeLinks, Status } from "../../src/admin/core/status.js";
import type { ClusterNode } from "../../src/catalogue/core/instances.js";
import type { LookUp } from "../../src/daemon/core/observations.js";
import type { KnownDomain } from "../../src/resolve/core/known-domain.js";

/** 2025-03-14T14:03:22Z: what the fixtures call now. */
export const NOW = Date.UTC(2025, 2, 14, 14, 3, 22);

const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

export function localNode(own: Partial<LocalNode> = {}): LocalNode {
  const name = own.name ?? "node_a";
  return {
    name,
    port: 43183,
    creation: 7,
    family: 4,
    since: ago(9_000),
    origin: "alive2",
    publication: "in-consul",
    serviceIds: [`srv-epmd:box1:${name}`],
    ...own,
  };
}

export function lookUp(own: Partial<LookUp> = {}): LookUp {
  return {
    type: "look-up",
    at: NOW - 12_000,
    node: "node_b@svc.service.consul",
    asker: "127.0.0.1",
    here: true,
    way: "module",
    outcome: "found",
    source: "srv",
    stale: false,
    port: 20_002,
    endpoints: ["10.1.2.4:20002"],
    reason: undefined,
    elapsedMs: 1.84,
    ...own,
  };
}

/** A look-up that gave no port. */
export function failedLookUp(outcome: LookUp["outcome"], reason: string, own: Partial<LookUp> = {}): LookUp {
  return lookUp({ outcome, reason, source: undefined, port: undefined, endpoints: [], ...own });
}

export function clusterNode(own: Partial<ClusterNode> = {}): ClusterNode {
  return {
    node: "node_a@svc.service.consul",
    health: "passing",
    address: "10.1.2.3",
    port: 43_183,
    age: 9_000,
    instance: "box1",
    machine: "box1",
    ...own,
  };
}

/** With the problems that follow from all else, as the daemon finds them. */
function withProblems(status: Omit<Status, "problems">, own: Partial<Status>): Status {
  const { problems: _, ...rest } = { problems: [], ...status, ...own };
  const facts = { status: rest, lookUps: rest.lookUps, now: NOW, ageOf: (at: string) => NOW - Date.parse(at) };
  return { ...rest, problems: own.problems ?? problemsOf(facts) };
}

/** A daemon that has just started: ready, and nobody has come yet. */
export function emptyStatus(own: Partial<Status> = {}): Status {
  const status = {
    version: "0.1.0",
    hostName: "box1",
    instance: "box1",
    since: ago(5),
    epmd: { port: 4369, addresses: ["127.0.0.1:4369", "[::1]:4369"] },
    dns: { embedded: undefined, gateway: undefined },
    consul: { url: "http://127.0.0.1:8500", publishes: true, answers: true, answeredAt: ago(2) },
    nomad: undefined,
    domains: [],
    mesh: false,
    settings: { options: { port: "4369" }, withheld: [] },
    resolver: [],
    readiness: { ready: true, checks: [{ name: "stopping", ok: true }] },
    nodes: [],
    left: [],
    cluster: { outcome: "none", reason: "no --domain lies under Consul's domain, service.consul" },
    followed: [],
    lookUps: [],
    relays: undefined,
  } as const;
  return withProblems(status, own);
}

/** A daemon at work, with one of everything. */
export function busyStatus(own: Partial<Status> = {}): Status {
  return emptyStatus({
    since: ago(3 * 86_400 + 7_000),
    epmd: { port: 4369, addresses: ["127.0.0.1:4369", "[::1]:4369", "10.1.2.3:4369"] },
    dns: { embedded: "127.0.0.1:8653", gateway: "127.0.0.1:53" },
    domains: ["svc.service.consul", "rmq.service.consul"],
    readiness: {
      ready: true,
      checks: [
        { name: "stopping", ok: true },
        { name: "gateway", ok: true },
        { name: "consul", ok: true },
        { name: "published", ok: true },
      ],
    },
    nodes: [
      localNode(),
      localNode({
        name: "node_c",
        port: 40_211,
        creation: 8,
        family: 6,
        since: ago(42),
        publication: "not-in-consul",
        reason: "Consul refused it: 403 Permission denied, token lacks service:write on svc",
        code: "CONSUL_FORBIDDEN",
        serviceIds: [],
      }),
      localNode({
        name: "rabbit",
        port: 35_672,
        creation: 3,
        since: ago(200_000),
        serviceIds: ["srv-epmd:box1:rabbit", "srv-epmd:box1:rabbit:6"],
      }),
      localNode({
        name: "rem-2f81-console",
        port: 38_007,
        creation: 12,
        since: ago(9),
        publication: "local",
        reason: "no --publish pattern matches it",
        serviceIds: [],
      }),
      localNode({
        name: "legacy",
        address: "10.1.2.9",
        port: 9_100,
        creation: 0,
        since: ago(250_000),
        origin: "configured",
      }),
    ],
    left: [{ name: "node_x", serviceIds: ["srv-epmd:box1:node_x"] }],
    cluster: {
      outcome: "listed",
      patterns: ["*@svc.service.consul", "*@rmq.service.consul"],
      nodes: [
        clusterNode(),
        clusterNode({
          node: "node_b@svc.service.consul",
          address: "10.1.2.4",
          port: 20_002,
          age: 180_000,
          instance: "box2",
          machine: "box2",
        }),
        clusterNode({
          node: "node_d@svc.service.consul",
          health: "critical",
          address: "10.1.2.5",
          port: 31_544,
          age: 312,
          instance: "box3",
          machine: "box3",
        }),
        clusterNode({
          node: "rabbit@rmq.service.consul",
          health: "warning",
          address: "fd00:12::4",
          port: 35_672,
          age: undefined,
          instance: "_nomad-task-5e8b2f1c-9d0a-4c61-group-rabbit-dist",
          machine: "box2.eu-west-1",
        }),
      ],
    },
    lookUps: [
      lookUp(),
      lookUp({ at: NOW - 14_000, node: "rabbit@rmq.service.consul", way: "gateway", port: 61_004, elapsedMs: 4.2 }),
      lookUp({
        at: NOW - 15_500,
        way: "host",
        node: "node_a",
        asker: "10.1.2.4",
        here: false,
        source: "registry",
        port: 43_183,
        endpoints: ["10.1.2.3:43183"],
        elapsedMs: 0.2,
      }),
      failedLookUp("not-found", "node_z.svc.service.consul has no SRV record (NXDOMAIN from 127.0.0.1:8600)", {
        code: "SRV_NXDOMAIN",
        at: NOW - 40_000,
        node: "node_z@svc.service.consul",
        elapsedMs: 21.5,
      }),
      failedLookUp("unreachable", "the node is at 10.0.0.9:20002, but this client would dial 127.0.0.1", {
        at: NOW - 61_000,
        node: "node_b",
        asker: "127.0.0.1",
        way: "host",
        source: "srv",
        elapsedMs: 3.1,
      }),
      lookUp({
        at: NOW - 190_000,
        node: "node_d@svc.service.consul",
        stale: true,
        endpoints: ["10.1.2.5:31544", "[fd00:12::5]:31544", "10.9.2.5:31544", "10.9.2.6:31544"],
        elapsedMs: 1_802,
      }),
      failedLookUp("unavailable", "no name server answers: 127.0.0.1:8600 (timeout)", {
        at: NOW - 200_000,
        node: "node_d@svc.service.consul",
        asker: "10.1.2.7",
        here: false,
        way: "host",
        elapsedMs: 5_000,
      }),
      failedLookUp("refused", "10.99.0.14 may not ask with a host part", {
        at: NOW - 4_000_000,
        asker: "10.99.0.14",
        here: false,
        elapsedMs: 0.1,
      }),
      ...Array.from({ length: 9 }, (_, index) => lookUp({ at: NOW - 90_000_000 - index * 1000, way: "module" })),
    ],
    relays: {
      pid: 4_711,
      since: NOW - 250_000_000,
      daemons: 1,
      totals: {
        openLinks: 2,
        links: 31,
        bytesToNode: 1_288_490_188,
        bytesFromNode: 48_318_382,
        dialsFailed: 1,
        linksRefused: 0,
      },
      relays: [
        {
          node: "rabbit@rmq.service.consul",
          address: "127.100.220.76",
          endpoints: [{ address: "fd00:12::4", port: 35_672 }],
          port: 61_004,
          since: NOW - 240_000_000,
          openLinks: 2,
          links: 30,
          bytesToNode: 1_288_489_000,
          bytesFromNode: 48_318_000,
        },
        {
          node: "node_b@svc.service.consul",
          address: "127.93.4.18",
          endpoints: [
            { address: "10.1.2.4", port: 20_002 },
            { address: "fd00:12::9", port: 20_002 },
            { address: "10.9.2.4", port: 20_002 },
          ],
          port: 61_005,
          since: NOW - 90_000,
          openLinks: 0,
          links: 1,
          bytesToNode: 1_188,
          bytesFromNode: 382,
        },
      ],
    },
    ...own,
  });
}

/** A cluster of which nothing is wrong. */
export function healthyStatus(own: Partial<Status> = {}): Status {
  const busy = busyStatus();
  const passing = (index: number, machine: string) =>
    clusterNode({
      node: `node_${"abcdef"[index]}@svc.service.consul`,
      address: `10.1.2.${3 + index}`,
      port: 20_000 + index,
      age: 9_000 + index * 40_000,
      instance: machine,
      machine,
    });
  return busyStatus({
    nodes: [
      localNode(),
      localNode({ name: "rem-2f81-console", port: 38_007, since: ago(9), publication: "local", serviceIds: [] }),
    ],
    left: [],
    cluster: {
      outcome: "listed",
      patterns: ["*@svc.service.consul"],
      nodes: ["box1", "box2", "box2", "box3", "box3", "box3"].map((machine, index) => passing(index, machine)),
    },
    followed: [{ catalogue: "consul", service: "svc", state: "current", instances: 6 }],
    lookUps: busy.lookUps.filter(({ outcome, stale }) => outcome === "found" && !stale),
    relays: busy.relays && {
      ...busy.relays,
      relays: busy.relays.relays.map((relay, index) => ({ ...relay, node: `node_${"bd"[index]}@svc.service.consul` })),
    },
    ...own,
  });
}

const UNKNOWN_DOMAIN: KnownDomain = {
  domain: "svc.service.consul",
  state: "unknown",
  servers: ["10.0.0.2:53 (resolv.conf) does not know it (NXDOMAIN from the root of DNS)"],
  reason: "Consul's agent does not say where its DNS is: ECONNREFUSED",
  advice: "start Consul's agent or give its address with --consul, or the address of its DNS: --dns consul=ip[:port]",
};

/** A daemon whose Consul agent went away 12 s ago. */
export function troubledStatus(own: Partial<Status> = {}): Status {
  const busy = busyStatus();
  const last = busy.cluster.outcome === "listed" ? { at: ago(12), ...busy.cluster } : undefined;
  const cause = "GET http://127.0.0.1:8500 /health/service/{service}: connect ECONNREFUSED 127.0.0.1:8500";
  return busyStatus({
    consul: {
      ...{ url: "http://127.0.0.1:8500", publishes: true, answers: false, answeredAt: ago(12) },
      trouble: { code: "CONSUL_SILENT", reason: "connect ECONNREFUSED 127.0.0.1:8500" },
    },
    readiness: {
      ready: false,
      checks: [
        { name: "stopping", ok: true },
        { name: "consul", ok: false, reason: "the Consul agent does not answer" },
        { name: "published", ok: false, reason: "not in Consul's DNS: node_a, node_c" },
      ],
    },
    nodes: busy.nodes.map((node, index) =>
      index === 2 ? node : { ...node, publication: "unknown", reason: "the Consul agent does not answer" },
    ),
    left: [],
    cluster: {
      ...{ outcome: "unavailable", cause, code: "CONSUL_UNAVAILABLE" },
      ...(last && { last: { at: last.at, patterns: last.patterns, nodes: last.nodes } }),
    },
    resolver: [UNKNOWN_DOMAIN],
    relays: undefined,
    ...own,
  });
}

export function toldLinks(
  name: string,
  linked: readonly string[],
  own: { hidden?: boolean; at?: string; node?: string } = {},
): NodeLinks {
  const full = (alive: string) => (alive.includes("@") ? alive : `${alive}@svc.service.consul`);
  return { name, hidden: false, state: "told", node: full(name), linked: linked.map(full), at: ago(2), ...own };
}

/** Three VMs here that tell their links, of which one is missing, one that is silent and one without the module; and three elsewhere. */
export function linkedStatus(own: Partial<Status> = {}): Status {
  const here = ["node_a", "node_b", "node_c", "node_d", "node_e"];
  const names = [...here, "node_f", "node_g", "node_h"];
  const others = (name: string, ...without: readonly string[]) =>
    names.filter((one) => one !== name && !without.includes(one));
  return healthyStatus({
    nodes: here.map((name, index) => localNode({ name, port: 20_000 + index })),
    cluster: {
      outcome: "listed",
      patterns: ["*@svc.service.consul"],
      nodes: names.map((name, index) => {
        const machine = index < here.length ? "box1" : index === 7 ? "box3" : "box2";
        const place = { address: `10.1.2.${machine.at(-1)}`, port: 20_000 + index, instance: machine, machine };
        return clusterNode({ node: `${name}@svc.service.consul`, ...place });
      }),
    },
    links: [
      toldLinks("node_a", others("node_a")),
      toldLinks("node_b", others("node_b", "node_c", "node_g")),
      toldLinks("node_c", [...others("node_c", "node_b", "node_e"), "remsh-1@box1.example"]),
      { name: "node_d", hidden: false, state: "silent", at: ago(14) },
      { name: "node_e", hidden: false, state: "not-offered" },
    ],
    ...own,
  });
}

/** A machine with many nodes in a cluster of hundreds: one of them has lost all its links, another a few. */
export function largeLinkedStatus(own: Partial<Status> = {}): Status {
  const { nodes, cluster } = largeStatus();
  const all = cluster.outcome === "listed" ? cluster.nodes : [];
  const listed = all.map((one, index) => ({
    ...one,
    ...(index < nodes.length && { instance: "box1", machine: "box1" }),
  }));
  const names = listed.map(({ node }) => node);
  return busyStatus({
    nodes,
    cluster: { outcome: "listed", patterns: ["*@svc.service.consul"], nodes: listed },
    links: nodes.map(({ name }, index) => {
      const missing = index === 20 ? () => true : (other: string) => names.indexOf(other) % 100 === index;
      return toldLinks(
        name,
        names.filter((other) => other !== names[index] && other !== names[20] && !missing(other)),
      );
    }),
    ...own,
  });
}

/** Every problem that another one does not hide, but for those of Consul's agent (troubledStatus). */
export function worstStatus(own: Partial<Status> = {}): Status {
  const busy = busyStatus();
  const failed = (name: Status["readiness"]["checks"][number]["name"], reason: string) => ({ name, ok: false, reason });
  const twin = clusterNode({ address: "10.1.2.7", port: 43_183, instance: "box4", machine: "box4", age: 600 });
  return busyStatus({
    readiness: {
      ready: false,
      checks: [
        failed("stopping", "srv-epmd is stopping"),
        failed("node", "no node is registered, and the port dist is for one"),
        failed("gateway", "the relay process does not answer: connect ENOENT /run/srv-epmd/relay.sock"),
        { name: "consul", ok: true },
        failed("published", "not in Consul's DNS: node_c (Permission denied)"),
        { name: "nomad", ok: true },
        failed("entry", "Nomad's catalogue does not lead to: node_n (no tag)"),
      ],
    },
    nomad: { url: "unix:///secrets/api.sock", answers: true, answeredAt: ago(0) },
    nodes: [
      ...busy.nodes,
      localNode({
        ...{ name: "node_n", port: 20_009, publication: "not-in-nomad", serviceIds: [], code: "NOMAD_NO_TAG" },
        reason: "Nomad's entry of the service svc has the tags web, and not node_n",
        advice: "give the service block the tag node_n",
      }),
    ],
    cluster: {
      outcome: "listed",
      patterns: ["*@svc.service.consul"],
      nodes: [...(busy.cluster.outcome === "listed" ? busy.cluster.nodes : []), twin],
    },
    resolver: [UNKNOWN_DOMAIN],
    followed: [{ catalogue: "consul", service: "svc", state: "behind", instances: 3, brokenSeconds: 75 }],
    lookUps: [
      ...busy.lookUps,
      failedLookUp("unavailable", "no name server answers: 10.0.0.53:53 (timeout)", {
        ...{ at: NOW - 20_000, node: "node_q@other.example", code: "DNS_TIMEOUT", elapsedMs: 4_000 },
      }),
    ],
    relays: undefined,
    ...own,
  });
}

/** A machine with many nodes in a cluster of hundreds, all of which ask. */
export function largeStatus(): Status {
  const long = "a_node_whose_name_somebody_made_of_everything_that_is_known_about_it";
  const name = (index: number) => (index % 17 === 5 ? `${long}_${index}` : `worker_${index}`);
  const outcomes = ["found", "found", "found", "not-found", "found", "unavailable", "unreachable"] as const;
  return busyStatus({
    nodes: Array.from({ length: 60 }, (_, index) => localNode({ name: name(index), port: 30_000 + index })),
    cluster: {
      outcome: "listed",
      patterns: ["*@svc.service.consul"],
      nodes: Array.from({ length: 500 }, (_, index) =>
        clusterNode({
          node: `${name(index)}@svc.service.consul`,
          health: index % 41 === 7 ? "critical" : index % 97 === 3 ? "warning" : "passing",
          address: `10.1.${index >> 6}.${index & 63}`,
          port: 20_000 + index,
          age: index * 937,
          instance: `box${index >> 6}`,
          machine: `box${index >> 6}.eu-west-1.example`,
        }),
      ),
    },
    lookUps: Array.from({ length: 200 }, (_, index) => {
      const here = index % 3 !== 0;
      const own = {
        at: NOW - index * 2_700,
        node: `${name((index * 7) % 40)}@svc.service.consul`,
        here,
        asker: here ? "127.0.0.1" : `10.1.${index % 4}.${index % 5}`,
      };
      const outcome = outcomes[index % outcomes.length] ?? "found";
      return outcome === "found" ? lookUp(own) : failedLookUp(outcome, "no name server answers", own);
    }),
  });
}

/** What names and reasons can be made of, to break out of a page or to deceive who reads it. */
export const HOSTILE = [
  "<script>document.title='owned'</script>",
  "<img src=x onerror=\"document.title='owned'\">",
  "\"><svg onload=document.title='owned'>",
  "' autofocus onfocus='document.title=1' x='",
  "</title></noscript></style></table></main><h1 id=owned>owned</h1>",
  "&lt;b&gt; &amp;",
  "javascript:document.title='owned'",
  "a\r\nb\tc\u0000d\u001b[31me\u007f\u0085",
  "\u202enimda\u2066\u200f\u200b\ufeff\u2028\u00ad",
  "\ud800 half",
  "$\u007b1+1} {{1+1}} `",
];

/** Everything that comes from outside is one of these. */
export function hostileStatus(): Status {
  const texts = (index: number) => HOSTILE[index % HOSTILE.length] ?? "";
  return busyStatus({
    hostName: texts(0),
    domains: HOSTILE,
    nodes: HOSTILE.map((name, index) =>
      localNode({ name, reason: texts(index + 1), address: texts(index + 2), serviceIds: [texts(index + 3)] }),
    ),
    left: [{ name: texts(4), serviceIds: HOSTILE }],
    resolver: HOSTILE.map((domain, index) => {
      return { domain, state: "unknown", servers: HOSTILE, reason: texts(index + 1), advice: texts(index + 2) };
    }),
    cluster: {
      outcome: "listed",
      patterns: HOSTILE,
      nodes: HOSTILE.map((node, index) =>
        clusterNode({ node, address: texts(index + 1), instance: texts(index + 2), machine: texts(index + 3) }),
      ),
    },
    links: HOSTILE.map((name, index) => toldLinks(name, HOSTILE.slice(index), { node: texts(index + 1) })),
    lookUps: HOSTILE.map((node, index) =>
      failedLookUp("unavailable", texts(index + 1), { node, asker: texts(index + 2), here: false, endpoints: HOSTILE }),
    ),
  });
}
