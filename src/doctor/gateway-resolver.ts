import { gatewayDomains } from "../gateway/core/addresses.js";
import { cidrContains } from "../net/ip.js";
import { addressesInHosts, hostsEntriesIn } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { hostAddresses } from "../resolve/asked-ways.js";
import { listed } from "../text.js";
import { fail, ok, skip, warn } from "./core/finding.js";
import { type Check, RESOLVE_TIMEOUT } from "./examination.js";
import { stockNames } from "./local-vms.js";
import { NO_GATEWAY } from "./way.js";

export const gatewayResolver: Check = {
  id: "gateway-resolver",
  title: "the gateway: this machine's resolver gives its addresses for the hosts of its domains",
  run: async ({ config, localVms }) => {
    if (!config.gateway) return NO_GATEWAY;
    const hosts = gatewayDomains(config);
    if (hosts.length === 0) return skip("the gateway has no domain: --domain or --gateway-domain");
    const text = await readHostsFile();
    const written = hostsEntriesIn(text, config.gatewayRange);
    if (written.length > 0)
      return ok(`/etc/hosts has addresses of the gateway: ${listed(written.map(({ host }) => host))}`);
    const answers = await Promise.all(
      hosts.map(async (host) => ({
        ...{ host, isWritten: addressesInHosts(text, host).length > 0 },
        addresses: await hostAddresses(host, text, RESOLVE_TIMEOUT),
      })),
    );
    const isOfGateway = ({ addresses }: (typeof answers)[number]) =>
      addresses.some((address) => cidrContains(config.gatewayRange, address.replace(/^::ffff:/, "")));
    const others = answers.filter((answer) => !isOfGateway(answer));
    if (others.length === 0) return ok(`the resolver here gives addresses of the gateway for ${listed(hosts)}`);
    const evidence = others.map(({ host, addresses, isWritten }) => {
      const given = addresses.length === 0 ? "no address" : listed(addresses);
      return `${isWritten ? "/etc/hosts" : "the resolver here"} gives ${given} for ${host}, and none of the gateway`;
    });
    const advice = others.some(({ isWritten }) => isWritten) ? [UNWRITE, USE_IT] : USE_IT;
    const vms = await localVms();
    const stock = stockNames(vms);
    if (stock.length > 0)
      return fail("GATEWAY_UNUSED", [...evidence, `${listed(stock)} here, without the module, asks it`], advice);
    if (vms.length > 0 && vms.every(({ process }) => process))
      return ok([...evidence, "no VM here asks it: each has the module or an inetrc file"]);
    return warn("GATEWAY_UNUSED", [...evidence, "unmodified VMs here would not use the gateway"], advice);
  },
};

const UNWRITE = "take the lines of these hosts out of /etc/hosts: they come before name servers";
const USE_IT =
  "make it this machine's name server (nameserver 127.0.0.1 in resolv.conf), or put the lines of srv-epmd hosts into /etc/hosts";
