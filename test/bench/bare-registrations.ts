import { Agent, request } from "node:http";
import type { Consul } from "../support/consul-agent.js";
import { whenInDns, whenRemoved } from "./daemons.js";
import { cpuMs } from "./measure.js";

const SERVICE = "bare";
const AT_ONCE = 64;

export interface BareRegistrations {
  /** Until all are in Consul's DNS, milliseconds. */
  readonly inDns: number;
  /** From then, until all are removed. */
  readonly gone: number;
  /** CPU time of Consul until all are in DNS. */
  readonly cpu: number;
}

/** The limit of Consul itself: one call for each node, with a check that passes from the beginning, and one that removes it. */
export async function registerBare(consul: Consul, count: number): Promise<BareRegistrations> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const put = (path: string, body?: object) =>
    new Promise<void>((resolve, reject) => {
      const sent = request(`${consul.url}/v1/agent/service/${path}`, { method: "PUT", agent }, (response) => {
        response.resume();
        response.on("end", () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`${path}: ${response.statusCode}`));
        });
      });
      sent.on("error", reject);
      sent.end(body && JSON.stringify(body));
    });
  const ids = Array.from({ length: count }, (_, index) => `bare-${index}`);
  const [begun, spent] = [performance.now(), cpuMs(consul.child().pid)];
  const registered = ids.map((id, index) => {
    const check = { TTL: "60s", Status: "passing" };
    return put("register", { ID: id, Name: SERVICE, Tags: [`n${index}`], Port: 20_000 + index, Check: check });
  });
  const [there] = await Promise.all([whenInDns(consul, count, SERVICE), ...registered]);
  const cpu = cpuMs(consul.child().pid) - spent;
  const [gone] = await Promise.all([whenRemoved(consul, SERVICE), ...ids.map((id) => put(`deregister/${id}`))]);
  agent.destroy();
  return { inDns: there - begun, gone: gone - there, cpu };
}
