import { COMMANDS } from "../../src/cli/commands.js";
import { flagKeysOf, parseArguments } from "../../src/cli/parse.js";
import { loadConfig } from "../../src/config/config.js";
import { variableOf } from "../../src/config/options.js";

/** Variables of the VM that srv-epmd's module reads. */
export const OF_MODULE = ["SRV_EPMD_CONNECT", "SRV_EPMD_ADDRESS", "SRV_EPMD_LOG", "SRV_EPMD_WAIT"];

const ofOurs = (env: NodeJS.ProcessEnv) => Object.keys(env).filter((variable) => variable.startsWith("SRV_EPMD_"));

/** Variables of srv-epmd in a VM's environment that its module does not read. */
export function foreignToModule(env: NodeJS.ProcessEnv): string[] {
  return ofOurs(env).filter((variable) => !OF_MODULE.includes(variable));
}

/**
 * What srv-epmd would warn of if it were called so, and variables that the called command does not read.
 * @param words what follows `srv-epmd`
 * @throws ConfigError when it would not start
 */
export function complaintsOf(words: readonly string[], env: NodeJS.ProcessEnv = {}): string[] {
  const command = COMMANDS.find(({ name }) => name === words[0]);
  if (!command) throw new Error(`${words[0]} is no command`);
  const known = flagKeysOf(command.name).map(variableOf);
  const unread = ofOurs(env).filter((variable) => !known.includes(variable));
  const { flags } = parseArguments(command, words.slice(1));
  return [
    ...unread.map((variable) => `${variable} is not for ${command.name}`),
    ...loadConfig({ command: command.name, flags, env }).warnings,
  ];
}
