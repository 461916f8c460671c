import { readCookie } from "../distribution/cookie.js";
import { CHECKS } from "../doctor/checks.js";
import { type Finding, fail, ofNode } from "../doctor/core/finding.js";
import type { Told } from "../doctor/core/verdict.js";
import { withoutEnded } from "../doctor/ended-meanwhile.js";
import { type Check, type Examination, examine } from "../doctor/examination.js";
import { ConfigError, describeError } from "../errors.js";
import { type DoctorReport, type Examined, jsonReport, plainReport } from "./doctor-report.js";
import { type CommandContext, EXIT, type ExitCode } from "./io.js";
import { nodeOperands } from "./operands.js";

/** Milliseconds: no check takes so long; one that hangs must not hold back the others. */
const CHECK_LIMIT = 12_000;

/** Makes all checks at once, and prints a verdict, or their findings in order. It changes nothing. */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  const { config, operands, io, log } = context;
  if (config.cluster) return (await import("./doctor-cluster.js")).doctorCluster(context);
  const [name, another] = nodeOperands(operands);
  if (another) throw new ConfigError("CONFIG_VALUE", "doctor looks at one node; with --cluster at several");
  const cookie = await readCookie(config, io.env);
  const examination = examine(config, name, operands[0] ?? "", log, cookie);
  // Before the checks, whose own connections look like links.
  await examination.connections();
  const report: DoctorReport = config.json ? jsonReport(io) : plainReport(io, config.all);
  const pending = CHECKS.map((check) => ({ id: check.id, finding: runCheck(check, examination) }));
  const told: Told[] = [];
  try {
    for (const { id, finding } of pending) {
      const one = { id, ...(await finding) };
      told.push(one);
      report.tell(one);
    }
    report.sumUp(told, await examined(examination));
  } finally {
    await examination.close();
  }
  return told.some(({ result }) => result === "fail") ? EXIT.notFound : EXIT.done;
}

async function examined({ asked, hasCookie, peersOfAsked, epmd, nodes }: Examination): Promise<Examined> {
  const [{ holder }, here, vms] = await Promise.all([epmd(), nodes(), asked ? peersOfAsked() : []]);
  return {
    asked: asked && { asked: asked.full, vms: vms.map(({ node }) => node.aliveName), hasCookie },
    isEmpty: holder.kind === "srv-epmd" && here.length === 0,
  };
}

/** Never rejects, and ends within CHECK_LIMIT. */
async function runCheck(check: Check, examination: Examination): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Finding>((resolve) => {
    const evidence = `not done within ${CHECK_LIMIT / 1000} s`;
    const finding = fail("CHECK_LATE", evidence, "see what else is slow here: name servers, Consul, the disk");
    timer = setTimeout(resolve, CHECK_LIMIT, finding);
  });
  const broken = (error: unknown) =>
    fail("CHECK_BROKEN", `it could not be examined: ${describeError(error)}`, "this is a bug: please report it");
  const run = async () => withoutEnded(await check.run(examination), examination);
  const finding = await Promise.race([run().catch(broken), late]);
  clearTimeout(timer);
  const { asked } = examination;
  return asked && check.id.startsWith("peer-") ? ofNode(asked.name.aliveName, finding) : finding;
}
