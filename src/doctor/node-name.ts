import type { Config } from "../config/config.js";
import type { Probe } from "../distribution/core/words.js";
import { nameProblem } from "../dns/wire/record.js";
import { portPlease } from "../epmd/client.js";
import { EpmdError } from "../errors.js";
import { isInMesh } from "../mesh/core/upstreams.js";
import { nodeHost, parseServiceDomain } from "../names/domains.js";
import { hostPartOf, isHelperName } from "../names/node-name.js";
import { canonicalIp, cidrContains, familyOf, isLoopback } from "../net/ip.js";
import { readHostsFile } from "../os/hosts-file.js";
import { advertised, reach } from "../publish/core/advertised.js";
import { publicationOf, publishesToConsul } from "../publish/core/publication.js";
import { hostAddresses } from "../resolve/asked-ways.js";
import { type Finding, fail, ok, together, warn } from "./core/finding.js";
import { type AskedThere, judgeHost, nameDiffers, type OwnPlace } from "./core/node-host.js";
import { type Check, type Examination, RESOLVE_TIMEOUT } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { type LocalNode, nameIn } from "./local-epmd.js";
import { usesNomad } from "./nomad-use.js";
import { probePlace } from "./probe-place.js";

const PROBE_TIMEOUT = 3_000;

export const nodeName: Check = {
  id: "node-name",
  title: "names of the nodes here and of the node asked for: legal, possible in DNS, the same as the VM's own",
  run: async (examination) => {
    const { asked, nodes } = examination;
    const here = await nodes();
    const local = await Promise.all(here.map((node) => localName(node, here, examination)));
    return together(
      [...(asked ? [askedName(asked)] : []), ...local.flat()],
      "no node is registered here, and no node was named",
    );
  },
};

/** net_kernel:valid_name_head/1; and RFC 1035 for what stands in DNS as a label. */
function askedName({ name: { aliveName }, operand, full, host }: AskedNode): Finding {
  if (!/^[0-9A-Za-z_-]+$/.test(aliveName)) {
    return fail(
      "NAME_ILLEGAL",
      `no VM can be called ${full}`,
      "the part before the @ is made of letters, digits, _ and -",
    );
  }
  const problem = familyOf(host) === undefined ? nameProblem(`${aliveName}.${host}`) : undefined;
  if (problem !== undefined)
    return fail("NAME_NOT_IN_DNS", `${full} is not possible in DNS: ${problem}`, "give the VM a shorter name");
  const written = operand.replace(/^[^@]*@?/, "").replace(/\/[46]$/, "");
  if (written !== written.toLowerCase()) {
    return warn(
      "NAME_CAPITALS",
      `the host part of ${operand} has capitals`,
      "DNS ignores case, a VM does not: it refuses a peer whose own name differs in one letter. Write the name as that VM has it",
    );
  }
  return ok(`${full} is a legal name`);
}

async function localName(node: LocalNode, here: readonly LocalNode[], examination: Examination): Promise<Finding[]> {
  const { config, machine } = examination;
  const { aliveName, port, address } = node;
  if (isHelperName(aliveName, nameIn(here))) return [];
  const known = nodeHost(aliveName, config);
  const published = known === undefined ? undefined : `${aliveName}@${known}`;
  if (publishesToConsul(config)) {
    const identity = { hostName: machine.hostName, port: config.port, owner: "" };
    const publication = publicationOf(node, config, identity, nameIn(here));
    if (publication.outcome === "skip") {
      return [
        warn(
          "NODE_LEFT_OUT",
          `${aliveName} is not published: ${publication.reason}`,
          "if others should find it, give a --domain (or --publish) that matches its name",
          aliveName,
        ),
      ];
    }
    // A port that peers cannot reach is examined by port-mapping.
    if (publication.outcome === "refuse" && reach(node, config).outcome === "reachable") {
      return [
        fail(
          "NODE_REFUSED",
          `${aliveName} cannot be published: ${publication.reason}`,
          "give the VM another name: -name or RELEASE_NODE",
          aliveName,
        ),
      ];
    }
  }
  const { probe, isStock } = await seen(node, examination);
  if (probe.result !== "node" && probe.result !== "other-node") return [];
  const itsHost = hostPartOf(probe.name);
  if (probe.name === published) return [ok(`the VM of ${aliveName} calls itself ${probe.name}`)];
  if (!probe.name.startsWith(`${aliveName}@`)) {
    return [
      fail(
        "NODE_OTHER_ON_PORT",
        `${aliveName} has registered port ${port}, and ${probe.name} listens there`,
        "one of the two VMs has ended or moved: restart both",
        aliveName,
      ),
    ];
  }
  const publishedAt = publishedAddresses(node, config);
  const named = {
    ...{ aliveName, host: itsHost, publishedName: published, publishedAt, isStock },
    isPublished: isForOthers(examination),
    leadsHere: isStock && (await leadsHere(itsHost, examination)),
    askedThere: await lookThere(itsHost, { aliveName, probe, publishedAt }, examination),
  };
  // The addresses here do not describe a node that lives elsewhere.
  const byHost = address === undefined ? judgeHost(named, placeOf(examination)) : undefined;
  if (byHost) return [byHost];
  if (published === undefined) {
    if (!parseServiceDomain(itsHost, config.consulDomain))
      return [ok(`the VM of ${aliveName} calls itself ${probe.name}`)];
    return [
      warn(
        "HOST_WITHOUT_DOMAIN",
        `the VM of ${aliveName} calls itself ${probe.name}, and without --domain it is not published`,
        [`give serve and doctor --domain ${itsHost}`, "nothing is to be done where all its peers are on this machine"],
        aliveName,
      ),
    ];
  }
  const isPublished = publishesToConsul(config)
    ? "by these options it is published as"
    : "by these options its name is";
  const option = parseServiceDomain(itsHost, config.consulDomain)
    ? `--domain ${itsHost}, under which it is then published`
    : `--node-host ${itsHost}`;
  return [nameDiffers(named, isPublished, option)];
}

