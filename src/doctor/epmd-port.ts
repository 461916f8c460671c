import type { Config } from "../config/config.js";
import { nodesWords, takeOver } from "../epmd/stock-epmd.js";
import { EPMD_PORT } from "../net/endpoint.js";
import { cidrContains, familyOf, hostPort, isLoopback } from "../net/ip.js";
import { readHostsFile } from "../os/hosts-file.js";
import { hostAddresses } from "../resolve/asked-ways.js";
import { listed } from "../text.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import { type Check, type Examination, RESOLVE_TIMEOUT } from "./examination.js";
import { daemonStatus, type Holder, isListening, lookAt, lookAtEpmd, MOST_NODES, processWords } from "./local-epmd.js";

const START = "start srv-epmd serve here, in the network namespace of the VM, and let VMs wait for it (srv-epmd wait)";

export const epmdPort: Check = {
  id: "epmd-port",
  title: "what listens on the EPMD port: srv-epmd, a stock epmd, nothing, another program",
  run: async ({ epmd, config }) => {
    const { holder, port } = await epmd();
    const finding = holderFinding(holder, port);
    // Doctor has found the port by itself; a VM has to be given it.
    if (finding.result === "ok" && config.told.has("port") && holder.names.length === 0) {
      return warn(
        "EPMD_UNUSUAL_PORT",
        [...finding.evidence, `nothing listens on port ${EPMD_PORT}, where a VM asks that has no ERL_EPMD_PORT`],
        `every VM here needs ERL_EPMD_PORT=${port}, unless srv-epmd serve has --port ${EPMD_PORT}`,
      );
    }
    if (holder.kind !== "nothing") return finding;
    const other = await otherPort(port, config);
    if (other === undefined) return finding;
    return fail(
      "EPMD_OTHER_PORT",
      `nothing listens on ${holder.at}, while srv-epmd answers on port ${other}`,
      `srv-epmd, every VM here and doctor need the same port: ERL_EPMD_PORT=${other} for VMs and doctor, or srv-epmd serve --port ${port}`,
    );
  },
};

/** The port of a srv-epmd on this machine that listens elsewhere. */
async function otherPort(port: number, config: Config): Promise<number | undefined> {
  const status = await daemonStatus(config);
  if (status && status.epmd.port !== port) return status.epmd.port;
  if (port === EPMD_PORT) return undefined;
  const usual = await lookAtEpmd(EPMD_PORT);
  return usual.holder.kind === "srv-epmd" ? EPMD_PORT : undefined;
}

function holderFinding({ at, kind, names, process }: Holder, port: number): Finding {
  const by = processWords(process);
  const nodes = names.length === 0 ? "no nodes" : `the nodes ${listed(names.map(({ name }) => name))}`;
  const limit = names.length > MOST_NODES ? [`the checks below look at ${MOST_NODES} of them`] : [];
  switch (kind) {
    case "srv-epmd":
      return ok([`srv-epmd answers on ${at}, with ${nodes}`, ...limit]);
    case "stock":
      return fail(
        "EPMD_STOCK",
        `a stock epmd answers on ${at}${by}, with ${nodesWords(names)}`,
        takeOver({ names, port, process }),
      );
    case "nothing":
    case "no-address":
      return fail("EPMD_NOTHING", `nothing listens on ${at}`, [
        `${START}`,
        `for another port give --port to srv-epmd, and ERL_EPMD_PORT to the VMs`,
      ]);
    case "silent":
    case "other": {
      const what = kind === "silent" ? "accepts connections and does not answer" : "is not an EPMD";
      return fail(
        "EPMD_NOT_EPMD",
        `what listens on ${at} ${what}${by}`,
        "stop it, or use another port: --port for srv-epmd, and ERL_EPMD_PORT for every VM",
      );
    }
    default:
      return kind satisfies never;
  }
}

export const loopbacks: Check = {
  id: "loopbacks",
  title: "both loopbacks, 127.0.0.1 and ::1, lead to one EPMD: VMs with -proto_dist inet6_tcp register over ::1",
  run: async ({ epmd }) => {
    const { holders } = await epmd();
    return compare(...holders);
  },
};

