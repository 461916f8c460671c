import type { Config } from "./config.js";
import { ConfigError } from "./errors.js";
import { familyOf } from "./ip.js";
import type { Command } from "./options.js";

/** Settings that are right alone and wrong together. @throws ConfigError CONFIG_CONFLICT */
export function checkCombinations(config: Config, command: Command): void {
  const complaint = CHECKS.map((check) => check(config, command)).find((message) => message !== undefined);
  if (complaint !== undefined) throw new ConfigError("CONFIG_CONFLICT", complaint);
}

/** What does not stop the start and should be said. */
export function doubtfulSettings(config: Config, command: Command): string[] {
  const doubts: string[] = [];
  if (command === "serve" && config.timeout > VM_PATIENCE) {
    doubts.push(
      `--timeout: a VM gives up after 7 s (net_setuptime), so an answer after ${config.timeout} ms comes too late`,
    );
  }
  return doubts;
}

/** Milliseconds: net_setuptime, less the time that the connection itself takes. */
const VM_PATIENCE = 6500;

type Check = (config: Config, command: Command) => string | undefined;

const CHECKS: readonly Check[] = [
  ({ port }, command) =>
    port === 0 && command !== "serve"
      ? "--port 0 takes any free port, which only serve can do: give the port of the EPMD"
      : undefined,
  ({ consulCert, consulKey }) =>
    (consulCert === undefined) === (consulKey === undefined)
      ? undefined
      : "--consul-cert and --consul-key go together: give both or none",
  ({ dnsListen, domain }) =>
    dnsListen && domain.length === 0
      ? "--dns-listen answers for the nodes under --domain: give --domain too, such as --domain demo.test"
      : undefined,
  unreachedDomain,
  ({ register, service, domain, publishNode }) =>
    register === "consul" && service === undefined && domain.length === 0 && publishNode.every(({ host }) => !host)
      ? "--register consul needs --domain or --service, to know under which service the nodes are published"
      : undefined,
  twoOfOneFamily,
  ({ out, app, stdout }, command) =>
    command === "module" && [out !== undefined, app !== undefined, stdout].filter(Boolean).length !== 1
      ? "module: say where it goes with one of --out, --app and --stdout"
      : undefined,
  ({ publishNode, nomad }) =>
    publishNode.length > 0 && nomad.erlDistPort === undefined
      ? "--publish-node needs ERL_DIST_PORT in the environment, a port from 1 to 65535: where that node listens"
      : undefined,
  ({ publishNode, register, dnsListen }) =>
    publishNode.length > 0 && register === "none" && !dnsListen
      ? "--publish-node has nowhere to publish to: --register is none, and there is no --dns-listen"
      : undefined,
];

/** The first rule that matches wins, so nothing comes after one for every name. */
function unreachedDomain({ domain }: Config): string | undefined {
  const all = domain.findIndex(({ glob }) => /^\*+$/.test(glob.pattern));
  const after = domain[all + 1];
  if (all < 0 || !after) return undefined;
  return `--domain ${after.glob.pattern}=${after.domain} is never reached: ${domain[all]?.domain} before it takes every name; put that last`;
}

/** One instance is published for each family. */
function twoOfOneFamily({ advertiseAddress }: Config): string | undefined {
  const families = advertiseAddress.map((address) => familyOf(address) ?? "host name");
  const twice = families.find((family, index) => families.indexOf(family) !== index);
  if (twice === undefined) return undefined;
  const kind = twice === "host name" ? "two host names" : `two IPv${twice} addresses`;
  return `--advertise-address: ${advertiseAddress.join(", ")} has ${kind}; give one of each family`;
}
