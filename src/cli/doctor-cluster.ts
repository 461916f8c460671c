import { createProbe } from "../distribution/prober.js";
import { type ClusterExamination, examineCluster } from "../doctor/cluster.js";
import { essenceOf } from "../doctor/core/cluster-essence.js";
import { epmdPortAt } from "../doctor/probe-place.js";
import { thisMachine } from "../os/machine.js";
import { composeForLookUps } from "../resolve/compose.js";
import { openCatalogues } from "./catalogues.js";
import { namedCluster } from "./cluster-nodes.js";
import { clusterLines, clusterObject } from "./cluster-report.js";
import { type CommandContext, complain, EXIT, type ExitCode, painted, writeJson } from "./io.js";
import { untilStopped } from "./supervisor.js";

/** Milliseconds: of 200 nodes some may be gone, and the verdict is to come within seconds. */
const PROBE_TIMEOUT = 2_000;
/** Milliseconds from the beginning of one look to that of the next. */
const INTERVAL = 2_000;

/** Says what is wrong with a whole cluster, once or again and again. It changes nothing. */
export async function doctorCluster(context: CommandContext): Promise<ExitCode> {
  const { config, io } = context;
  const timeout = Math.min(config.timeout, PROBE_TIMEOUT);
  const stop = new AbortController();
  const resolving = composeForLookUps(config, context.log, { follow: true });
  const { connect } = resolving;
  const probe = await createProbe({ ...config, timeout }, { env: io.env, connect }, stop.signal);
  const { nodes, vmsNamed } = resolving;
  const machine = thisMachine();
  const deps = {
    ...{ nodes, probe, vmsNamed, from: machine.hostName },
    isOwn: (address: string) => machine.addresses().includes(address),
    epmdPortAt: (address: string) => epmdPortAt(address, config.port, stop.signal),
  };
  const catalogues = openCatalogues(context);
  const told = new Set<string>();
  const tell = (text: string) => {
    if (!told.has(text)) complain(io, text);
    told.add(text);
  };
  const look = () => examineCluster(() => namedCluster(context, { nodes, catalogues, tell }), deps);
  try {
    if (config.watch) return await watchCluster(look, stop, context);
    const seen = await look();
    if (config.json) writeJson(io, clusterObject(seen));
    else io.stdout(`${painted(clusterLines(seen), io).join("\n")}\n`);
    return exitCodeOf(seen);
  } finally {
    await Promise.all([resolving.close(), catalogues.close()]);
  }
}

function exitCodeOf({ verdict }: ClusterExamination): ExitCode {
  return verdict.isWell ? EXIT.done : EXIT.notFound;
}

/** Shows the verdict in place on a terminal, else each time it changes, until a signal; the last one decides the exit code. */
async function watchCluster(
  look: () => Promise<ClusterExamination>,
  stop: AbortController,
  { config, io, log }: CommandContext,
): Promise<ExitCode> {
  const { unlessStopped, pause, settle } = untilStopped(stop, io, log);
  let code: ExitCode = EXIT.unavailable;
  let before = "";
  let height = 0;
  const show = (seen: ClusterExamination) => {
    const essence = essenceOf(seen);
    const at = new Date();
    if (config.json) {
      if (essence !== before) writeJson(io, { at: at.toISOString(), ...clusterObject(seen) });
    } else if (io.stdoutIsTerminal) {
      const lines = painted(
        [...clusterLines(seen), { text: `at ${at.toLocaleTimeString("en-GB")}`, tone: "quiet" }],
        io,
      );
      // ECMA-48: CUU and ED, back to our first line and erase from there.
      io.stdout(`${height > 0 ? `\x1b[${height}A\x1b[J` : ""}${lines.join("\n")}\n`);
      height = lines.length;
    } else if (essence !== before) {
      io.stdout(`${painted([{ text: `${at.toISOString()} ${seen.verdict.summary}` }], io).join("\n")}\n`);
    }
    before = essence;
  };
  while (!stop.signal.aborted) {
    const startedAt = performance.now();
    const seen = await unlessStopped(look());
    if (seen) {
      show(seen);
      code = exitCodeOf(seen);
    }
    await pause(startedAt + INTERVAL);
  }
  await settle();
  return code;
}
