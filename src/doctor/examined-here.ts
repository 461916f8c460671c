import type { Config } from "../config/config.js";
import type { IpPort } from "../config/network-values.js";
import type { Cookie } from "../distribution/cookie.js";
import type { Connection } from "../os/core/connections.js";
import { readConnections, readListeners } from "../os/sockets.js";
import { type RunningVm, runningVms } from "../os/vm-process.js";
import { type DaemonReport, daemonStatus, type LocalEpmd, type LocalNode, lookAtEpmd, nodesOf } from "./local-epmd.js";
import { type LocalVm, localVms } from "./local-vms.js";
import { once } from "./once.js";

/** What is found on this machine. Never rejects. */
export interface ExaminedHere {
  readonly epmd: () => Promise<LocalEpmd>;
  /** Status of the srv-epmd that has the EPMD port; undefined where its HTTP side does not answer. */
  readonly daemon: () => Promise<DaemonReport | undefined>;
  /** The nodes registered with it. */
  readonly nodes: () => Promise<readonly LocalNode[]>;
  /** Their VMs, as peers see them; without helpers and nodes that live elsewhere. */
  readonly localVms: () => Promise<readonly LocalVm[]>;
  /** VMs that run on this machine. */
  readonly vms: () => Promise<readonly RunningVm[]>;
  /** Sockets that listen on this machine; undefined where there is no /proc. */
  readonly listeners: () => Promise<readonly IpPort[] | undefined>;
  /** Established connections of this machine, asked for before the checks run; empty where there is no /proc. */
  readonly connections: () => Promise<readonly Connection[]>;
}

/** @param host of the node asked about @param cookie that it is to have, and the VMs here too */
export function examinedHere(config: Config, host: string | undefined, cookie: Cookie | undefined): ExaminedHere {
  const epmd = once(() => lookAtEpmd(config.port));
  const listeners = once(readListeners);
  const nodes = once(async () => nodesOf(await epmd(), await listeners()));
  return {
    ...{ epmd, listeners, nodes, vms: once(runningVms), connections: once(() => readConnections()) },
    daemon: once(async () => {
      const status = await daemonStatus(config);
      return status?.epmd.port === config.port ? status : undefined;
    }),
    localVms: once(async () => localVms(await nodes(), { serverName: host, cookie })),
  };
}
