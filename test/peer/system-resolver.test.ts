import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Child, startChild } from "../support/child.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";

const DNS_PROGRAM = fileURLToPath(new URL("../support/fake-dns-process.ts", import.meta.url));

/** A machine with a resolv.conf of its own, and a name server at 127.0.0.1:53 as that says. */
async function machine(resolvConf: string, zone: Record<string, string[]>): Promise<{ netns: Host; dns: Child }> {
  // With an address of its own: getaddrinfo(3) asks for no family that the machine has on its loopback only.
  const spec = { addresses: ["10.95.0.1/24"], resolvConf: `nameserver 127.0.0.1\n${resolvConf}` };
  const [netns] = (await createHosts([spec])).hosts;
  if (!netns) throw new Error("no host");
  const args = ["--import", "tsx", DNS_PROGRAM, "127.0.0.1", JSON.stringify(zone), "53"];
  const dns = startChild(process.execPath, args, { netns });
  await dns.waitForOutput(/^ready 53/m);
  return { netns, dns };
}

/** Where a stock VM would find a host: the system's resolver (glibc). */
async function getent(netns: Host, host: string): Promise<string | undefined> {
  return (await netns.run("getent", "ahostsv4", host)).stdout.split(" ")[0];
}

async function resolve(netns: Host, node: string, ...flags: string[]): Promise<string> {
  const { stdout, stderr } = await runCli(["resolve", node, "--json", "--family", "4", ...flags], { netns });
  const { outcome, endpoints } = JSON.parse(stdout) as { outcome: string; endpoints?: { address: string }[] };
  return endpoints?.[0]?.address ?? `${outcome}: ${stderr}`;
}

requirePeer("netns")("the search list of resolv.conf", () => {
  const LIST = "search bad.example corp.example\noptions ndots:5\n";
  const ZONE = {
    "*.bad.example": ["SERVFAIL"],
    "*.corp.example": ["10.6.6.6", "10.6.6.6:666"],
    "node_a.svc.service.consul": ["10.0.0.2:20001"],
    "full.example": ["10.0.0.3"],
  };

  test("is searched as glibc does, past a domain for which the name server fails", async () => {
    const { netns } = await machine(LIST, { "*.bad.example": ["SERVFAIL"], "db.prod.corp.example": ["10.0.0.1"] });
    expect(await getent(netns, "db.prod")).toBe("10.0.0.1");
    expect(await resolve(netns, "n1@db.prod", "--fallback", "9100")).toBe("10.0.0.1");
  });

  test("is not for names that are complete, whatever a wildcard under it says", async () => {
    const { netns, dns } = await machine(LIST, ZONE);
    expect(await resolve(netns, "node_a@svc")).toBe("10.0.0.2");
    expect(await resolve(netns, "node_a", "--domain", "svc.service.consul")).toBe("10.0.0.2");
    expect(dns.stdout()).not.toMatch(/query .*(bad|corp)\.example/);
    expect(await getent(netns, "full.example.")).toBe("10.0.0.3");
    expect(await resolve(netns, "n1@full.example.", "--fallback", "9100")).toBe("10.0.0.3");
  });
});

requirePeer("netns", "nft")("a firewall before the name server", () => {
  const ZONE = { "node_a.svc.service.consul": ["10.0.0.2:20001"] };
  const firewall = (netns: Host, rule: string) =>
    netns.run(
      "nft",
      `add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in ${rule}`,
    );

  test.each([
    ["drops datagrams", "udp dport 53 drop"],
    ["rejects datagrams", "udp dport 53 reject"],
  ])("that %s and not connections costs time, and no answer", async (_, rule) => {
    const { netns, dns } = await machine("", ZONE);
    await firewall(netns, rule);
    expect(await resolve(netns, "node_a@svc")).toBe("10.0.0.2");
    expect(dns.stdout()).toContain("query SRV node_a.svc.service.consul over TCP");
  });

  test("that takes connections alone is no matter with use-vc", async () => {
    const { netns } = await machine("options use-vc\n", ZONE);
    await firewall(netns, "udp dport 53 drop");
    expect(await resolve(netns, "node_a@svc", "--timeout", "400ms")).toBe("10.0.0.2");
  });
});

requirePeer("netns", "dig")("a machine whose only name server is the gateway", () => {
  test("has names for the gateway's addresses, and no failure where there is nothing to know", async () => {
    const [netns] = (await createHosts([{ addresses: ["10.95.0.1/24"], resolvConf: "nameserver 127.0.0.1\n" }])).hosts;
    if (!netns) throw new Error("no host");
    const daemon = await startDaemon({ netns, port: 4369, args: ["--gateway", "--domain", "svc.test"] });
    const address = await getent(netns, "n1.svc.test");
    expect(address).toMatch(/^127\./);
    expect((await netns.run("getent", "hosts", address ?? "")).stdout).toMatch(/\sn1\.svc\.test$/m);
    expect((await netns.run("getent", "hosts", `::ffff:${address}`)).stdout).toMatch(/\sn1\.svc\.test$/m);
    const dig = async (...args: string[]) => (await netns.run("dig", "+tries=1", ...args)).stdout;
    expect(await dig("-x", address ?? "")).toMatch(/^;; flags: qr aa rd ra;[\s\S]*\sPTR\s+n1\.svc\.test\.$/m);
    for (const type of ["MX", "TXT", "HTTPS", "SRV"]) {
      expect(await dig("n1.svc.test", type)).toMatch(/status: NOERROR[\s\S]*ANSWER: 0/);
    }
    expect(await dig("-x", address ?? "", "-t", "TXT")).toMatch(/status: NOERROR[\s\S]*ANSWER: 0/);
    expect(await dig("elsewhere.example", "A")).toMatch(/status: SERVFAIL/);
    await daemon.stop();
  });
});
