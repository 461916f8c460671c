import type { LookUp } from "../../daemon/core/observations.js";
import { grouped } from "../../grouped.js";
import { listed } from "../../text.js";
import type { FoundProblem } from "./problem.js";
import { type Facts, failedCheck, MOST_NAMED, type Rule } from "./rule.js";

/** Look-ups that are older than this are no problem any more, milliseconds. */
const LATELY = 600_000;

/** What VMs have asked for lately, and did not get. */
export const LOOK_UP_RULES: readonly Rule[] = [
  {
    code: "VM_WITHOUT_MODULE",
    level: "error",
    find: (facts) => {
      const unreached = lastLookUps(facts).filter(({ outcome, way }) => outcome === "unreachable" && way === "host");
      return Array.from(grouped(unreached, ({ here }) => String(here)).values(), (group) => {
        const [{ here, reason }] = group;
        const askers = Array.from(new Set(group.map(({ asker }) => asker)));
        const who = here ? "A VM here asks" : `VMs on ${listed(askers, MOST_NAMED)} ask`;
        return about(
          group,
          (names) =>
            `${who} by the name alone, as one without the module does, and cannot reach ${names}: ${reason ?? "it dials another address"}.`,
          "Give the VM the module (srv-epmd module --out DIR, then erl -pa DIR -epmd_module srv_epmd, or in its release): it dials the addresses that srv-epmd finds. Or run the gateway (--gateway), which unmodified VMs can use.",
        );
      });
    },
  },
  {
    code: "RELAY_FAILED",
    level: "error",
    find: (facts) => {
      if (failedCheck(facts, "gateway")) return [];
      const failed = lastLookUps(facts).filter(({ outcome, way }) => outcome === "unreachable" && way === "gateway");
      return Array.from(grouped(failed, ({ reason }) => String(reason)).values(), (group) =>
        about(
          group,
          (names) => `The gateway had no relay for ${names}: ${group[0].reason ?? "the log says why"}.`,
          "See what the log of the relay process says. It needs a free port of --relay-ports for each node, and two open files for each link (LimitNOFILE, ulimit -n).",
        ),
      );
    },
  },
  {
    code: "LOOK_UP_FAILED",
    level: "error",
    find: (facts) => {
      // Consul's or Nomad's silence is told already.
      if (isCatalogueSilent(facts)) return [];
      const failed = lastLookUps(facts).filter((one) => one.outcome === "unavailable" && !isOver(one, facts));
      return Array.from(grouped(failed, ({ code }) => String(code)).values(), (group) =>
        about(
          group,
          (names) => `Look-ups of ${names} had no answer lately: ${group[0].reason ?? "the log says why"}.`,
          adviceFor(group[0]),
        ),
      );
    },
  },
  {
    code: "NOT_FOUND_LATELY",
    level: "warning",
    find: (facts) => {
      const missed = lastLookUps(facts).filter((lookUp) => lookUp.outcome === "not-found" && !isThere(lookUp, facts));
      return Array.from(grouped(missed, ({ code }) => String(code)).values(), (group) =>
        about(
          group,
          (names) =>
            `${names} ${group.length === 1 ? "was" : "were"} asked for lately and not found: ${group[0].reason ?? "the log says why"}.`,
          adviceFor(group[0]),
        ),
      );
    },
  },
  {
    code: "OLD_ANSWERS",
    level: "warning",
    find: (facts) => {
      if (isCatalogueSilent(facts)) return [];
      const stale = lastLookUps(facts).filter((lookUp) => lookUp.stale && !isOver(lookUp, facts));
      return Array.from(grouped(stale, () => "").values(), (group) =>
        about(
          group,
          (names) => `Look-ups of ${names} got the last good answer, because nobody who could know better answered.`,
          `See that the name servers answer: srv-epmd resolve ${operand(group[0].node)} --trace shows what each of them says.`,
        ),
      );
    },
  },
];

/** @param group the newest first */
function about(
  group: readonly [LookUp, ...LookUp[]],
  sentence: (names: string) => string,
  advice: string,
): FoundProblem {
  const nodes = group.map(({ node }) => node);
  return { sentence: sentence(listed(nodes, MOST_NAMED)), advice, nodes, at: group[0].at };
}

/** The newest look-up of each node that is not too old. One that was refused tells of the asker, not of the node. */
function lastLookUps({ lookUps, now }: Facts): LookUp[] {
  const last = new Map<string, LookUp>();
  for (const lookUp of lookUps) {
    if (lookUp.outcome === "refused" || now - lookUp.at > LATELY) continue;
    const key = lookUp.node.toLowerCase();
    if (!last.has(key)) last.set(key, lookUp);
  }
  return Array.from(last.values());
}

