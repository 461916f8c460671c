import { type AskedService, nodesInConsul, serviceOfPattern, servicesOfDomains } from "../consul/cluster.js";
import type { ClusterNode } from "../consul/core/catalogue.js";
import { ConsulSide } from "../consul/side.js";
import { ConfigError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { thisMachine } from "../os/machine.js";
import { ageWords, printable } from "../text.js";
import { type CommandContext, EXIT, type ExitCode, type Line, painter, type Tone, writeJson } from "./io.js";

/** The nodes of a service as Consul has them, whatever their health. @throws ConfigError, ConsulError */
export async function clusterNames({ config, operands, io, log }: CommandContext): Promise<ExitCode> {
  if (operands[0] !== undefined) {
    throw new ConfigError("CONFIG_CONFLICT", `--cluster asks Consul, not the EPMD at ${operands[0]}: give one of them`);
  }
  const { match, consulDomain } = config;
  const asked =
    match === undefined ? servicesOfDomains(config) : [serviceOfPattern(match, consulDomain, thisMachine().names)];
  const consul = new ConsulSide(config, log);
  try {
    const client = await consul.connect();
    const nodes = await nodesInConsul(client, asked, { timeout: config.timeout, now: Date.now() });
    if (config.json) writeJson(io, { consul: config.consul, nodes });
    else io.stdout(`${[heading(nodes, asked), ...table(nodes)].map(painter(io)).join("\n")}\n`);
    return EXIT.done;
  } finally {
    await consul.close();
  }
}

function heading(nodes: readonly ClusterNode[], asked: readonly AskedService[]): Line {
  const count = nodes.length === 1 ? "1 node" : `${nodes.length} nodes`;
  const patterns = asked.map(({ glob, host }) => `${glob.pattern}@${host}`).join(", ");
  return { text: `${patterns}: ${count} in Consul` };
}

const TONES: Record<ClusterNode["health"], Tone> = { passing: "good", warning: "doubtful", critical: "bad" };

function table(nodes: readonly ClusterNode[]): Line[] {
  const cells = nodes.map(({ node, health, address, port, age, instance, machine }) => {
    const since = age === undefined ? "-" : ageWords(age);
    // Columns are as wide as what is shown.
    return [node, health, hostPort(address, port), since, instance, machine].map(printable);
  });
  const head = ["node", "health", "address", "age", "instance", "consul node"];
  const rows = nodes.length === 0 ? [] : [head, ...cells];
  const widths = head.map((_, column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row, index) => ({
    text: `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
    tone: index === 0 ? "quiet" : TONES[nodes[index - 1]?.health ?? "passing"],
  }));
}
