import { GatewayAddresses, pairsFor } from "../gateway/core/addresses.js";
import { hostsEntriesIn, hostsText, inetrcText } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { type CommandContext, EXIT, type ExitCode } from "./io.js";

/** Prints the lines that make hosts resolve to their gateway addresses: those of /etc/hosts, where it has them already. */
export async function hosts({ config, operands, io }: CommandContext): Promise<ExitCode> {
  const addresses = new GatewayAddresses(config.gatewayRange);
  const known = await readHostsFile();
  for (const pair of hostsEntriesIn(known, config.gatewayRange)) addresses.add(pair);
  const pairs = pairsFor(operands, config.consulDomain, addresses);
  io.stdout(config.format === "hosts" ? hostsText(pairs) : inetrcText(pairs));
  return EXIT.done;
}
