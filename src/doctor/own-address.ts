import { cidrContains, familyOf, hostPort, isLoopback } from "../net/ip.js";
import { readHostsFile } from "../os/hosts-file.js";
import { runningVms } from "../os/vm-process.js";
import { hostAddresses } from "../resolve/asked-ways.js";
import type { Check } from "./check.js";
import { type Finding, fail, ok, together } from "./core/finding.js";
import type { Examination } from "./examination.js";
import { lookAt, processWords } from "./local-epmd.js";

const RESOLVE_TIMEOUT = 2_000;
/** A machine may have VMs of many names; each costs a look-up and a connection. */
const MOST_HOSTS = 8;

export const ownAddress: Check = {
  id: "own-address",
  title: "stock VMs that are named after this machine find its EPMD where they ask for each other",
  run: async (examination) => {
    const { config } = examination;
    const vms = (await runningVms()).filter(({ asksResolver, epmdPort }) => asksResolver && epmdPort === config.port);
    const hosts = new Map(
      vms.flatMap(({ aliveName, host }) => (host === undefined ? [] : [[host, aliveName] as const])),
    );
    const findings = await Promise.all(
      Array.from(hosts)
        .slice(0, MOST_HOSTS)
        .map(([host, aliveName]) => findEpmd(host, aliveName, examination)),
    );
    return together(findings.flat(), "no stock VM here has a name with a host part that is this machine");
  },
};

/** A stock VM takes the first address of a family. Of a gateway's addresses peer-ways tells. */
async function findEpmd(host: string, aliveName: string, { config, machine }: Examination): Promise<Finding[]> {
  const own = machine.addresses();
  const all = await hostAddresses(host, await readHostsFile(), RESOLVE_TIMEOUT);
  const address = all.find((one) => familyOf(one) === 4) ?? all[0];
  if (address === undefined || cidrContains(config.gatewayRange, address)) return [];
  if (!isLoopback(address) && !own.includes(address)) return [];
  const at = hostPort(address, config.port);
  const node = `${aliveName}@${host}`;
  const { kind, process } = await lookAt(address, config.port);
  if (kind === "srv-epmd") return [ok(`who asks for ${node} here asks srv-epmd at ${at}`)];
  const where = host === address ? at : `${at}, where ${host} is`;
  if (kind === "nothing" || kind === "no-address") {
    return [
      fail(
        `nothing listens on ${where}: VMs, consoles and erl_call here ask there for ${node}, and get pang`,
        `start srv-epmd without --listen and ERL_EPMD_ADDRESS, so that it listens on the addresses of this machine, or with --listen ${address} too`,
      ),
    ];
  }
  return [
    fail(
      `no srv-epmd answers on ${where}${processWords(process)}: VMs, consoles and erl_call here ask there for ${node}`,
      "end what has the port there: srv-epmd takes it within seconds",
    ),
  ];
}
