import { serverAddresses } from "../consul/examine.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { parseServiceDomain, servedDomains } from "../names/domains.js";
import { hostPort, isLoopback } from "../net/ip.js";
import { listed } from "../text.js";
import { isThere, NO_AGENT } from "./consul-reachable.js";
import { fail, ok, skip } from "./core/finding.js";
import { howToAsk, type OtherConsul, otherWords } from "./core/other-consul.js";
import type { Check, Examination } from "./examination.js";
import { thisConsul } from "./this-consul.js";
import { inMeshOr } from "./way.js";

/** For a question to the name servers, and to the HTTP API of their Consul. Milliseconds. */
const TIMEOUT = 2_000;
const HTTP_PORT = 8500;

/** What is registered with the agent is in the DNS of its own servers alone. */
export const consulCluster: Check = {
  id: "consul-cluster",
  title: "the Consul agent and the name servers belong to one Consul, whose servers both know",
  run: async (examination) => {
    const { config, asked } = examination;
    const hosts = [...servedDomains(config), ...(asked ? [asked.host] : [])];
    if (isMeshed(config) || config.dnsListen || !hosts.some((host) => parseServiceDomain(host, config.consulDomain))) {
      return skip(inMeshOr(config, "no name of Consul's is looked up in DNS"));
    }
    if (!(await isThere(examination))) return skip(NO_AGENT);
    const [own, inDns] = [await ofAgent(examination), await ofDns(examination)];
    if (own.length === 0 || inDns.servers.length === 0) {
      return skip("the agent or the name servers do not tell which Consul servers they know");
    }
    if (inDns.servers.some((address) => own.includes(address)))
      return ok(`agent and DNS know ${listed(own)} as servers`);
    const other = await otherConsul(inDns, examination);
    const untold = other.leader === undefined ? [howToAsk(other)] : [];
    return fail(
      "CONSUL_TWO_CLUSTERS",
      [
        "the Consul agent and the name servers belong to two Consul clusters: what is published with one is not in the other's DNS",
        (await thisConsul(examination)) ?? `the agent's servers are ${listed(own)}`,
        otherWords(other),
      ],
      [
        `ask the DNS of the agent's Consul (--dns ${config.consulDomain}=<address of the agent>:8600), or give the agent of the other one (--consul), or join the two (consul join -wan) and name the datacenter in the host part`,
        ...untold,
      ],
    );
  },
};

/** IP literals of the servers that the agent knows; empty where it does not tell. */
async function ofAgent({ connect }: Examination): Promise<string[]> {
  return connect()
    .then(serverAddresses)
    .catch(() => []);
}

interface DnsSide {
  /** IP literals. */
  readonly servers: readonly string[];
  readonly datacenter: string | undefined;
}

/** Consul registers its servers as the service `consul`; a target is `<machine>.node.<datacenter>.<domain>`. */
async function ofDns({ resolving, config }: Examination): Promise<DnsSide> {
  const qname = `consul.service.${config.consulDomain}`;
  const query = () => ({ deadline: performance.now() + TIMEOUT, search: false });
  const [addresses, services] = await Promise.all([
    resolving.dns.query(qname, "A", query()),
    resolving.dns.query(qname, "SRV", query()),
  ]);
  const servers =
    addresses.kind === "records" ? addresses.records.flatMap((one) => ("address" in one ? one.address : [])) : [];
  const targets =
    services.kind === "records" ? services.records.flatMap((one) => ("target" in one ? one.target : [])) : [];
  const ending = `.${config.consulDomain}`;
  const [datacenter] = targets.flatMap((target) => {
    const labels = target.toLowerCase().endsWith(ending) ? target.slice(0, -ending.length).split(".") : [];
    const [before, name] = labels.slice(-2);
    return before === "node" || before === "addr" ? (name ?? []) : [];
  });
  return { servers, datacenter };
}

/** Who is asked for the leader: its servers and, since one setting opens DNS and HTTP of an agent, the name servers. */
async function otherConsul({ servers, datacenter }: DnsSide, { resolving, config }: Examination): Promise<OtherConsul> {
  const named = (await resolving.dns.setFor(config.consulDomain)).servers.map(({ address }) => address);
  // At a loopback address is the agent here, whatever the DNS beside it forwards.
  const remote = named.filter((address) => !isLoopback(address));
  const asked = Array.from(new Set([...servers, ...remote])).slice(0, MOST_ASKED);
  const told = await Promise.all(asked.map(leaderAt));
  const isOfDns = (leader: string | undefined) => servers.some((address) => leader?.startsWith(hostOf(address)));
  return { servers, datacenter, asked, leader: told.find(isOfDns) };
}

/** Before the port. */
const hostOf = (address: string) => hostPort(address, 0).slice(0, -1);

/** Agents that are asked at once. */
const MOST_ASKED = 6;

/** The HTTP API of an agent, where it listens on its address; undefined where it does not answer. */
async function leaderAt(address: string): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT);
    const answer = await fetch(`http://${hostPort(address, HTTP_PORT)}/v1/status/leader`, {
      signal,
      redirect: "error",
    });
    const reader = answer.body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    await reader?.cancel();
    const said: unknown = JSON.parse(
      Buffer.from(value ?? [])
        .toString()
        .slice(0, MOST),
    );
    return typeof said === "string" && said !== "" ? said : undefined;
  } catch {
    return undefined;
  }
}

/** Characters of the answer, an address in quotes. */
const MOST = 100;
