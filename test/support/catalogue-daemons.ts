import { afterAll, afterEach, beforeAll } from "vitest";
import { fullName } from "./cluster.js";
import { type Consul, startConsul } from "./consul-agent.js";
import { type ErlangNode, type NodeOptions, startNode } from "./erlang.js";
import { moduleFolder } from "./module-folder.js";
import { type Daemon, startDaemon } from "./srv-epmd.js";

export interface CatalogueDaemons {
  /** A daemon with an HTTP side, as on a machine of its own. @param port of its EPMD; 0: any */
  readonly serve: (instance: string, port?: number, ...args: readonly string[]) => Promise<Daemon>;
  readonly stockVm: (name: string, daemon: Daemon, options?: Partial<NodeOptions>) => Promise<ErlangNode>;
  /** A VM with the module. */
  readonly vm: (name: string, daemon: Daemon, options?: Partial<NodeOptions>) => Promise<ErlangNode>;
  /** What is to be stopped after the test. */
  readonly begun: <T extends { readonly stop: () => Promise<unknown> }>(one: T) => T;
}

/** Address of a daemon's HTTP side. */
export const adminOf = (daemon: Daemon) => String(daemon.log().find(({ msg }) => msg === "ready")?.admin);

/** Daemons on one machine that publish into one Consul, with their VMs, for the tests of a suite; they end after each test. */
export function useCatalogueDaemons(): CatalogueDaemons {
  let consul: Consul;
  const running: { readonly stop: () => Promise<unknown> }[] = [];
  const begun: CatalogueDaemons["begun"] = (one) => {
    running.unshift(one);
    return one;
  };
  beforeAll(async () => {
    consul = await startConsul();
  });
  afterEach(async () => {
    for (const one of running.splice(0)) await one.stop();
  });
  afterAll(() => consul?.stop());

  const stockVm: CatalogueDaemons["stockVm"] = async (name, daemon, options = {}) =>
    begun(await startNode({ ...options, name: fullName(name), epmdPort: daemon.port }));
  return {
    begun,
    stockVm,
    vm: async (name, daemon, options = {}) => {
      const module = ["-pa", await moduleFolder(options.otp), "-epmd_module", "srv_epmd"];
      return stockVm(name, daemon, { ...options, args: [...module, ...(options.args ?? [])] });
    },
    serve: async (instance, port = 0, ...args) =>
      begun(
        await startDaemon({
          port,
          args: [
            ...["--domain", "svc", "--consul", consul.url, "--dns", `127.0.0.1:${consul.dnsPort}`, "--ttl", "3s"],
            ...["--instance", instance, "--admin", "127.0.0.1:0", ...args],
          ],
        }),
      ),
  };
}
