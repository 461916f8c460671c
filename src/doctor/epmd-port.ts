import type { Config } from "../config/config.js";
import { nodesWords, takeOver } from "../epmd/stock-epmd.js";
import { EPMD_PORT } from "../net/endpoint.js";
import { listed } from "../text.js";
import { type Finding, fail, ok, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { daemonStatus, type Holder, lookAtEpmd, MOST_NODES, processWords } from "./local-epmd.js";

const START = "start srv-epmd serve here, in the network namespace of the VM, and let VMs wait for it (srv-epmd wait)";

export const epmdPort: Check = {
  id: "epmd-port",
  title: "what listens on the EPMD port: srv-epmd, a stock epmd, nothing, another program",
  run: async ({ epmd, config }) => {
    const { holder, port } = await epmd();
    const finding = holderFinding(holder, port);
    // Doctor has found the port by itself; a VM has to be given it.
    if (finding.result === "ok" && config.told.has("port") && holder.names.length === 0) {
      return warn(
        "EPMD_UNUSUAL_PORT",
        [...finding.evidence, `nothing listens on port ${EPMD_PORT}, where a VM asks that has no ERL_EPMD_PORT`],
        `every VM here needs ERL_EPMD_PORT=${port}, unless srv-epmd serve has --port ${EPMD_PORT}`,
      );
    }
    if (holder.kind !== "nothing") return finding;
    const other = await otherPort(port, config);
    if (other === undefined) return finding;
    return fail(
      "EPMD_OTHER_PORT",
      `nothing listens on ${holder.at}, while srv-epmd answers on port ${other}`,
      `srv-epmd, every VM here and doctor need the same port: ERL_EPMD_PORT=${other} for VMs and doctor, or srv-epmd serve --port ${port}`,
    );
  },
};

/** The port of a srv-epmd on this machine that listens elsewhere. */
async function otherPort(port: number, config: Config): Promise<number | undefined> {
  const status = await daemonStatus(config);
  if (status && status.epmd.port !== port) return status.epmd.port;
  if (port === EPMD_PORT) return undefined;
  const usual = await lookAtEpmd(EPMD_PORT);
  return usual.holder.kind === "srv-epmd" ? EPMD_PORT : undefined;
}

function holderFinding({ at, kind, names, process }: Holder, port: number): Finding {
  const by = processWords(process);
  const nodes = names.length === 0 ? "no nodes" : `the nodes ${listed(names.map(({ name }) => name))}`;
  const limit = names.length > MOST_NODES ? [`the checks below look at ${MOST_NODES} of them`] : [];
  switch (kind) {
    case "srv-epmd":
      return ok([`srv-epmd answers on ${at}, with ${nodes}`, ...limit]);
    case "stock":
      return fail(
        "EPMD_STOCK",
        `a stock epmd answers on ${at}${by}, with ${nodesWords(names)}`,
        takeOver({ names, port, process }),
      );
    case "nothing":
    case "no-address":
      return fail("EPMD_NOTHING", `nothing listens on ${at}`, [
        `${START}`,
        `for another port give --port to srv-epmd, and ERL_EPMD_PORT to the VMs`,
      ]);
    case "silent":
    case "other": {
      const what = kind === "silent" ? "accepts connections and does not answer" : "is not an EPMD";
      return fail(
        "EPMD_NOT_EPMD",
        `what listens on ${at} ${what}${by}`,
        "stop it, or use another port: --port for srv-epmd, and ERL_EPMD_PORT for every VM",
      );
    }
    default:
      return kind satisfies never;
  }
}
