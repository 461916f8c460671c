import { describe, expect, test } from "vitest";
import { readNomadEnvironment } from "../../src/config/nomad.js";
import { type Finding, ok } from "../../src/doctor/core/finding.js";
import { hungUp } from "../../src/doctor/core/hung-up.js";
import { judgeHost, type NamedNode, nameDiffers, type OwnPlace } from "../../src/doctor/core/node-host.js";
import { placeFacts, placeWords } from "../../src/doctor/core/nomad-place.js";
import { otherOptions, type Way, wayOf } from "../../src/doctor/core/other-options.js";

const adviceOf = (finding: Finding) => ("advice" in finding ? finding.advice : []);
const SHORT_NAME = { aliveName: "n1", host: "box7", publishedName: "n1@chat.service.consul" };

test("a VM with a short name is told to start with -name: published as it is, no long name would reach it", () => {
  const stock = judgeHost(
    { ...SHORT_NAME, publishedAt: [], isPublished: true, isStock: true },
    {
      ...{ names: new Set(["box7"]), addresses: [], served: ["192.0.2.7"] },
      ...{ isGateway: false, isBridged: false, isMeshed: false },
    },
  );
  const differs = nameDiffers(SHORT_NAME, "it is published as", "--node-host box7");
  for (const finding of [stock, differs]) {
    const [first = ""] = finding ? adviceOf(finding) : [];
    expect(first).toMatch(/^start (it|the VM) with -name n1@chat\.service\.consul.*in place of -sname/);
    expect(finding && adviceOf(finding).join()).not.toContain("--node-host");
  }
  const long = nameDiffers({ ...SHORT_NAME, host: "box7.lab" }, "it is published as", "--node-host box7.lab");
  expect(adviceOf(long)).toEqual([
    "start the VM with -name n1@chat.service.consul (RELEASE_NODE), or give serve --node-host box7.lab",
  ]);
});

describe("a connection that a sidecar proxy accepts and ends without a word", () => {
  const link = { source: "shop-web", destination: "shop-db" };
  const seen = (...isAllowed: readonly (boolean | undefined)[]) =>
    hungUp(
      "127.0.0.1:19001, the upstream shop-db (0.4 ms)",
      "shop-db",
      isAllowed.map((each, index) => ({
        ...link,
        source: index === 0 ? link.source : `${link.source}${index}`,
        isAllowed: each,
      })),
    );

  test("is explained by intentions first where Consul cannot be asked, with the command for the client", () => {
    const finding = seen(undefined);
    expect([finding.result, finding.evidence]).toEqual([
      "fail",
      [
        "127.0.0.1:19001, the upstream shop-db (0.4 ms): the sidecar proxy here accepts the connection, and ends it without a word",
      ],
    ]);
    const [first, second, ...others] = adviceOf(finding);
    expect(first).toMatch(
      /^probably an intention denies it: ask on the client, .*consul intention check shop-web shop-db$/,
    );
    expect(second).toMatch(/Denied: consul intention create -allow shop-web shop-db$/);
    expect(others).toEqual([
      expect.stringMatching(/Allowed, .*the proxy of shop-db runs .*connect-proxy-shop-db/),
      expect.stringMatching(/Allowed, .*a VM listens behind it/),
    ]);
  });

  test("is that of an intention where Consul says so", () => {
    const finding = seen(true, false);
    expect(finding.evidence[1]).toBe("an intention, or the default, does not let shop-web1 connect to shop-db");
    expect(adviceOf(finding)[0]).toBe("allow it: consul intention create -allow shop-web1 shop-db");
  });

  test("is none of intentions where Consul allows it", () => {
    const finding = seen(true);
    expect(finding.evidence[1]).toBe("intentions allow it");
    expect(adviceOf(finding)[0]).toMatch(/^see that the proxy of shop-db runs/);
    expect(adviceOf(finding).join()).not.toContain("intention check");
  });

  test("has a question also where the service here is not known", () => {
    expect(adviceOf(hungUp("p", "shop-db", []))[0]).toMatch(/intention check <service of the nodes here> shop-db$/);
  });
});