function compare(four: Holder, six: Holder): Finding {
  if (!isListening(four) && !isListening(six)) return skip("nothing listens on either loopback");
  if (six.kind === "no-address") return ok(`${four.at} answers, and this machine has no ::1`);
  if (isListening(four) && isListening(six)) {
    // The same process, or the same kind where processes cannot be seen. (Names may have changed between the two requests.)
    const isSame = four.process?.pid === six.process?.pid && (four.process !== undefined || four.kind === six.kind);
    if (isSame) return ok(`${four.at} and ${six.at} lead to the same EPMD`);
    return fail(
      "LOOPBACKS_DIFFER",
      `${four.at} is ${KINDS[four.kind]}${processWords(four.process)}, and ${six.at} is ${KINDS[six.kind]}${processWords(six.process)}`,
      "stop the one that is not srv-epmd, and restart srv-epmd: VMs register over 127.0.0.1, with -proto_dist inet6_tcp over ::1",
    );
  }
  const missing = isListening(four) ? six : four;
  const who =
    missing === six ? "VMs with -proto_dist inet6_tcp cannot" : "VMs cannot, unless they have -proto_dist inet6_tcp,";
  return warn(
    "LOOPBACK_UNSERVED",
    `nothing listens on ${missing.at}`,
    `${who} register here: restart srv-epmd, which listens on both addresses`,
  );
}

const KINDS: Record<Holder["kind"], string> = {
  "srv-epmd": "srv-epmd",
  stock: "a stock epmd",
  nothing: "nothing",
  "no-address": "nothing",
  silent: "a program that does not answer",
  other: "not an EPMD",
};

/** Hosts that are looked at; each costs a look-up and a connection. */
const MOST_HOSTS = 8;

export const ownAddress: Check = {
  id: "own-address",
  title: "stock VMs named after this machine find its EPMD at the address that they ask",
  run: async (examination) => {
    const { config } = examination;
    const vms = (await examination.vms()).filter(
      ({ asksResolver, epmdPort }) => asksResolver && epmdPort === config.port,
    );
    const hosts = new Map(
      vms.flatMap(({ aliveName, host }) => (host === undefined ? [] : [[host, aliveName] as const])),
    );
    const hostsText = hosts.size > 0 ? await readHostsFile() : "";
    const findings = await Promise.all(
      Array.from(hosts)
        .slice(0, MOST_HOSTS)
        .map(([host, aliveName]) => findEpmd(host, aliveName, hostsText, examination)),
    );
    const unseen = (await examination.localVms()).filter(({ process }) => !process).map(({ node }) => node.aliveName);
    const none =
      unseen.length > 0
        ? `this user may not read the process of ${listed(unseen)}, so it is not known where VMs here ask: run doctor as root`
        : "no stock VM here has a host part that is this machine";
    return together(findings.flat(), none);
  },
};

/** A stock VM takes the first address of its family. Addresses of the gateway are examined by peer-ways. */
async function findEpmd(
  host: string,
  aliveName: string,
  hostsText: string,
  { config, machine }: Examination,
): Promise<Finding[]> {
  const own = machine.addresses();
  const all = await hostAddresses(host, hostsText, RESOLVE_TIMEOUT);
  const address = all.find((one) => familyOf(one) === 4) ?? all[0];
  if (address === undefined || cidrContains(config.gatewayRange, address)) return [];
  if (!isLoopback(address) && !own.includes(address)) return [];
  const at = hostPort(address, config.port);
  const node = `${aliveName}@${host}`;
  const holder = await lookAt(address, config.port);
  if (holder.kind === "srv-epmd") return [ok(`VMs here ask srv-epmd at ${at} for ${node}`)];
  const where = host === address ? at : `${at}, where ${host} is`;
  if (!isListening(holder)) {
    return [
      fail(
        "OWN_ADDRESS_UNSERVED",
        `nothing listens on ${where}: VMs, consoles and erl_call here ask there for ${node}, and get pang`,
        `start srv-epmd without --listen and ERL_EPMD_ADDRESS, so that it listens on the addresses of this machine, or with --listen ${address} too`,
      ),
    ];
  }
  return [
    fail(
      "OWN_ADDRESS_TAKEN",
      `no srv-epmd answers on ${where}${processWords(holder.process)}: VMs, consoles and erl_call here ask there for ${node}`,
      "stop the program that has the port there: srv-epmd takes it within seconds",
    ),
  ];
}
