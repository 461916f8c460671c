import { addressesOfHostName } from "../epmd/listen-addresses.js";
import { nodeHost } from "../names/domains.js";
import { cidrContains, familyOf, isLoopback } from "../net/ip.js";
import { readHostsFile } from "../os/hosts-file.js";
import { isBroker } from "../os/vm-process.js";
import { hostAddresses } from "../resolve/asked-ways.js";
import { listed } from "../text.js";
import { ok, skip, warn } from "./core/finding.js";
import { type Check, RESOLVE_TIMEOUT } from "./examination.js";

/**
 * Streams replicate outside the Erlang distribution: the leader dials a port of 6000-6500 at the IPv4 addresses that the
 * follower's own host name has on the follower, then at that name, then at the host part of its node name (osiris_replica.erl).
 */
export const rabbitmqStreams: Check = {
  id: "rabbitmq-streams",
  title: "RabbitMQ streams: other brokers can dial this machine at the address that its own host name has here",
  run: async ({ nodes, machine, config }) => {
    const here = (await nodes()).filter(({ address }) => address === undefined);
    const brokers = (await Promise.all(here.map(async (node) => ((await isBroker(node.port)) ? [node] : [])))).flat();
    const [broker] = brokers;
    if (!broker) return skip("there is no RabbitMQ broker here that this user may see");
    // inet:gethostname/0 gives the first label.
    const own = machine.hostName.replace(/\..*$/s, "");
    const four = (await addressesOfHostName(own)).filter((address) => familyOf(address) === 4);
    const isReached = (address: string) => !isLoopback(address) && !cidrContains(config.gatewayRange, address);
    const reached = four.filter(isReached);
    if (reached.length > 0) return ok(`${own} is ${listed(reached)} here, where stream leaders dial this broker`);
    const host = nodeHost(broker.aliveName, config);
    const hosts = await readHostsFile();
    const named = host === undefined ? [] : await hostAddresses(host, hosts, RESOLVE_TIMEOUT);
    if (four.length > 0 && named.some(isReached)) {
      return ok(
        `${own} is ${listed(four)} here, and ${host} is ${listed(named)}, where stream leaders dial this broker`,
      );
    }
    const evidence =
      four.length === 0
        ? `${own}, the name of this machine, has no IPv4 address here: streams get no replica on ${broker.aliveName}`
        : `${own}, the name of this machine, is ${listed(four)} here: a stream leader that dials it reaches its own machine, so streams get no replica on ${broker.aliveName}`;
    const address = machine.addresses().find((one) => familyOf(one) === 4 && isReached(one)) ?? "10.0.0.1";
    return warn(
      "STREAMS_HOST",
      evidence,
      `if you use streams: give ${own} an address that the other brokers reach, such as ${address} ${own} in /etc/hosts, open TCP 6000-6500 between the brokers, and with TLS put ${own} into the certificate`,
    );
  },
};
