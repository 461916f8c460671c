import { describe, expect, test } from "vitest";
import { findLookUps, lookUpFilter } from "../../src/admin/core/recent-look-ups.js";
import type { Status } from "../../src/admin/core/status.js";
import PAGE_JS from "../../src/admin/page/page.client.js";
import PAGE_CSS from "../../src/admin/page/page.css";
import { renderPage } from "../../src/admin/page.js";
import type { FollowedStatus } from "../../src/catalogue/core/backend.js";
import type { KnownDomain } from "../../src/resolve/core/known-domain.js";
import { rowsOf, tagsOf, textOf } from "../support/markup.js";
import {
  busyStatus,
  clusterNode,
  emptyStatus,
  failedLookUp,
  HOSTILE,
  healthyStatus,
  largeLinkedStatus,
  largeStatus,
  linkedStatus,
  localNode,
  lookUp,
  NOW,
  troubledStatus,
  worstStatus,
} from "../support/status.js";

const page = (status = busyStatus()) => renderPage(status, NOW);
const headings = (text: string) => Array.from(text.matchAll(/<h2[^>]*>(.*?)<\/h2>/g), ([, title]) => title);

describe("the document", () => {
  test("has nothing in it that its security policy forbids, and nothing from elsewhere", () => {
    const tags = tagsOf(page());
    expect(tags.filter(({ name }) => name === "style")).toEqual([]);
    expect(
      tags.flatMap(({ attributes }) => Object.keys(attributes)).filter((key) => /^(style|on.*)$/.test(key)),
    ).toEqual([]);
    const addresses = tags.flatMap(({ attributes: { src, href } }) => [src ?? [], href ?? []].flat());
    const searches = addresses.filter((address) => address.startsWith("?"));
    expect(searches.length).toBeGreaterThan(4);
    expect(addresses.filter((address) => !searches.includes(address)).map((address) => address.slice(0, 10))).toEqual([
      ...["data:image", "page.css", "page.js"],
    ]);
    expect(tags.flatMap(({ attributes }) => attributes.action ?? [])).toEqual(["#look-ups"]);
    expect(page().match(/<script.*?<\/script>/gs)).toEqual(['<script src="page.js" type="module"></script>']);
  });

  test("closes what it opens", () => {
    const open: string[] = [];
    for (const { name } of tagsOf(page())) {
      if (/^(meta|link|wbr|input)$/.test(name)) continue;
      if (name.startsWith("/")) expect(open.pop()).toBe(name.slice(1));
      else open.push(name);
    }
    expect(open).toEqual([]);
  });

  test("has each id once, and each label leads to one", () => {
    const attributes = tagsOf(page()).map((tag) => tag.attributes);
    const ids = attributes.flatMap(({ id }) => id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    for (const label of attributes.flatMap((own) => own["aria-labelledby"] ?? [])) expect(ids).toContain(label);
  });

  test("says the same of the same status", () => {
    expect(page()).toBe(page());
  });

  test("has its style and script as text", () => {
    expect(PAGE_CSS).toMatch(/color-scheme: light dark/);
    expect(PAGE_JS).toMatch(/new EventSource\("v1\/events"\)/);
  });
});

describe("what stands at the top", () => {
  test("who this is, where it answers and since when", () => {
    const text = textOf(page());
    expect(text).toContain("srv-epmd box1 0.1.0");
    expect(text).toContain("port 4369 at 127.0.0.1 , ::1 , 10.1.2.3 ");
    expect(text).toMatch(/Up for 3 d/);
    expect(text).toMatch(/Consul http:\/\/127.0.0.1:8500 answers/);
    expect(text).toContain("14:03:22 UTC");
    expect(page(healthyStatus())).toContain("<title>srv-epmd at box1</title>");
  });

  test("what is wrong, before all else, and what to do", () => {
    const text = textOf(page(worstStatus()));
    expect(text.indexOf("13 problems")).toBeGreaterThan(0);
    expect(text.indexOf("13 problems")).toBeLessThan(text.indexOf("port 4369"));
    expect(text).toContain("error Two nodes are called node_a@svc.service.consul, at 10.1.2.3:43183 on box1");
    expect(text).toMatch(
      /warning node_z@svc.service.consul was asked for lately and not found: .*NXDOMAIN.*\. 40 s ago If it runs,/s,
    );
    expect(text).toContain("not ready, 13 problems");
    expect(page(worstStatus())).toContain("<title>not ready: srv-epmd at box1</title>");
    expect(page(busyStatus())).toContain("<title>5 problems: srv-epmd at box1</title>");
  });

  test("no word of problems where there are none", () => {
    expect(headings(page(healthyStatus()))).not.toContainEqual(expect.stringContaining("problem"));
    expect(page(healthyStatus())).toContain('<span class="pill good">ready</span>');
    expect(page(busyStatus())).toContain('<span class="pill doubtful">ready, 5 problems</span>');
  });

  test("links that are missing are a problem, and no green", () => {
    expect(page(linkedStatus())).toContain('<span class="pill doubtful">ready, 2 problems</span>');
    expect(textOf(page(linkedStatus()))).toMatch(
      /warning 3 links are missing: node_b@svc\.service\.consul is not linked with/,
    );
    // One of the VMs does not answer.
    expect(textOf(page(linkedStatus()))).toMatch(/warning The VM of node_d is asked for its links and does not answer/);
  });

  test("links to nodes that the catalogue told some time ago: one may have ended since", () => {
    const { cluster } = linkedStatus();
    if (cluster.outcome !== "listed") throw new Error("not listed");
    const last = { ...cluster, at: new Date(NOW - 125_000).toISOString() };
    const silent = linkedStatus({ cluster: { outcome: "unavailable", cause: "no", last } });
    const sentence = "Which nodes there are is not known now: one that has ended meanwhile counts too.";
    expect(textOf(page(silent))).toContain(sentence);
    expect(textOf(page(linkedStatus()))).not.toContain("Which nodes there are");
  });

  test("no node is missing of which nothing is known while the agent is silent", () => {
    const text = textOf(page(troubledStatus()));
    expect(text).toContain("not known which nodes are in Consul");
    expect(text).not.toContain("nodes are missing");
    const { consul } = healthyStatus();
    expect(textOf(page(troubledStatus({ consul, cluster: healthyStatus().cluster })))).toContain("nodes are missing");
  });

  test("a problem of a look-up leads to the look-ups of that node", () => {
    expect(page()).toContain('<a href="?q=node_z%40svc.service.consul#look-ups">Its look-ups</a>');
  });

  test("that it publishes nothing", () => {
    const { consul } = busyStatus();
    expect(textOf(page(busyStatus({ consul: { ...consul, publishes: false } })))).toContain("nothing is published");
  });

  test("whether name servers know the domains, and what to do where none does", () => {
    const known: KnownDomain = { domain: "a.service.consul", state: "known", servers: ["10.0.0.2:53 answers"] };
    const asked: KnownDomain = { ...known, domain: "b.service.consul", state: "agent", agent: "127.0.0.1:8600" };
    const unknown: KnownDomain = {
      domain: "svc.service.consul",
      state: "unknown",
      servers: ["10.0.0.2:53 refuses (REFUSED)"],
      reason: "Consul's agent has no DNS",
      advice: "give --dns consul=ip[:port]",
    };
    const text = (...resolver: KnownDomain[]) => textOf(page(busyStatus({ resolver })));
    expect(text()).not.toContain("Name servers");
    expect(text(known)).toContain("Name servers know the domain");
    // Their servers may be the agent, which is dead.
    const silent = textOf(page(troubledStatus({ resolver: [known] })));
    expect(silent).toContain("Name servers knew the domain when asked last");
    expect(silent).not.toContain("know the domain");
    expect(textOf(page(troubledStatus({ resolver: [asked] })))).toContain("8600 , which answered when asked last");
    expect(text(known, asked)).toContain("Name servers Consul's agent 127.0.0.1:8600");
    expect(text(known, asked, unknown)).toContain("Name servers do not know 1 domain");
    expect(text(unknown)).toContain(
      "No name server knows svc.service.consul, so nodes there are not found by DNS: 10.0.0.2:53 refuses (REFUSED); Consul's agent has no DNS. Give --dns consul=ip[:port].",
    );
    expect(text({ ...unknown, servers: [] })).toContain("are not found by DNS: none is asked for it;");
  });

  test("how many services are followed, and whether their catalogue answers", () => {
    const of = (service: string, state: FollowedStatus["state"]): FollowedStatus => {
      return { catalogue: "consul", service, state, instances: 3 };
    };
    expect(textOf(page(busyStatus()))).not.toContain("Followed");
    expect(textOf(page(busyStatus({ followed: [of("svc", "current")] })))).toContain("1 service up to date");
    const followed = [of("svc", "current"), of("a", "broken"), of("b", "unknown")];
    expect(textOf(page(busyStatus({ followed })))).toContain("3 services 2 not up to date");
  });
});

describe("nodes alive here", () => {
  test("each with where it listens, its age and how it stands in Consul", () => {
    expect(rowsOf(page(), "Nodes alive here")).toEqual([
      ["node_a", "port 43183", "2 h 30 m", "in Consul", "srv-epmd:box1:node_a"],
      [
        ...["node_c", "port 40211 IPv6", "42 s"],
        "not in Consul : Consul refused it: 403 Permission denied, token lacks service:write on svc",
        "",
      ],
      ["rabbit", "port 35672", "2 d", "in Consul", "srv-epmd:box1:rabbit , srv-epmd:box1:rabbit:6"],
      ["rem-2f81-console", "port 38007", "9 s", "only here : no --publish pattern matches it", ""],
      ["legacy configured", "10.1.2.9:9100", "2 d", "in Consul", "srv-epmd:box1:legacy"],
    ]);
    expect(textOf(page())).toContain("5 nodes, 3 in Consul, 1 not in Consul");
  });

  test("marks one whose name another machine publishes too, with where", () => {
    const nodes = [localNode({ elsewhere: ["10.0.0.9:20002 on box2"] })];
    const text = page(busyStatus({ nodes }));
    expect(rowsOf(text, "Nodes alive here")[0]?.[3]).toBe(
      "in Consul ; same name : another node of this name is at 10.0.0.9:20002 on box2",
    );
    expect(text).toContain('class="pill bad">same name<');
  });

  test("says nothing of Consul where nothing is published", () => {
    const { consul } = busyStatus();
    const nodes = [localNode({ publication: "off", serviceIds: [] })];
    const text = textOf(page(busyStatus({ consul: { ...consul, publishes: false }, nodes })));
    expect(text).not.toMatch(/\d in Consul/);
    expect(text).toMatch(/Nodes alive here 1 node /);
  });

  test("says how a node gets there when there is none", () => {
    expect(textOf(page(emptyStatus()))).toContain("No node is registered with this srv-epmd.");
    expect(textOf(page(emptyStatus()))).toContain("erl -sname a -start_epmd false");
  });

  test("shows what is published without a VM only where there is such", () => {
    expect(rowsOf(page(), "Published without a VM")).toEqual([["node_x", "srv-epmd:box1:node_x"]]);
    expect(headings(page(emptyStatus()))).not.toContain("Published without a VM");
  });
});

describe("the cluster", () => {
  test("each node with health, address, machine, age and who published it", () => {
    const unreached = clusterNode({ health: "critical", obstacle: { kind: "agent", check: "serfHealth", words: "x" } });
    const cluster = { outcome: "listed", patterns: [], nodes: [unreached] } as const;
    expect(rowsOf(page(busyStatus({ cluster })), "Nodes of the cluster")[0]?.[1]).toBe("critical serfHealth");
    expect(rowsOf(page(), "Nodes of the cluster").slice(1)).toEqual([
      ["node_b@svc.service.consul", "passing", "10.1.2.4:20002", "box2", "2 d", "its srv-epmd"],
      ["node_d@svc.service.consul", "critical", "10.1.2.5:31544", "box3", "5 m", "its srv-epmd"],
      [
        ...["rabbit@rmq.service.consul", "warning", "[fd00:12::4]:35672", "box2.eu-west-1", ""],
        "_nomad-task-5e8b2f1c-9d0a-4c61-group-rabbit-dist",
      ],
    ]);
    expect(textOf(page())).toMatch(
      /4 nodes of \*@svc.service.consul , \*@rmq.service.consul ?: 1 warning , 1 critical/,
    );
  });

  test.each([
    [
      { outcome: "none", reason: "no --domain lies under Consul's domain" },
      /not known here: no --domain lies under Consul's domain\. Give serve --domain svc/,
    ],
    [{ outcome: "unavailable", cause: "ECONNREFUSED" }, /Consul does not list the nodes: ECONNREFUSED\./],
    [{ outcome: "listed", patterns: ["*@svc"], nodes: [] }, /Consul has no node of these services\. A node is listed/],
    [
      { outcome: "listed", patterns: ["*@svc"], nodes: [], missingPolicies: ['node_prefix "" { policy = "read" }'] },
      /not known here\. The token lacks the policy node_prefix/,
    ],
  ] as const)("or why there is none, and what to do: %j", (cluster, words) => {
    expect(textOf(page(busyStatus({ cluster })))).toMatch(words);
  });

  test("one node in the words for one", () => {
    const cluster = { outcome: "listed", patterns: ["*@svc"], nodes: [clusterNode()] } as const;
    expect(textOf(page(busyStatus({ cluster })))).toContain("1 node of *@svc");
  });
});

describe("the picture of the cluster", () => {
  /** `box1 this machine 2 nodes: ...` */
  const machines = (text: string) =>
    Array.from(
      text.matchAll(/<li class="machine.*?<p>(.*?)<\/p>\n(.*?)\n<\/li>\n(?=<li class="machine|<\/ul>\n<figcap)/gs),
      ([, title = "", body = ""]) => [
        textOf(title).trim(),
        ...Array.from(body.matchAll(/<li [^>]*>(.*?)<\/li>/gs), ([, node = ""]) => textOf(node).trim()),
      ],
    );

  test("has machines with their nodes, this one first, and what is known of links", () => {
    expect(machines(page(worstStatus({ relays: busyStatus().relays })))).toEqual([
      [
        "box1 this machine 5 nodes",
        "passing: node_a@svc.service.consul twice",
        "not published: node_c not published",
        "not published: node_n not published",
        "passing: rabbit",
        "only here: rem-2f81-console",
      ],
      ["10.1.2.9 1 node", "passing: legacy registered here"],
      ["box2 1 node", "passing: node_b@svc.service.consul"],
      ["box2.eu-west-1 1 node", "warning: rabbit@rmq.service.consul warning ⇄ 2 links"],
      ["box3 1 node", "critical: node_d@svc.service.consul critical"],
      ["box4 1 node", "passing: node_a@svc.service.consul twice"],
    ]);
  });

  test("says after a start that VMs have not told their links yet, and not that none does", () => {
    const since = (seconds: number) => new Date(NOW - 1000 * seconds).toISOString();
    const text = (seconds: number) => textOf(page(healthyStatus({ links: [], since: since(seconds) })));
    expect(text(8)).toContain("Links between nodes are not known yet: VMs with the module srv_epmd tell theirs");
    expect(text(8)).not.toContain("no VM here does");
    expect(text(90)).toContain("no VM here does");
    // They register again within seconds.
    const none = (seconds: number) => textOf(page(healthyStatus({ links: [], nodes: [], since: since(seconds) })));
    expect(none(1)).toContain("Links between nodes are not known yet");
    expect(none(90)).toContain("tell theirs, and none is registered here");
  });

  test("says why links are not drawn: no VM tells them, or the reader is a stranger", () => {
    expect(textOf(page(healthyStatus({ links: [] })))).toContain(
      "Links between nodes are not drawn: VMs with the module",
    );
    expect(textOf(page(healthyStatus()))).toContain("Links between nodes are shown to local peers alone");
    for (const own of [{}, { links: [] }]) expect(page(healthyStatus(own))).not.toContain("Links of the nodes here");
    expect(textOf(page())).toContain("⇄ is a link that the gateway of this machine carries");
  });

  describe("draws links", () => {
    const LABEL = "Links of the nodes here";
    /** `node_b: 5 of 7 ... | linked, itself, not linked` */
    const matrix = (status: Status) =>
      rowsOf(page(status), LABEL).map(([name, told, ...cells]) => `${name}: ${told} | ${cells.join(", ")}`);

    test("as a table that says in words what its marks say: each node here with each node", () => {
      const rows = matrix(linkedStatus());
      expect(rows[0]).toBe("node_a: 7 of 7 | itself, linked, linked, linked, linked, linked, linked, linked");
      expect(rows[1]).toBe(
        "node_b: 5 of 7, 2 missing | linked, itself, not linked, linked, linked, linked, not linked, linked",
      );
      const ofSilent = "linked, linked, linked, itself, not known, not known, not known, not known";
      expect(rows[3]).toBe(`node_d: does not answer , told 14 s ago | ${ofSilent}`);
      const ofStock = "linked, linked, not linked, not known, itself, not known, not known, not known";
      expect(rows[4]).toBe(`node_e: does not tell | ${ofStock}`);
      const elsewhere = `${"see its row, ".repeat(5)}not known, not known, not known`;
      expect(rows[5]).toBe(`3 elsewhere: not known here: see the page there | ${elsewhere}`);
      expect(rows).toHaveLength(6);
    });

    test("a node counts a name that two VMs have once, as linked or as missing", () => {
      const { cluster } = linkedStatus();
      const nodes = cluster.outcome === "listed" ? cluster.nodes : [];
      const twins = nodes.filter(({ node }) => /^node_[gh]@/.test(node));
      const again = twins.map((one) => ({ ...one, machine: "box9", instance: "box9", address: "10.1.2.9" }));
      const twice = linkedStatus({ cluster: { outcome: "listed", patterns: [], nodes: [...nodes, ...again] } });
      expect(matrix(twice).map((row) => row.split(" | ")[0])).toEqual(
        matrix(linkedStatus()).map((row) => row.split(" | ")[0]?.replace("3 elsewhere", "5 elsewhere")),
      );
      const text = textOf(page(twice));
      expect(text).toContain("3 links missing");
      expect(text).toMatch(/node_b is not linked with node_c ?, node_g node_c is not linked with node_e/);
    });

    test("names each missing one in a sentence, and how many there are beside the title", () => {
      const text = textOf(page(linkedStatus()));
      expect(text).toMatch(/node_b is not linked with node_c ?, node_g node_c is not linked with node_e/);
      expect(text).toContain("8 nodes of *@svc.service.consul , 3 links missing");
    });

    test("says of when they are, what is missing, and with whom else nodes here are linked", () => {
      const text = textOf(page(linkedStatus()));
      expect(text).toContain("Links are as the VMs here told them 2 s ago. One is missing where two nodes");
      expect(text).toContain("also linked with remsh-1@box1.example, not listed above");
    });

    test("of hundreds of nodes in a table that stays small, with what misses most in it", () => {
      const text = page(largeLinkedStatus());
      const rows = rowsOf(text, LABEL);
      expect(rows).toHaveLength(17);
      expect(rows.every(({ length }) => length === 2 + 24)).toBe(true);
      expect(rows.find(([name]) => name?.startsWith("worker_20"))?.[1]).toMatch(/^0 of 500, \d{3} missing$/);
      expect(textOf(text)).toContain("Not drawn: 44 more rows and 477 more columns.");
      expect(textOf(text)).toMatch(/worker_20 is not linked with .* and \d+ more links are missing/);
      const without = page(largeLinkedStatus({ links: [] }));
      expect(text.length - without.length).toBeLessThan(60_000);
    });

    test("of a single node not at all", () => {
      const { links = [] } = linkedStatus();
      const own = {
        nodes: [localNode()],
        links: links.slice(0, 1),
        cluster: { outcome: "none", reason: "no" },
      } as const;
      expect(page(emptyStatus(own))).not.toContain(LABEL);
    });
  });

  test("leaves the host part away that most nodes have", () => {
    expect(textOf(page(healthyStatus()))).toContain("passing: node_b");
    expect(textOf(page(healthyStatus()))).toContain("Names without a host part end in @svc.service.consul.");
    expect(textOf(page())).toContain("passing: node_b@svc.service.consul");
  });

  test("shows 12 nodes of a machine and the others on demand, those that are not well first", () => {
    const nodes = Array.from({ length: 60 }, (_, index) =>
      clusterNode({
        node: `n${String(index).padStart(2, "0")}@svc.service.consul`,
        health: index === 59 ? "critical" : "passing",
        ...{ address: `10.0.0.${index}`, instance: `alloc${index}`, machine: "box9" },
      }),
    );
    const text = page(emptyStatus({ cluster: { outcome: "listed", patterns: ["*@svc.service.consul"], nodes } }));
    const card = text.slice(text.indexOf('data-key="box9"'), text.indexOf("<details>"));
    expect(card.match(/class="pill/g)).toHaveLength(12);
    expect(card).toContain("n59");
    expect(text).toContain("<summary>and 48 more</summary>");
    for (const { node } of nodes) expect(text).toContain(`title="${node} at `);
  });

  test("is not there where there is no node", () => {
    expect(page(emptyStatus())).not.toContain("<figure>");
  });
});

describe("while Consul does not answer", () => {
  test("the page says since when, and shows what Consul said last", () => {
    const text = page(troubledStatus());
    expect(textOf(text)).toContain("http://127.0.0.1:8500 does not answer last answer 12 s ago");
    expect(textOf(text)).toMatch(/5 nodes, 1 in Consul, 4 not known ?, as of 12 s ago/);
    expect(textOf(text)).toMatch(/Cluster 4 nodes of .*, as of 12 s ago/);
    expect(rowsOf(text, "Nodes of the cluster")).toHaveLength(4);
    // Why is told once, at the top.
    expect(rowsOf(text, "Nodes alive here").map((row) => row[3])).toEqual([
      ...["not known", "not known", "in Consul", "not known", "not known"],
    ]);
    // An age belongs to the moment of the list: 9,000 s then are 9,012 s now.
    expect(rowsOf(text, "Nodes of the cluster")[2]?.[4]).toBe("5 m");
  });

  test("nothing of it is green", () => {
    const green = (status: Status) =>
      Array.from(page(status).matchAll(/<span class="pill good">(.*?)<\/span>/gs), ([, word]) => word);
    const own = { lookUps: [], relays: undefined };
    const troubled = troubledStatus(own);
    expect(green(troubled)).toEqual([]);
    expect(green(busyStatus(own)).length).toBeGreaterThan(6);
    // Also where only the list of the cluster has failed, and the publication has not noticed yet.
    const { consul, cluster } = troubled;
    const ready = [
      { name: "consul", ok: true },
      { name: "published", ok: true },
    ] as const;
    const early = busyStatus({ ...own, consul, cluster, readiness: { ready: true, checks: ready } });
    expect(green(early)).toEqual([]);
  });

  test("of Nomad it says the same", () => {
    const trouble = { code: "NOMAD_SILENT", reason: "Nomad does not tell what its catalogue has: ECONNREFUSED" };
    const nomad = {
      url: "http://127.0.0.1:4646",
      answers: false,
      answeredAt: new Date(NOW - 75_000).toISOString(),
      trouble,
    };
    const nodes = [localNode({ publication: "in-nomad", serviceIds: [] })];
    const consul = { ...busyStatus().consul, publishes: false };
    const text = page(emptyStatus({ nomad, consul, nodes }));
    expect(textOf(text)).toContain("http://127.0.0.1:4646 does not answer last answer 1 m ago");
    expect(textOf(text)).toContain("1 node, 1 in Nomad, as of 1 m ago");
    expect(text).not.toContain('class="pill good"');
  });

  test("an agent that has never answered is told so", () => {
    const { answeredAt: _, ...consul } = troubledStatus().consul;
    const text = textOf(page(troubledStatus({ consul, cluster: { outcome: "unavailable", cause: "no" } })));
    expect(text).toContain("does not answer no answer yet");
  });
});

describe("recent look-ups", () => {
  const rows = (text: string) => rowsOf(text, "Recent look-ups");
  const searched = (query: string, status = busyStatus()) =>
    renderPage(status, NOW, findLookUps(status.lookUps, lookUpFilter(new URLSearchParams(query))));

  test("found: where the node is, once, and who told", () => {
    expect(rows(page())[0]).toEqual([
      ...["node_b@svc.service.consul", "14:03:10 12 s ago", "this machine module", "found"],
      ...["10.1.2.4:20002", "DNS", "1.8"],
    ]);
    expect(rows(page())[5]?.slice(4)).toEqual([
      "port 20002 10.1.2.5:31544 , [fd00:12::5]:31544 and 2 more",
      "DNS old",
      "1802",
    ]);
    expect(rows(page())[1]?.[4]).toBe("relay 61004 10.1.2.4:20002");
    expect(rows(page())[2]?.slice(4, 6)).toEqual(["10.1.2.3:43183", "alive here"]);
  });

  test("the port of a node here, which has no address in its answer", () => {
    const lookUps = [lookUp({ endpoints: [], source: "registry", port: 20_003 })];
    expect(rows(page(busyStatus({ lookUps })))[0]?.[4]).toBe("port 20003");
  });

  test("by whose catalogue it is known", () => {
    const of = (node: string) => lookUp({ node, source: "catalogue" });
    const lookUps = [of("a@svc.service.consul"), of("a@svc.service.nomad"), of("a@svc.prod.service.nomad")];
    expect(rows(page(busyStatus({ lookUps }))).map((row) => row[5])).toEqual(["Consul", "Nomad", "Nomad"]);
  });

  test("not found: why", () => {
    const reason = "node_z.svc.service.consul has no SRV record (NXDOMAIN from 127.0.0.1:8600)";
    expect(rows(page())[3]?.slice(3)).toEqual(["not found", reason, "", "21.5"]);
    expect(rows(page())[6]?.slice(2, 4)).toEqual(["10.1.2.7 host", "unavailable"]);
  });

  test("those of another day with their date", () => {
    expect(rows(page())[8]?.[1]).toBe("03-13 13:03 1 d ago");
  });

  test("at most a hundred", () => {
    expect(rows(page(largeStatus()))).toHaveLength(100);
    expect(textOf(page(largeStatus()))).toContain("the last 100 of 200 look-ups; times are UTC");
  });

  test("those that a search leaves, with what was searched for and how many there are of each kind", () => {
    const text = searched("q=node_d&show=failed");
    expect(rows(text).map(([node]) => node)).toEqual(["node_d@svc.service.consul"]);
    expect(textOf(text)).toContain("1 of 17 look-ups; times are UTC");
    expect(textOf(text)).toContain("all 2 without an answer 1 found 1 old answers 1");
    expect(text).toContain('name="q" value="node_d"');
    expect(text).toContain('<input type="hidden" name="show" value="failed">');
    expect(text).toContain('<a href="?q=node_d&amp;show=failed#look-ups" aria-current="true">without an answer');
    expect(text).toContain('<a href="?q=node_d#look-ups">all');
  });

  test("or that none is like that", () => {
    const text = textOf(searched("q=no+such+node"));
    expect(text).toContain("0 of 17 look-ups");
    expect(text).toContain("No look-up of the last 17 is like that.");
  });

  test("what is searched for makes no markup", () => {
    for (const hostile of HOSTILE) {
      const text = searched(new URLSearchParams({ q: hostile }).toString());
      expect(tagsOf(text).map(({ name }) => name)).toEqual(tagsOf(searched("q=no+such+node")).map(({ name }) => name));
    }
  });

  test("or how there will be some", () => {
    expect(textOf(page(emptyStatus()))).toContain("No node has been asked for yet.");
    expect(textOf(page(emptyStatus()))).toContain("srv-epmd resolve NODE --via 127.0.0.1:4369");
  });
});

describe("relays of the gateway", () => {
  test("each with what it carries", () => {
    expect(rowsOf(page(), "Relays")).toEqual([
      [
        ...["rabbit@rmq.service.consul", "127.100.220.76:61004", "[fd00:12::4]:35672"],
        ...["2", "30", "1.3 GB", "48.3 MB", "2 d"],
      ],
      [
        ...["node_b@svc.service.consul", "127.93.4.18:61005", "10.1.2.4:20002 , [fd00:12::9]:20002 and 1 more"],
        ...["0", "1", "1.2 kB", "382 B", "1 m"],
      ],
    ]);
    expect(textOf(page())).toContain(
      "2 open links of 31 since then, 1.3 GB to nodes, 48.3 MB from them, 1 failed dial",
    );
  });

  test("no word of them without a relay process", () => {
    expect(headings(page(emptyStatus()))).not.toContain("Relays");
  });

  test("none yet", () => {
    const { relays } = busyStatus();
    const text = textOf(page(busyStatus({ relays: relays && { ...relays, relays: [] } })));
    expect(text).toContain("No relay is open.");
  });
});

describe("times that are none", () => {
  test.each(["", "yesterday", "+999999-01-01T00:00:00Z"])("do not end the page: %j", (since) => {
    const status = emptyStatus({ since, nodes: [localNode({ since })], lookUps: [lookUp({ at: Number.NaN })] });
    expect(rowsOf(page(status), "Nodes alive here")).toHaveLength(1);
    expect(textOf(page(status))).not.toContain("NaN");
  });

  test("of a clock that was set back are now", () => {
    const lookUps = [failedLookUp("refused", "no", { at: NOW + 60_000 })];
    expect(textOf(page(emptyStatus({ lookUps })))).toContain("14:04:22 0 s ago");
  });
});