/** In Consul, in Nomad, or in a zone that other machines can ask. */
function isForOthers({ config }: Examination): boolean {
  const { dnsListen } = config;
  return (
    publishesToConsul(config) || usesNomad({ config }) || (dnsListen !== undefined && !isLoopback(dnsListen.address))
  );
}

interface Lookout {
  readonly aliveName: string;
  /** Of its VM, here. */
  readonly probe: Extract<Probe, { readonly name: string }>;
  readonly publishedAt: readonly string[];
}

/** Asks as a stock VM does that dials the host part, where that is an address which is not of this machine. */
async function lookThere(
  host: string,
  { aliveName, probe, publishedAt }: Lookout,
  { config, machine }: Examination,
): Promise<AskedThere | undefined> {
  const address = canonicalIp(host);
  if (address === undefined || isLoopback(address)) return undefined;
  if (machine.addresses().includes(address) || publishedAt.includes(address)) return undefined;
  try {
    // For the page of a srv-epmd there it is no look-up of a VM.
    const asking = { timeout: PROBE_TIMEOUT, forwarded: true };
    const answer = await portPlease({ address, port: config.port }, aliveName, asking);
    if (!answer) return "another";
    const isAsked = (name: string) => name === probe.name;
    const seen = await probePlace(
      { address, port: answer.port },
      { isAsked, serverName: host, timeout: PROBE_TIMEOUT },
    );
    if (seen.result === "silent" || seen.result === "unreachable") return "silent";
    if (seen.result !== "node" && seen.result !== "other-node") return "refused";
    return seen.result === "node" && seen.creation === probe.creation ? "itself" : "another";
  } catch (error) {
    // A router that maps the address to this machine for others may answer its own network in any way.
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    const isSilent = error instanceof EpmdError && error.code === "EPMD_TIMEOUT";
    return isSilent || ["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"].includes(code ?? "") ? "silent" : "refused";
  }
}

/** As a stock VM here resolves it. */
async function leadsHere(host: string, { config, machine }: Examination): Promise<boolean> {
  if (familyOf(host) !== undefined || parseServiceDomain(host, config.consulDomain)) return false;
  const [address] = await hostAddresses(host, await readHostsFile(), RESOLVE_TIMEOUT);
  if (address === undefined || cidrContains(config.gatewayRange, address)) return false;
  return isLoopback(address) || machine.addresses().includes(address);
}

/** Who listens where the node has registered, and whether its VM has no module. */
async function seen(node: LocalNode, { localVms, config }: Examination) {
  const { aliveName, port, address } = node;
  if (address === undefined) {
    const vm = (await localVms()).find((one) => one.node === node);
    return { probe: vm?.probe ?? UNSEEN, isStock: vm?.process?.asksResolver === true };
  }
  const serverName = nodeHost(aliveName, config);
  const isAsked = (name: string) => name.startsWith(`${aliveName}@`);
  return {
    probe: await probePlace({ address, port }, { isAsked, serverName, timeout: PROBE_TIMEOUT }),
    isStock: false,
  };
}

const UNSEEN: Probe = { result: "unreachable", code: "unseen", elapsedMs: 0 };

/** Empty: the agent's address. */
function publishedAddresses(node: LocalNode, config: Config): string[] {
  if (!publishesToConsul(config)) return [];
  const { addresses = [] } = advertised(node, config) ?? {};
  return addresses.filter((address) => familyOf(address) !== undefined);
}

function placeOf({ config, machine, isBridged }: Examination): OwnPlace {
  return {
    ...{ names: machine.names, addresses: machine.addresses(), served: config.listen },
    ...{ isGateway: config.gateway, isBridged, isMeshed: isInMesh(config) },
  };
}
