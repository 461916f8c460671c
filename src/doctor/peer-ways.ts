import { ipPort } from "../config/network-values.js";
import { gatewayDomains, isGatewayHost } from "../gateway/core/addresses.js";
import { hostsEntriesIn } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { SILENT_RELAY } from "../relay/core/trouble.js";
import { askedWays, hostAddresses } from "../resolve/asked-ways.js";
import { type Way, waysIn, waysWords } from "../resolve/core/ways-in.js";
import { listed } from "../text.js";
import { NOT_NAMED, UNKNOWN } from "./asked-node.js";
import { type Finding, fail, ofVms, ok, skip } from "./core/finding.js";
import { type Check, type Examination, RESOLVE_TIMEOUT } from "./examination.js";
import type { Holder } from "./local-epmd.js";
import { stockNames, unseenNames } from "./local-vms.js";

/** The gateway waits a second for its relay process. Milliseconds. */
const ASK_TIMEOUT = 3_000;

export const peerWays: Check = {
  id: "peer-ways",
  title: "what a VM here dials by each way in (module, host, gateway), as the EPMD there answers",
  run: async (examination) => {
    const { asked, config, machine } = examination;
    if (!asked) return NOT_NAMED;
    const hostsText = await readHostsFile();
    const [resolution, addresses] = await Promise.all([
      examination.resolution(),
      hostAddresses(asked.host, hostsText, RESOLVE_TIMEOUT),
    ]);
    if (resolution.outcome !== "found") return skip(UNKNOWN);
    const { holder } = await examination.epmd();
    const possible = waysIn({
      settings: config,
      host: asked.host,
      endpoints: resolution.endpoints,
      isLocal: resolution.source === "registry",
      ownAddresses: machine.addresses(),
      hostAddresses: addresses,
      hostsEntries: hostsEntriesIn(hostsText, config.gatewayRange),
    });
    const unanswered = (await examination.hostWay()) ? NO_RECORD : whySilent(holder);
    const expected = unanswered === undefined ? possible : possible.map((way) => withoutModule(way, unanswered));
    const ways = await askedWays(expected, asked.name.aliveName, {
      timeout: ASK_TIMEOUT,
      fallback: config.fallback,
    });
    const evidence = wordsOf(ways);
    const relayTrouble = await gatewayTrouble(examination);
    if (relayTrouble?.reason !== undefined && ways.some(({ way, asks }) => way === "gateway" && asks !== undefined)) {
      const { reason, advice = SILENT_RELAY } = relayTrouble;
      return fail("PEER_RELAY_DOWN", [reason, ...evidence], advice);
    }
    const silent = ways.find(({ dials }, index) => dials === undefined && expected[index]?.dials !== undefined);
    const gateway = ways.find(({ way }) => way === "gateway");
    const { stock, unseen } = await nodesHere(examination);
    if (config.gateway && gateway?.dials === undefined && isGatewayHost(gatewayDomains(config), asked.host)) {
      const finding = silent
        ? fail("PEER_EPMD_SILENT", evidence, silentAdvice(silent))
        : gatewayUnused(gateway?.reason ?? "", wordsOf(ways.filter((way) => way !== gateway)));
      return stock.length + unseen.length > 0 ? ofVms([...stock, ...unseen], finding) : finding;
    }
    const isForStock = ways.some(({ way, dials }) => way !== "module" && dials !== undefined);
    if (stock.length > 0 && !isForStock) {
      const module = "give its VM the module (srv-epmd module), with -epmd_module srv_epmd and -pa or in its release";
      const resolver = "or let srv-epmd serve --gateway be its resolver";
      const finding = fail(
        silent ? "PEER_EPMD_SILENT" : "PEER_NO_WAY",
        [`for ${listed(stock)} here, without -epmd_module srv_epmd, there is no way to the node`, ...evidence],
        silent ? [silentAdvice(silent), `or ${module}`, resolver] : [module, resolver],
      );
      return ways.some(({ dials }) => dials !== undefined) ? ofVms(stock, finding) : finding;
    }
    if (ways.some(({ dials }) => dials !== undefined)) {
      if (unseen.length === 0 || isForStock) return ok(evidence);
      const doubt = `this user may not see whether ${listed(unseen)} here has the module, without which there is no way to the node`;
      return fail("PEER_WAY_UNSEEN", [doubt, ...evidence], "run doctor as root, or as the user of that VM");
    }
    return fail(
      "PEER_NO_WAY",
      ["no VM here can reach the node", ...evidence],
      "give the VMs here the module (srv-epmd module), or let srv-epmd serve --gateway be their resolver: its relays connect IPv4 and IPv6",
    );
  },
};

/** What leads there comes first. */
function wordsOf(ways: readonly Way[]): string[] {
  return waysWords([...ways.filter(({ dials }) => dials), ...ways.filter(({ dials }) => dials === undefined)]);
}

const NO_RECORD = "the srv-epmd here has no SRV record of it, and no --fallback epmd";

/** Why no VM with the module is answered: it asks the srv-epmd of its machine. */
function whySilent({ kind, at }: Holder): string | undefined {
  return kind === "srv-epmd" ? undefined : `no srv-epmd answers on ${at}`;
}

function withoutModule(way: Way, reason: string): Way {
  if (way.way !== "module") return way;
  const { dials: _, ...rest } = way;
  return { ...rest, reason };
}

function gatewayUnused(reason: string, evidence: readonly string[]): Finding {
  return fail(
    "PEER_GATEWAY_UNUSED",
    [`unmodified VMs here do not use the gateway: ${reason}`, ...evidence],
    "make the gateway this machine's name server (nameserver 127.0.0.1 in resolv.conf), or put the lines of srv-epmd hosts into /etc/hosts",
  );
}

const RELAY_ADVICE =
  "start the gateway's relay process: srv-epmd relay, with the --relay-socket of serve; /readyz and the log of serve have the reason why it does not answer";

/** What the daemon here says of its relay process; undefined where it answers, or nothing is said. */
async function gatewayTrouble({ daemon }: Examination) {
  const status = await daemon();
  return status?.readiness.checks.find(({ name, ok: isWell }) => name === "gateway" && !isWell);
}

/** Advice for an EPMD that should answer with the node's port and does not. */
function silentAdvice({ way, asks }: Way): string {
  if (way === "gateway" || asks === undefined) {
    return RELAY_ADVICE;
  }
  const { address } = ipPort(undefined)(asks);
  return `stock VMs ask the EPMD at ${asks}: let the srv-epmd there serve others, with --listen ${address}`;
}

interface NodesHere {
  /** Nodes that ask this machine's resolver and the EPMD at the address it gives. */
  readonly stock: readonly string[];
  /** Nodes whose processes cannot be looked at. */
  readonly unseen: readonly string[];
}

async function nodesHere({ peersOfAsked, daemon }: Examination): Promise<NodesHere> {
  const [seen, status] = await Promise.all([peersOfAsked(), daemon()]);
  // A VM that has offered to say its links has the module.
  const offered = new Set((status?.links ?? []).flatMap(({ name, state }) => (state === "not-offered" ? [] : [name])));
  return { stock: stockNames(seen), unseen: unseenNames(seen).filter((name) => !offered.has(name)) };
}
