import { ConfigError } from "../core/errors.js";
import { type NodeName, parseNodeName } from "../core/node-name.js";
import type { Resolution } from "../core/resolution.js";
import { ValueError } from "../core/values.js";
import { thisMachine } from "../machine.js";
import { composeResolution, type Resolving } from "../resolution/compose.js";
import type { CommandContext } from "./commands.js";
import { EXIT, type ExitCode } from "./exit-code.js";

/** Node names of a command line. @throws ConfigError that names the one that is wrong */
export function nodeOperands(operands: readonly string[]): NodeName[] {
  return operands.map((operand) => {
    try {
      return parseNodeName(operand);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError("CONFIG_VALUE", `node ${JSON.stringify(operand)} ${error.message}`);
    }
  });
}

/** What the daemon would resolve with, less the nodes that are registered with it. */
export function resolvingOf({ config, log }: CommandContext): Resolving {
  return composeResolution({
    config,
    machine: thisMachine(),
    registry: undefined,
    servers: [],
    ownPort: () => undefined,
    log,
  });
}

export function exitCodeOf({ outcome }: Resolution): ExitCode {
  return { found: EXIT.done, "not-found": EXIT.notFound, unavailable: EXIT.unavailable }[outcome];
}
