import { cidrContains, familyOf, hostPort, isLoopback } from "../net/ip.js";
import { readHostsFile } from "../os/hosts-file.js";
import { hostAddresses } from "../resolve/asked-ways.js";
import { listed } from "../text.js";
import { type Finding, fail, ok, together } from "./core/finding.js";
import { type Check, type Examination, RESOLVE_TIMEOUT } from "./examination.js";
import { isListening, lookAt, processWords } from "./local-epmd.js";
import { unseenNames } from "./local-vms.js";

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
    const unseen = unseenNames(await examination.localVms());
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
