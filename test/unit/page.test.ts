import { describe, expect, test } from "vitest";
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
  largeStatus,
  localNode,
  lookUp,
  NOW,
  troubledStatus,
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
    expect(addresses.map((address) => address.slice(0, 10))).toEqual(["data:image", "page.css", "page.js"]);
    expect(page().match(/<script.*?<\/script>/gs)).toEqual(['<script src="page.js" type="module"></script>']);
  });

  test("closes what it opens", () => {
    const open: string[] = [];
    for (const { name } of tagsOf(page())) {
      if (/^(meta|link|wbr|path)$/.test(name)) continue;
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
    expect(text).toMatch(/Up for 3d/);
    expect(text).toMatch(/Consul http:\/\/127.0.0.1:8500 answers/);
    expect(text).toContain("14:03:22 UTC");
    expect(page()).toContain("<title>srv-epmd at box1</title>");
  });

  test("why it is not ready", () => {
    const text = textOf(page(troubledStatus()));
    expect(text).toContain("not ready");
    expect(text).toContain("Not ready (2 reasons): Consul : http://127.0.0.1:8500 does not answer: ECONNREFUSED");
    expect(text).toContain("published : node_a and node_c are not in Consul");
    expect(text).toMatch(/8500 does not answer /);
    expect(page(troubledStatus())).toContain("<title>not ready: srv-epmd at box1</title>");
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
    expect(text(known, asked)).toContain("Name servers Consul's agent 127.0.0.1:8600");
    expect(text(known, asked, unknown)).toContain("Name servers do not know 1 domain");
    expect(text(unknown)).toContain(
      "No name server knows (nodes there are not found by DNS): svc.service.consul : 10.0.0.2:53 refuses (REFUSED); Consul's agent has no DNS; give --dns consul=ip[:port]",
    );
    expect(text({ ...unknown, servers: [] })).toContain("svc.service.consul : no name server is asked for it;");
  });

  test("how many services are followed, and whether their catalogue answers", () => {
    const of = (service: string, state: FollowedStatus["state"]): FollowedStatus => {
      return { catalogue: "consul", service, state, instances: 3 };
    };
    expect(textOf(page(busyStatus()))).not.toContain("followed");
    expect(textOf(page(busyStatus({ followed: [of("svc", "current")] })))).toContain("1 service followed current");
    const followed = [of("svc", "current"), of("a", "broken"), of("b", "unknown")];
    expect(textOf(page(busyStatus({ followed })))).toContain("3 services followed 2 not current");
  });
});

describe("nodes alive here", () => {
  test("each with its port, family, age, creation and how it stands in Consul", () => {
    expect(rowsOf(page(), "Nodes alive here")).toEqual([
      ["node_a", "43183", "IPv4", "2h30m", "7", "in Consul", "srv-epmd:box1:node_a"],
      [
        ...["node_c", "40211", "IPv6", "42s", "8"],
        "not in Consul : Consul refused it: 403 Permission denied, token lacks service:write on svc",
        "",
      ],
      ["rabbit", "35672", "IPv4", "2d", "3", "in Consul", "srv-epmd:box1:rabbit , srv-epmd:box1:rabbit:6"],
      ["rem-2f81-console", "38007", "IPv4", "9s", "12", "local : no --publish pattern matches it", ""],
      ["legacy configured", "10.1.2.9:9100", "IPv4", "2d", "0", "in Consul", "srv-epmd:box1:legacy"],
    ]);
    expect(textOf(page())).toContain("5 nodes, 3 in Consul, 1 not in Consul");
  });

  test("marks one whose name another machine publishes too, with where", () => {
    const nodes = [localNode({ elsewhere: ["10.0.0.9:20002 on box2"] })];
    const text = page(busyStatus({ nodes }));
    expect(rowsOf(text, "Nodes alive here")[0]?.[5]).toBe(
      "in Consul ; same name : another node of this name is at 10.0.0.9:20002 on box2",
    );
    expect(text).toContain('class="pill bad">same name<');
  });

  test("says nothing of Consul where nothing is published", () => {
    const { consul } = busyStatus();
    const nodes = [localNode({ publication: "off", serviceIds: [] })];
    const text = textOf(page(busyStatus({ consul: { ...consul, publishes: false }, nodes })));
    expect(text).not.toContain("in Consul");
    expect(text).toMatch(/Nodes alive here 1 node /);
  });

  test("says how a node gets there when there is none", () => {
    expect(textOf(page(emptyStatus()))).toContain("No node is registered with this daemon.");
    expect(textOf(page(emptyStatus()))).toContain("erl -sname a -start_epmd false");
  });

  test("shows what is published without a VM only where there is such", () => {
    expect(rowsOf(page(), "Published without a VM")).toEqual([["node_x", "srv-epmd:box1:node_x"]]);
    expect(headings(page(emptyStatus()))).not.toContain("Published without a VM");
  });
});

