import { nodeDomain } from "../core/advertised.js";
import type { Config } from "../core/config.js";
import { isLoopback } from "../core/ip.js";
import { expandHost } from "../core/service-domain.js";
import type { Machine } from "../machine.js";

/** Whether a host is ours for an alive name, so that the nodes alive here are the answer: `web@other.service.consul` is not. */
export type OwnHostTest = (aliveName: string, host: string) => boolean;

export function ownHosts(config: Config, machine: Machine): OwnHostTest {
  return (aliveName, host) =>
    machine.names.has(host) ||
    isLoopback(host) ||
    host === nodeDomain(aliveName, config) ||
    (config.nodeHost !== undefined && host === expandHost(config.nodeHost, config.consulDomain, machine.names)) ||
    machine.addresses().includes(host);
}
