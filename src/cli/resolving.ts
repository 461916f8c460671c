import { ValueError } from "../config/values.js";
import { ConfigError } from "../errors.js";
import { type NodeName, parseNodeName } from "../names/node-name.js";

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