describe("the host part of a VM's own name", () => {
  const node: NamedNode = {
    ...{ aliveName: "n1", host: "192.0.2.7", publishedName: "n1@chat.service.consul" },
    ...{ publishedAt: ["192.0.2.7"], isPublished: true, isStock: true },
  };
  const place: OwnPlace = {
    ...{ names: new Set(["localhost", "box7"]), addresses: ["127.0.0.1", "192.0.2.7", "2001:db8::7"] },
    ...{ served: ["192.0.2.7"], isGateway: false, isBridged: false, isMeshed: false },
  };
  const judge = (over: Partial<NamedNode>, here: Partial<OwnPlace> = {}) =>
    judgeHost({ ...node, ...over }, { ...place, ...here });

  test("an address of this machine is right, and that at which the node is published", () => {
    const own = ok([
      "the VM of n1 calls itself n1@192.0.2.7, an address of this machine: peers that dial that name find it",
    ]);
    expect(judge({})).toEqual(own);
    // At the agent's address, which is not known; not published at all; a wildcard.
    expect(judge({ publishedAt: [] })).toEqual(own);
    expect(judge({ publishedName: undefined, publishedAt: [] }, { served: ["0.0.0.0"] })).toEqual(own);
    expect(judge({ host: "2001:db8:0::7", publishedAt: ["192.0.2.7", "2001:db8::7"] })?.result).toBe("ok");
    const mapped = judge({ host: "198.51.100.3", publishedAt: ["198.51.100.3"] }, { isBridged: true });
    expect(mapped).toMatchObject({ result: "ok", evidence: [expect.stringContaining("VMs with the module find it")] });
  });

  test("where strangers are not served there, it says what stock VMs elsewhere need", () => {
    expect(judge({}, { served: ["198.51.100.1"] })).toMatchObject({
      result: "ok",
      evidence: [expect.any(String), expect.stringMatching(/stock VMs on other machines.*--listen 192\.0\.2\.7$/)],
    });
  });

  test("an own address at which the node is not published is found by stock VMs alone", () => {
    const finding = judge({ publishedAt: ["203.0.113.9"] });
    expect(finding?.result).toBe("warn");
    expect(finding?.evidence[0]).toContain(
      "at 203.0.113.9: stock VMs that reach 192.0.2.7 find it by that name, VMs with the module on other machines do not",
    );
    expect(judge({ publishedAt: ["203.0.113.9"] }, { served: [] })?.result).toBe("fail");
    expect(finding && adviceOf(finding)[0]).toMatch(/--advertise-address 192\.0\.2\.7\), or .*-name n1@203\.0\.113\.9/);
  });

  test.each(["localhost", "127.0.0.1", "127.1.2.3", "::1"])("%s leads each machine to itself", (host) => {
    expect(judge({ host })).toMatchObject({
      result: "fail",
      advice: [expect.stringContaining("-name n1@chat.service.consul"), expect.stringContaining("--publish")],
    });
    const alone = judge({ host, isPublished: false });
    expect(alone).toMatchObject({ result: "warn", advice: [expect.stringContaining("-name"), expect.any(String)] });
    expect(alone?.evidence[0]).toMatch(/: it works where all its peers are on this machine$/);
  });

  test("an address of the allocation's bridge is reached from no other client", () => {
    const finding = judge({ host: "172.26.70.4" }, { isBridged: true, addresses: ["172.26.70.4"] });
    expect(finding?.result).toBe("fail");
    expect(finding?.evidence[0]).toContain("the allocation's own address in its client's bridge network");
  });

  test("an address that leads elsewhere is another machine's, unless it is mapped to this place", () => {
    const host = "192.0.2.99";
    const evidence = [
      expect.stringContaining("has no address 192.0.2.99, nor is it published there (it is at 192.0.2.7)"),
    ];
    const rename = expect.stringContaining("-name n1@chat.service.consul or n1@192.0.2.7");
    expect(judge({ host, askedThere: "another" })).toMatchObject({ result: "fail", evidence, advice: [rename] });
    expect(judge({ host, askedThere: "itself" })).toMatchObject({ result: "warn", evidence });
  });

  test("an address that refuses this machine, or is silent, may be one that is mapped to it for others", () => {
    const host = "192.0.2.99";
    for (const [askedThere, words] of [
      ["refused", "which refuses this machine"],
      ["silent", "which does not answer this machine"],
    ] as const) {
      const finding = judge({ host, askedThere });
      expect(finding).toMatchObject({ result: "warn" });
      expect(finding?.evidence[0]).toContain(`peers that dial that name ask at 192.0.2.99, ${words}`);
      expect(finding?.evidence[1]).toMatch(/router .* keeps its own network from it/);
      expect(finding && adviceOf(finding)[0]).toMatch(
        /^run srv-epmd names 192\.0\.2\.99 outside of this network: .* n1, .*-name n1@chat\.service\.consul or n1@192\.0\.2\.7/,
      );
    }
  });

  test("a name of this machine is for stock VMs in the host's network that srv-epmd serves, and for no others", () => {
    const told = [expect.any(String), expect.stringMatching(/n1@chat\.service\.consul.* pang: short and long names/)];
    expect(judge({ host: "Box7" })).toMatchObject({ result: "warn", evidence: told });
    expect(judge({ host: "Box7" }, { served: [] })).toMatchObject({ result: "fail", evidence: told });
    expect(judge({ host: "Box7" }, { served: ["127.0.0.1"] })?.result).toBe("fail");
    expect(judge({ host: "box7.example", leadsHere: true })?.evidence[1]).toMatch(/whoever dials that gets pang$/);
    // Nobody is told another name.
    expect(judge({ host: "box7", isPublished: false })?.result).toBe("ok");
    expect(judge({ host: "box7", isStock: false })).toBeUndefined();
    expect(judge({ host: "box7" }, { isBridged: true })).toBeUndefined();
    expect(judge({ host: "box7" }, { isGateway: true })).toBeUndefined();
    expect(judge({ host: "box8" })).toBeUndefined();
  });

  test("in a mesh no address leads to a node", () => {
    expect(judge({}, { isMeshed: true })).toBeUndefined();
  });
});

