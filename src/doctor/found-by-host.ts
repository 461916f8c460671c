import { HOSTS_FILE } from "../os/hosts-file.js";
import type { Unfound } from "../resolve/source.js";
import { listed } from "../text.js";
import { type Finding, fail, ofVms, ok } from "./core/finding.js";
import type { Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { type AskedEpmd, epmdWords } from "./host-way.js";

/** Stock VMs need no record: the host part leads to the EPMD that knows the node. */
export async function foundByItsHost(
  { full }: AskedNode,
  epmds: readonly AskedEpmd[],
  { config, peersOfAsked }: Examination,
): Promise<Finding> {
  const vms = await peersOfAsked();
  const withModule = vms.filter(({ process }) => process?.hasModule).map(({ node }) => node.aliveName);
  const told = epmds.filter(({ port }) => port !== undefined).map((epmd) => epmdWords(epmd, config.port));
  const evidence = `${full}: no SRV record, and ${told.join(", ")}: stock VMs here find it so`;
  if (withModule.length === 0) return ok(evidence);
  const finding = fail(
    "PEER_NO_PORT",
    [evidence, `${listed(withModule)} here has the module, and asks the srv-epmd here, which does not`],
    "give serve --fallback epmd, or publish the node with an SRV record (--domain for the srv-epmd there)",
  );
  return ofVms(withModule, finding);
}

/** The host has addresses, and what stock VMs ask there does not know the node. */
export async function untoldByItsHost(
  asked: AskedNode,
  unfound: Unfound,
  epmds: readonly [AskedEpmd, ...AskedEpmd[]],
  { config, peersOfAsked }: Examination,
): Promise<Finding> {
  const vms = await peersOfAsked();
  const words = epmds.map((epmd) => epmdWords(epmd, config.port));
  const { address, line, isAbsent } = epmds[0];
  // Where lines of /etc/hosts lead stock VMs, name servers that do not answer are in the way of no VM but those with the module.
  const isMoot =
    unfound.outcome === "unavailable" &&
    epmds.every((one) => one.line !== undefined) &&
    !vms.some(({ process }) => process?.hasModule);
  const beside = unfound.outcome === "unavailable" ? unfound.cause : unfound.reason;
  const serves = `, and that the EPMD there serves other machines (srv-epmd serve --listen ${address})`;
  const runs = `that the node runs there${isAbsent ? "" : serves}`;
  return fail(
    "PEER_NO_PORT",
    [`${asked.full} is not found by its host: ${words.join(", ")}`, ...(isMoot ? [] : [beside])],
    [
      line === undefined
        ? `see that ${address} is its machine, and ${runs}`
        : `compare ${address} with the addresses of the machine ${asked.host} (there: hostname -I): if it has another, correct line ${line} of ${HOSTS_FILE} here; else see ${runs}`,
      "or publish the node with an SRV record (a srv-epmd with --domain beside it does so), which leads VMs with the module to it, as serve --fallback epmd does",
    ],
  );
}