describe("the cluster", () => {
  test("each node with health, address, age, instance and where it is registered", () => {
    expect(rowsOf(page(), "Nodes of the cluster").slice(1)).toEqual([
      ["node_b@svc.service.consul", "passing", "10.1.2.4:20002", "2d", "box2", "box2"],
      ["node_d@svc.service.consul", "critical", "10.1.2.5:31544", "5m", "box3", "box3"],
      [
        ...["rabbit@rmq.service.consul", "warning", "[fd00:12::4]:35672", ""],
        ...["_nomad-task-5e8b2f1c-9d0a-4c61-group-rabbit-dist", "box2.eu-west-1"],
      ],
    ]);
    expect(textOf(page())).toMatch(
      /4 nodes of \*@svc.service.consul , \*@rmq.service.consul ?: 1 warning , 1 critical/,
    );
  });

  test.each([
    [{ outcome: "none", reason: "no --domain lies under Consul's domain" }, "not known: no --domain lies"],
    [{ outcome: "unavailable", cause: "ECONNREFUSED" }, "Consul does not list the nodes: ECONNREFUSED"],
    [{ outcome: "listed", patterns: ["*@svc"], nodes: [] }, "Consul has no node of these services"],
  ] as const)("or why there is none: %j", (cluster, words) => {
    expect(textOf(page(busyStatus({ cluster })))).toContain(words);
  });

  test("one node in the words for one", () => {
    const cluster = { outcome: "listed", patterns: ["*@svc"], nodes: [clusterNode()] } as const;
    expect(textOf(page(busyStatus({ cluster })))).toContain("1 node of *@svc");
  });
});

describe("recent look-ups", () => {
  const rows = (text: string) => rowsOf(text, "Recent look-ups");

  test("found: the port, where it leads, and who told", () => {
    expect(rows(page())[0]).toEqual([
      ...["node_b@svc.service.consul", "14:03:10 12s ago", "this machine", "module", "found"],
      ...["srv", "1.8", "20002 10.1.2.4:20002"],
    ]);
    expect(rows(page())[5]?.slice(5)).toEqual([
      "srv stale",
      "1802",
      "20002 10.1.2.5:31544 , [fd00:12::5]:31544 and 2 more",
    ]);
  });

  test("not found: why", () => {
    const reason = "node_z.svc.service.consul has no SRV record (NXDOMAIN from 127.0.0.1:8600)";
    expect(rows(page())[3]?.slice(4)).toEqual(["not found", "", "21.5", reason]);
    expect(rows(page())[6]?.slice(2, 5)).toEqual(["10.1.2.7", "host", "unavailable"]);
  });

  test("those of another day with their date", () => {
    expect(rows(page())[8]?.[1]).toBe("03-13 13:03 1d ago");
  });

  test("at most a hundred", () => {
    expect(rows(page(largeStatus()))).toHaveLength(100);
    expect(textOf(page(largeStatus()))).toContain("the last 100; times are UTC");
  });

  test("or how there will be some", () => {
    expect(textOf(page(emptyStatus()))).toContain("No node has been asked for yet.");
    expect(textOf(page(emptyStatus()))).toContain("srv-epmd resolve NODE --via 127.0.0.1:4369");
  });
});

describe("relays of the gateway", () => {
  test("each with what it carries", () => {
    expect(rowsOf(page(), "Relays of the gateway")).toEqual([
      [
        ...["rabbit@rmq.service.consul", "127.100.220.76:61004", "[fd00:12::4]:35672"],
        ...["2", "30", "1.3 GB", "48.3 MB", "2d"],
      ],
      [
        ...["node_b@svc.service.consul", "127.93.4.18:61005", "10.1.2.4:20002 , [fd00:12::9]:20002 and 1 more"],
        ...["0", "1", "1.2 kB", "382 B", "1m"],
      ],
    ]);
    expect(textOf(page())).toContain(
      "2 open links of 31 since then, 1.3 GB to nodes, 48.3 MB from them, 1 failed dial",
    );
  });

  test("no word of them without a relay process", () => {
    expect(headings(page(emptyStatus()))).not.toContain("Relays of the gateway");
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
    expect(textOf(page(emptyStatus({ lookUps })))).toContain("14:04:22 0s ago");
  });
});
