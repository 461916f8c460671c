import { machineAddress } from "../consul/examine.js";
import { names } from "../epmd/client.js";
import { hostPartOf } from "../names/node-name.js";
import { familyOf } from "../net/ip.js";
import { type HostsLine, linesInHosts } from "../os/core/hosts-file.js";
import { HOSTS_FILE } from "../os/hosts-file.js";
import { listed } from "../text.js";
import { type Finding, fail, warn } from "./core/finding.js";
import type { Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { askEpmd } from "./host-way.js";
import { probePlace } from "./probe-place.js";

/** Of another machine. Milliseconds. */
const ASK_TIMEOUT = 1_000;
/** VMs of another machine that are asked for their names. */
const MOST_ASKED = 4;

/** A line whose address has no EPMD that knows the node: where another address of the host has one, the line is wrong. */
export async function unansweredLine(
  asked: AskedNode,
  { line, address }: HostsLine,
  text: string,
  examination: Examination,
): Promise<Finding | undefined> {
  const { config } = examination;
  const { aliveName } = asked.name;
  const epmd = (await examination.hostWay())?.find((one) => one.address === address);
  if (epmd?.reason === undefined) return undefined;
  const where = `${HOSTS_FILE}, line ${line}, has ${address} for ${asked.host}, where stock VMs ask the EPMD, which gives no port of ${aliveName}: ${epmd.reason}`;
  const others = await otherAddresses(asked, address, text, examination);
  for (const other of others) {
    const said = await askEpmd(other.address, aliveName, config.port);
    if (!("port" in said)) continue;
    return fail(
      "PEER_HOSTS_LINE",
      [where, `the EPMD at ${other.address}, which ${other.whose} has, gives port ${said.port} of it`],
      `put ${other.address} into line ${line} of ${HOSTS_FILE}`,
    );
  }
  const strangers = await hostsOfVmsAt(address, config.port);
  const isAnother = strangers.length > 0 && !strangers.includes(asked.host);
  // Else nothing speaks against the line: peer-records names it.
  if (others.length === 0 && !isAnother) return undefined;
  return warn(
    "PEER_HOSTS_LINE",
    [
      where,
      ...(isAnother ? [`the VMs there are named after ${listed(strangers)}, and not after ${asked.host}`] : []),
      ...others.map((other) => `${other.whose} has ${other.address}`),
    ],
    `see whether ${address} is still an address of the machine ${asked.host} (there: hostname -I); if not, correct line ${line} of ${HOSTS_FILE} here`,
  );
}

interface OtherAddress {
  /** What has it: `line 7`, `Consul's node box1` */
  readonly whose: string;
  readonly address: string;
}

/** Of later lines, and of the machine of that name in Consul. */
async function otherAddresses(
  { host }: AskedNode,
  written: string,
  text: string,
  { connect }: Examination,
): Promise<OtherAddress[]> {
  const lines = linesInHosts(text, host).map(({ line, address }) => ({ whose: `line ${line}`, address }));
  const [machine = ""] = host.split(".");
  const inConsul = await connect()
    .then((client) => machineAddress(client, machine))
    .catch(() => undefined);
  const ofMachine = inConsul === undefined ? [] : [{ whose: `Consul's node ${machine}`, address: inConsul }];
  return [...lines, ...ofMachine].filter(
    ({ address }) => address !== written && familyOf(address) === familyOf(written),
  );
}

/** Host parts of the VMs that the EPMD at an address has, of a few of them. Never rejects. */
async function hostsOfVmsAt(address: string, port: number): Promise<string[]> {
  const told = await names({ address, port }, { timeout: ASK_TIMEOUT }).catch(() => ({ names: [] }));
  const found = await Promise.all(
    told.names.slice(0, MOST_ASKED).map(async (one) => {
      const isAsked = (name: string) => name.startsWith(`${one.name}@`);
      const seen = await probePlace({ address, port: one.port }, { isAsked, timeout: ASK_TIMEOUT });
      return seen.result === "node" ? [hostPartOf(seen.name)] : [];
    }),
  );
  return Array.from(new Set(found.flat()));
}