describe("the place of a task of Nomad", () => {
  const ENV = {
    ...{ NOMAD_ALLOC_ID: "9f3c1e77-0000-1111-2222-333344445555", NOMAD_ALLOC_NAME: "chat.web[2]" },
    ...{ NOMAD_TASK_NAME: "epmd", NOMAD_GROUP_NAME: "web", NOMAD_JOB_ID: "chat/eu", NOMAD_JOB_NAME: "chat" },
    ...{ NOMAD_NAMESPACE: "prod", NOMAD_DC: "ams1", NOMAD_REGION: "eu", NOMAD_SECRETS_DIR: "/secrets" },
    ...{ NOMAD_PORT_erl_dist: "7001", NOMAD_HOST_PORT_erl_dist: "27001", "NOMAD_HOST_IP_erl-dist": "192.0.2.7" },
    ...{ "NOMAD_ALLOC_IP_erl-dist": "172.26.70.4", NOMAD_TOKEN: "a.secret.jwt" },
    ...{ NOMAD_PORT_connect_proxy_x: "1", "NOMAD_HOST_IP_connect-proxy-x": "192.0.2.7" },
  };
  const placeOf = (env: Record<string, string>) => {
    const { task, ports } = readNomadEnvironment(env);
    if (!task) throw new Error("no task");
    return { task, ports, hostName: "m7", api: { path: "/secrets/api.sock", isThere: true, hasToken: task.hasToken } };
  };

  test("is told in words: job, client, ports, and whether Nomad's API can be asked", () => {
    expect(placeWords(placeOf(ENV))).toEqual([
      "task epmd of allocation 9f3c1e77 (chat.web[2]) of the job chat/eu (chat) in the namespace prod",
      "on the client 192.0.2.7 (host name m7, datacenter ams1, region eu), in its bridge network as 172.26.70.4",
      "ports: erl-dist 7001 here is 192.0.2.7:27001 to others",
      "Nomad's API for tasks is at /secrets/api.sock, and the task has a token for it",
    ]);
  });

  test("is told with what an older Nomad says", () => {
    const { NOMAD_ALLOC_ID, NOMAD_JOB_NAME } = ENV;
    expect(placeWords(placeOf({ NOMAD_ALLOC_ID, NOMAD_JOB_NAME }))).toEqual([
      "allocation 9f3c1e77 of the job chat",
      "on the client m7",
      "ports: none for tasks",
      expect.stringContaining("no token for it (identity { env = true file = true })"),
    ]);
  });

  test("is told to programs by name, without the token", () => {
    const facts = placeFacts(placeOf(ENV));
    expect(facts).toEqual({
      ...{ job: { id: "chat/eu", name: "chat" }, namespace: "prod", group: "web", task: "epmd" },
      allocation: { id: ENV.NOMAD_ALLOC_ID, name: "chat.web[2]" },
      client: { address: "192.0.2.7", hostName: "m7", datacenter: "ams1", region: "eu" },
      network: "bridge",
      ports: [{ label: "erl-dist", port: 7001, hostPort: 27001, hostAddress: "192.0.2.7" }],
      taskApi: { socket: true, token: true },
    });
    expect(JSON.stringify(facts)).not.toContain("secret.jwt");
  });
});

describe("the options of the daemon here and those of doctor", () => {
  const daemon: Way = {
    mesh: true,
    publishes: false,
    gateway: false,
    embedded: false,
    domains: ["chat.service.consul"],
  };

  test("have no difference where they are the same", () => {
    expect(otherOptions(daemon, daemon)).toEqual([]);
  });

  test("differ as the arguments do that nomad alloc exec does not pass on", () => {
    const own: Way = { mesh: false, publishes: true, gateway: true, embedded: true, domains: ["other.service.consul"] };
    expect(otherOptions(daemon, own).map(({ variable }) => variable)).toEqual([
      ...["SRV_EPMD_MESH=true", "SRV_EPMD_DOMAIN=chat.service.consul", "SRV_EPMD_REGISTER=none"],
      ...["SRV_EPMD_GATEWAY=false", "SRV_EPMD_DNS_LISTEN="],
    ]);
    expect(otherOptions(own, daemon).map(({ evidence }) => evidence)).toEqual([
      "it is not in a mesh",
      "it has --domain other.service.consul",
      "it publishes nodes in Consul",
      "it is a gateway (--gateway)",
      "it has an embedded DNS (--dns-listen)",
    ]);
  });

  test("are not compared where an older daemon does not tell them", () => {
    expect(otherOptions(wayOf({}), daemon)).toEqual([]);
    expect(wayOf({ mesh: false, domains: [], dns: { embedded: undefined, gateway: "127.0.0.1:53" } })).toEqual({
      ...{ mesh: false, publishes: undefined, gateway: true, embedded: false, domains: [] },
    });
  });
});
