import { ipPort } from "../config/network-values.js";
import { exchange } from "../dns/exchange.js";
import { type Family, LOOPBACK } from "../net/endpoint.js";
import { cidrContains, familyOf, isWildcard } from "../net/ip.js";
import { linesInHosts } from "../os/core/hosts-file.js";
import { HOSTS_FILE, readHostsFile } from "../os/hosts-file.js";
import { hostAddresses } from "../resolve/asked-ways.js";
import { listed } from "../text.js";
import { NOT_NAMED } from "./asked-node.js";
import { type Finding, fail, ofVms, ok, skip, together, warn } from "./core/finding.js";
import { type Check, type Examination, RESOLVE_TIMEOUT } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { unansweredLine } from "./hosts-line.js";
import { type LocalVm, namesOf, stockNames, unseenNames } from "./local-vms.js";

export const peerHosts: Check = {
  id: "peer-hosts",
  title: "/etc/hosts and the host part of the node: no stale line hides the gateway or DNS, and VMs of OTP 23 find one",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    if (asked.host === "localhost" || familyOf(asked.host) !== undefined) return skip(`${asked.host} is not looked up`);
    const text = await readHostsFile();
    const vms = await examination.peersOfAsked();
    const findings = await Promise.all([stale(asked, text, vms, examination), unresolved(asked, text, vms)]);
    return together(findings.flat(), `${HOSTS_FILE} has no line for ${asked.host}, and no VM here needs one`);
  },
};

/** A VM with the module and OTP 23 resolves the host before it asks the module, and dials what the module says. */
async function unresolved(asked: AskedNode, text: string, vms: readonly LocalVm[]): Promise<Finding[]> {
  const old = vms.filter(({ process, probe }) => {
    return process ? process.hasModule && isOtp23(process.otpVersion, probe) : mayBeOtp23(probe);
  });
  if (old.length === 0) return [];
  const addresses = await hostAddresses(asked.host, text, RESOLVE_TIMEOUT);
  return ([4, 6] as const).flatMap((family): Finding[] => {
    const own = old.filter(({ node }) => node.family === family);
    const [seen, unseen] = [namesOf(own.filter((vm) => vm.process)), unseenNames(own)];
    const address = addresses.find((one) => familyOf(one) === family);
    if (address === undefined) {
      return [
        ...(seen.length > 0 ? [unknownHost(seen, family, asked)] : []),
        ...(unseen.length > 0 ? [untoldModule(unseen, family, asked)] : []),
      ];
    }
    return seen.length > 0
      ? [ok(`${listed(seen)} of OTP 23 gets ${address} for ${asked.host}: any address will do`)]
      : [];
  });
}

function unknownHost(names: readonly string[], family: Family, { host, full }: AskedNode): Finding {
  const finding = fail(
    "PEER_HOST_UNKNOWN",
    `${listed(names)} here runs OTP 23, which resolves ${host} itself before it asks the module, and nothing here has an address of IPv${family} for it: it gets pang for ${full}`,
    `put this line into ${HOSTS_FILE}; the address does not matter: ${LOOPBACK[family]} ${host}`,
  );
  return ofVms(names, finding);
}

function untoldModule(names: readonly string[], family: Family, { host, full }: AskedNode): Finding {
  return warn(
    "PEER_HOSTS_UNTOLD",
    `${unread(names)}. With the module and OTP 23 it gets pang for ${full}: nothing here has an address of IPv${family} for ${host}`,
    LOOK_AS,
  );
}

function isOtp23(version: string | undefined, probe: LocalVm["probe"]): boolean {
  return version === undefined ? "release" in probe && mayBeOtp23(probe) : version.startsWith("23");
}

/** Also where the handshake does not tell the release. */
function mayBeOtp23(probe: LocalVm["probe"]): boolean {
  return !("release" in probe) || probe.release === "OTP 23";
}

/** Another user's processes, or /proc mounted with hidepid. */
function unread(names: readonly string[]): string {
  return `it is not known how ${listed(names)} here finds its peers: this user may not read its process`;
}

const LOOK_AS = "run srv-epmd doctor as root, or as the user of the VM";

