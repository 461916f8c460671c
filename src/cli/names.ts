import type { IpPort } from "../config/network-values.js";
import { type AskNamesOptions, names as askNames, knowsFullNames } from "../epmd/client.js";
import type { NamesAnswer } from "../epmd/wire/responses.js";
import { EpmdError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { printable } from "../text.js";
import { type CommandContext, EXIT, type ExitCode, writeJson } from "./io.js";
import { epmdCandidates } from "./parse.js";

/** Lists the nodes registered with an EPMD, or those of a whole service that match a pattern. */
export async function names(context: CommandContext): Promise<ExitCode> {
  const { config, operands, io } = context;
  if (config.cluster) return (await import("./names-cluster.js")).clusterNames(context);
  const { match: pattern, timeout } = config;
  const candidates = epmdCandidates(operands[0], config.port);
  const { epmd, answer } = await firstAnswer(candidates, { timeout, ...(pattern !== undefined && { pattern }) });
  if (pattern !== undefined && !(await isMatch(epmd, answer, timeout))) {
    const message = `the EPMD at ${hostPort(epmd)} does not know patterns: it is no srv-epmd, or this machine is no local peer of it`;
    throw new EpmdError("EPMD_ANSWER", message);
  }
  if (config.json) {
    writeJson(io, { epmd: hostPort(epmd), port: answer.epmdPort, names: answer.names });
    return EXIT.done;
  }
  const count = answer.names.length === 1 ? "1 name" : `${answer.names.length} names`;
  io.stdout(`EPMD at ${hostPort(epmd)}: ${count}\n`);
  const rows = answer.names.map(({ name, port }) => ({ name: printable(name), port }));
  const width = Math.max(0, ...rows.map(({ name }) => name.length));
  for (const { name, port } of rows) io.stdout(`  ${name.padEnd(width)}  port ${port}\n`);
  return EXIT.done;
}

/** An EPMD that knows patterns lists full names; another lists its own names, or nothing. */
async function isMatch(epmd: IpPort, { names: listed }: NamesAnswer, timeout: number): Promise<boolean> {
  return listed.length > 0 ? listed.every(({ name }) => name.includes("@")) : knowsFullNames(epmd, { timeout });
}

/** @throws EpmdError of the first candidate when none answers */
export async function firstAnswer(
  candidates: readonly IpPort[],
  options: AskNamesOptions,
): Promise<{ epmd: IpPort; answer: NamesAnswer }> {
  let first: unknown;
  for (const epmd of candidates) {
    try {
      return { epmd, answer: await askNames(epmd, options) };
    } catch (error) {
      first ??= error;
      if (!(error instanceof EpmdError) || error.code !== "EPMD_UNREACHABLE") break;
    }
  }
  throw first;
}
