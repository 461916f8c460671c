import { type IpPort, ipPort } from "../config/network-values.js";
import { ValueError } from "../config/values.js";
import { ConfigError } from "../errors.js";
import { type NodeName, parseNodeName } from "../names/node-name.js";
import { LOOPBACKS } from "../net/endpoint.js";
import { hasWildcard } from "../text.js";

/** Node names of a command line. @throws ConfigError that names the one that is wrong */
export function nodeOperands(operands: readonly string[]): NodeName[] {
  return operands.map((operand) => {
    if (hasWildcard(operand)) {
      const quoted = `'${operand}'`;
      const others = `srv-epmd names --match ${quoted} lists its nodes, and srv-epmd doctor --cluster ${quoted} looks at all of them`;
      throw new ConfigError("CONFIG_VALUE", `${quoted} is a pattern, and one node is asked for: ${others}`);
    }
    try {
      return parseNodeName(operand);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError("CONFIG_VALUE", `node ${JSON.stringify(operand)} ${error.message}`);
    }
  });
}

/** The EPMD that was named. For `localhost`, and without a name, both loopbacks: a machine may have only one of the families. */
export function epmdCandidates(operand: string | undefined, port: number): IpPort[] {
  try {
    const named = ipPort(port)(operand ?? "localhost");
    const isHere = operand === undefined || /^localhost(:|$)/i.test(operand);
    return isHere ? LOOPBACKS.map((address) => ({ address, port: named.port })) : [named];
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ConfigError("CONFIG_VALUE", `EPMD ${JSON.stringify(operand)} ${error.message}`);
  }
}