/** The first line for a family is the one that VMs of that family use. */
async function stale(
  asked: AskedNode,
  text: string,
  vms: readonly LocalVm[],
  examination: Examination,
): Promise<Finding[]> {
  const lines = linesInHosts(text, asked.host);
  const used = ([4, 6] as const).flatMap((family) => lines.find(({ address }) => familyOf(address) === family) ?? []);
  const stock = stockNames(vms);
  const unseen = unseenNames(vms);
  const findings = used.map(async ({ line, address }): Promise<Finding> => {
    const right = await expected(asked, address, examination);
    const where = `${HOSTS_FILE}, line ${line}, has ${address} for ${asked.host}`;
    if (right === undefined) {
      const isUsed = stock.length > 0 || vms.length === 0;
      const silent = isUsed ? await unansweredLine(asked, { line, address }, text, examination) : undefined;
      return silent ? ofVms(stock, silent) : ok(where);
    }
    const evidence = `${where}, and ${right.whose} ${listed(right.addresses)}: unmodified VMs here use the line`;
    const advice = `take line ${line} out of ${HOSTS_FILE}, or put ${right.addresses[0]} into it`;
    if (stock.length > 0) {
      return ofVms(stock, fail("PEER_HOSTS_LINE", `${evidence}, so does ${listed(stock)}`, advice));
    }
    if (unseen.length > 0) return warn("PEER_HOSTS_UNTOLD", [evidence, unread(unseen)], [advice, LOOK_AS]);
    return vms.length > 0 ? ok([evidence, "no VM here is unmodified"]) : warn("PEER_HOSTS_LINE", evidence, advice);
  });
  return Promise.all(findings);
}

interface Expected {
  /** `the gateway has` */
  readonly whose: string;
  readonly addresses: readonly string[];
}

/** What the line should have; undefined where it is right, or nothing else is known. */
async function expected(asked: AskedNode, written: string, examination: Examination): Promise<Expected | undefined> {
  const { config, machine } = examination;
  if (cidrContains(config.gatewayRange, written)) return undefined;
  const family = familyOf(written) ?? 4;
  const gateway = await ofGateway(asked, family, examination);
  if (gateway.length > 0) return { whose: "the gateway has", addresses: gateway };
  const [found, dns] = await Promise.all([examination.resolution(), ofDns(asked, family, examination)]);
  const endpoints = found.outcome === "found" ? found.endpoints.filter((one) => one.family === family) : [];
  const nodes = Array.from(new Set(endpoints.map(({ address }) => address)));
  const isHere = found.outcome === "found" && found.source === "registry";
  if (dns.includes(written) || nodes.includes(written)) return undefined;
  if (isHere && machine.addresses().includes(written)) return undefined;
  if (dns.length > 0) return { whose: "DNS has", addresses: dns };
  return nodes.length > 0 ? { whose: "the node is at", addresses: nodes } : undefined;
}

/** As the gateway's DNS answers; empty where there is none, or it does not know the host. */
async function ofGateway({ host }: AskedNode, family: Family, { daemon }: Examination): Promise<string[]> {
  const at = (await daemon())?.dns?.gateway;
  if (at === undefined) return [];
  const { address, port } = ipPort(undefined)(at);
  const server = { address: isWildcard(address) ? "127.0.0.1" : address, port };
  const { signal } = new AbortController();
  const qtype = family === 6 ? "AAAA" : "A";
  const question = {
    server,
    qname: host,
    qtype,
    transport: "udp",
    edns: true,
    timeout: RESOLVE_TIMEOUT,
    signal,
  } as const;
  const result = await exchange(question);
  return result.kind === "message"
    ? result.message.answers.flatMap((record) => ("address" in record ? record.address : []))
    : [];
}

async function ofDns({ host }: AskedNode, family: Family, { resolving }: Examination): Promise<string[]> {
  const query = { deadline: performance.now() + RESOLVE_TIMEOUT, search: false };
  const result = await resolving.dns.query(host, family === 6 ? "AAAA" : "A", query);
  return result.kind === "records" ? result.records.flatMap((one) => ("address" in one ? one.address : [])) : [];
}