/** A VM that misses a node asks again within seconds, and none asks for one with which it is linked. Milliseconds. */
const ASKS_AGAIN_WITHIN = 20_000;

/** Nobody has asked for the node since, and it is there: that name servers do not answer yet is told by the domains. */
function isOver(lookUp: LookUp, facts: Facts): boolean {
  return facts.now - lookUp.at >= ASKS_AGAIN_WITHIN && isThere(lookUp, facts);
}

function isCatalogueSilent({ status: { consul, nomad } }: Facts): boolean {
  return consul.trouble !== undefined || nomad?.trouble !== undefined;
}

/**
 * The node is there now: it lives here, its catalogue lists it, or a VM here is linked with it. How long it has been published
 * does not count: that is the time of its registration, after which look-ups may miss it for a moment.
 */
function isThere({ node }: LookUp, { status: { nodes, cluster, domains, links = [] } }: Facts): boolean {
  const [aliveName, host] = node.split("@", 2);
  const isOurs = host === undefined || domains.includes(host);
  if (isOurs && nodes.some(({ name }) => name === aliveName)) return true;
  const key = node.toLowerCase();
  const isIt = (name: string) => name.toLowerCase() === key;
  const listed = cluster.outcome === "listed" ? cluster.nodes : [];
  return (
    listed.some((one) => one.health !== "critical" && isIt(one.node)) ||
    links.some((one) => one.state === "told" && one.linked.some(isIt))
  );
}

const DNS = (node: string) =>
  `See that the name servers answer (--dns, resolv.conf): srv-epmd resolve ${node} --trace shows what each of them says.`;
const NAME = (node: string) =>
  `Ask for it by its full name, as in node_b@svc, where svc is its service, or give srv-epmd serve the --domain under which ${node} is looked up.`;
const NO_SUCH = (node: string) =>
  `If it runs, see on its machine whether srv-epmd names lists it, and whether the page there says that it is published. If it is, the name is another one: srv-epmd names --cluster lists all, and srv-epmd doctor ${node} says which was meant.`;
const UPSTREAM = () =>
  "Give the sidecar proxy of the nodes here an upstream with that destination: upstreams in the job, or in the proxy's registration.";
const AGENT = (node: string) =>
  `See that the agent answers, and that the token may read the service: srv-epmd doctor --all ${node} asks it and shows its answer.`;

/** What to do, by the code of a resolution (src/resolve/core/resolution.ts). */
const ADVICE: Readonly<Record<string, (node: string) => string>> = {
  NAME_NO_DOMAIN: NAME,
  NAME_NO_SOURCE: NAME,
  NAME_NOT_DNS: NAME,
  NAME_NOT_NOMAD: NAME,
  NODE_OTHER_HOST: NAME,
  NODE_NOT_REGISTERED: NO_SUCH,
  CATALOGUE_NO_SERVICE: NO_SUCH,
  CATALOGUE_NO_NODE: NO_SUCH,
  SRV_NXDOMAIN: NO_SUCH,
  SRV_NODATA: NO_SUCH,
  STATIC_NO_ENTRY: NO_SUCH,
  EPMD_NO_NODE: NO_SUCH,
  UPSTREAM_NONE: UPSTREAM,
  UPSTREAM_NO_SIDECAR: UPSTREAM,
  UPSTREAM_NO_ADDRESS: UPSTREAM,
  LOOKUP_TIMEOUT: DNS,
  DNS_TIMEOUT: DNS,
  DNS_REFUSED: DNS,
  DNS_SERVFAIL: DNS,
  DNS_BAD_ANSWER: DNS,
  DNS_UNREACHABLE: DNS,
  CATALOGUE_UNKNOWN: AGENT,
  CONSUL_UNAVAILABLE: AGENT,
  CONSUL_FORBIDDEN: AGENT,
  NOMAD_UNAVAILABLE: AGENT,
  NOMAD_FORBIDDEN: AGENT,
};

function adviceFor({ code = "", node }: LookUp): string {
  const advice = Object.hasOwn(ADVICE, code) ? ADVICE[code] : undefined;
  return (
    advice?.(operand(node)) ??
    `srv-epmd resolve ${operand(node)} --trace --probe, on this machine, shows what each source answers and which node is at the address.`
  );
}

/** Peers choose the names that they ask for, and people copy commands into a shell. */
function operand(node: string): string {
  return /^[0-9A-Za-z_][0-9A-Za-z_.@:-]*$/.test(node) ? node : "NODE";
}
