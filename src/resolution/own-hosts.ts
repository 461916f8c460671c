import { isLeftOut, nodeDomain } from "../core/advertised.js";
import type { Config } from "../core/config.js";
import { isLoopback } from "../core/ip.js";
import { expandHost, parseServiceDomain } from "../core/service-domain.js";
import type { Machine } from "../machine.js";

/** Whether a host is ours for an alive name, so that the nodes alive here are the answer: `web@other.service.consul` is not. */
export type OwnHostTest = (aliveName: string, host: string) => boolean;

export function ownHosts(config: Config, machine: Machine): OwnHostTest {
  const { consulDomain } = config;
  const nodeHost = config.nodeHost === undefined ? undefined : expandHost(config.nodeHost, consulDomain, machine.names);
  const isShared = nodeHost !== undefined && parseServiceDomain(nodeHost, consulDomain) !== undefined;
  /** Of this machine alone. */
  const isMachine = (host: string) =>
    machine.names.has(host) ||
    isLoopback(host) ||
    machine.addresses().includes(host) ||
    (host === nodeHost && !isShared);
  return (aliveName, host) =>
    isMachine(host) || ((host === nodeDomain(aliveName, config) || host === nodeHost) && !isLeftOut(aliveName, config));
}
