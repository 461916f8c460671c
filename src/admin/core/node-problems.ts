import type { ClusterNode } from "../../catalogue/core/instances.js";
import { placeWords, twiceNamed } from "../../catalogue/core/twice.js";
import { obstacleAdvice } from "../../doctor/core/obstacles.js";
import { grouped } from "../../grouped.js";
import { listed } from "../../text.js";
import { clusterLinks, unlinkedNodes } from "./cluster-links.js";
import { aliveNameOf, clusterPicture, listedNodes, localOf } from "./cluster-picture.js";
import { criticalNodes } from "./critical-nodes.js";
import { are, asSentence, type Facts, MOST_NAMED, type Rule } from "./rule.js";
import type { LocalNode } from "./status.js";

/** A VM with the module answers at once. Milliseconds. */
const SILENT_FOR = 10_000;

/** How the nodes here, and those of the cluster, stand in the catalogue. */
export const NODE_RULES: readonly Rule[] = [
  {
    code: "NODE_TWICE",
    level: "error",
    find: (facts) => {
      const named = twice(facts);
      const unlinked = named.length === 0 ? undefined : missingLinks(facts);
      return named.map(({ node, places }, index) => {
        // Global ends links of nodes between which it sees one of the two come and go.
        const then = index === 0 && unlinked ? unlinked : undefined;
        return {
          sentence: `Two nodes are called ${node}, at ${listed(places, MOST_NAMED)}: who dials that name reaches either.${then ? ` Links that are missing meanwhile may follow from that (prevent_overlapping_partitions of global): ${then.words}.` : ""}`,
          advice: `Stop one of them or give it another name, for two nodes of one name cannot be in one cluster. During a rolling update this may be so for a moment. Where nobody has started a second one, one of them is an impostor: --register-uid says who may register here.${then ? " A link that is missing a minute after that has another cause." : ""}`,
          nodes: [node],
        };
      });
    },
  },
  {
    code: "NODE_NOT_IN_CONSUL",
    level: "error",
    explains: ["published"],
    find: ({ status }) => {
      const here = localOf(status);
      const critical = listedNodes(status).filter(({ obstacle }) => obstacle !== undefined);
      const entries = new Map(critical.map((entry) => [here(entry), entry]));
      return ofPublication(status.nodes, "not-in-consul", "Consul", (node) => adviceForConsul(node, entries.get(node)));
    },
  },
  {
    code: "NODE_NOT_IN_NOMAD",
    level: "error",
    explains: ["entry"],
    find: ({ status }) =>
      ofPublication(
        status.nodes,
        "not-in-nomad",
        "Nomad's catalogue",
        ({ advice }) => advice ?? "see the service block of the group in the job file",
      ),
  },
  {
    code: "NODE_CRITICAL",
    level: "warning",
    find: ({ status }) => {
      const { cluster } = status;
      if (cluster.outcome !== "listed") return [];
      const here = localOf(status);
      // What keeps a node here out is told as the reason why it is not in Consul.
      return criticalNodes(cluster.nodes.filter((entry) => here(entry)?.publication !== "not-in-consul"));
    },
  },
  {
    code: "VM_SILENT",
    level: "warning",
    find: ({ status: { links = [], nodes }, ageOf }) => {
      const since = (name: string) => nodes.find((node) => node.name === name)?.since;
      // One that is busy is late for a moment.
      const silent = links.flatMap((one) => {
        const last = one.state === "silent" ? (one.at ?? since(one.name)) : undefined;
        return last !== undefined && ageOf(last) >= SILENT_FOR ? [one.name] : [];
      });
      if (silent.length === 0) return [];
      return [
        {
          sentence: `The VM of ${listed(silent, MOST_NAMED)} is asked for its links and does not answer: it is stopped, overloaded, or hangs.`,
          advice:
            "Run srv-epmd doctor here: vm-state says which, and the process of a VM that is stopped (it goes on with kill -CONT PID).",
          nodes: silent,
        },
      ];
    },
  },
  {
    code: "LINKS_MISSING",
    level: "warning",
    find: (facts) => {
      const unlinked = missingLinks(facts);
      // What may follow from two nodes of one name is told with them.
      if (!unlinked || twice(facts).length > 0) return [];
      const { count, words, nodes } = unlinked;
      return [
        {
          sentence: `${count === 1 ? "A link is" : `${count} links are`} missing: ${words}.${oldWords(facts.status)}`,
          advice:
            "Nodes link themselves within seconds of their start, with the module and SRV_EPMD_CONNECT. Where a link stays missing, srv-epmd doctor --cluster --cookie-file FILE says why.",
          nodes,
        },
      ];
    },
  },
];

interface MissingLinks {
  readonly count: number;
  /** `a@svc is not linked with b@svc, c@svc; d@svc is not linked with b@svc` */
  readonly words: string;
  readonly nodes: readonly string[];
}

/** Undefined: none is missing, as far as the VMs here tell. */
function missingLinks({ status }: Facts): MissingLinks | undefined {
  const { missing } = clusterLinks(clusterPicture(status), status.links ?? []);
  if (missing.length === 0) return undefined;
  const unlinked = unlinkedNodes(missing, MOST_NAMED);
  const told = unlinked.map(({ end, others }) => {
    const names = others.map(({ placed }) => placed.node);
    return `${end.placed.node} is not linked with ${listed(names, MOST_NAMED)}`;
  });
  return { count: missing.length, words: told.join("; "), nodes: unlinked.map(({ end }) => end.placed.node) };
}

/** What is said of other nodes where the catalogue is silent. */
function oldWords({ cluster }: Facts["status"]): string {
  if (cluster.outcome === "listed") return "";
  return " Which nodes there are is not known now: one that has ended meanwhile counts too.";
}

interface Twice {
  readonly node: string;
  readonly places: readonly string[];
}

/** By what the catalogue lists, and of nodes here by what the publication has seen. */
function twice({ status }: Facts): Twice[] {
  const listedTwice = twiceNamed(listedNodes(status)).map(({ node, entries }): Twice => {
    return { node, places: entries.map(placeWords) };
  });
  const isTold = (name: string) => listedTwice.some(({ node }) => aliveNameOf(node) === name);
  const seen = status.nodes.flatMap(({ name, elsewhere = [] }): Twice[] =>
    elsewhere.length === 0 || isTold(name) ? [] : [{ node: name, places: ["this machine", ...elsewhere] }],
  );
  return [...listedTwice, ...seen];
}

/** One problem for the nodes of each reason. @param adviceOf without a full stop, lower case */
function ofPublication(
  nodes: readonly LocalNode[],
  publication: LocalNode["publication"],
  place: string,
  adviceOf: (node: LocalNode) => string,
) {
  const missing = nodes.filter((node) => node.publication === publication);
  return Array.from(grouped(missing, ({ reason, code }) => `${code} ${reason}`).values(), (group) => {
    const [first] = group;
    const names = group.map(({ name }) => name);
    const why = first.reason === undefined ? "" : `: ${first.reason}`;
    const advice = adviceOf(first);
    return {
      sentence: `${are(names, listed(names, MOST_NAMED))} alive here and not in ${place}, so VMs on other machines do not find ${names.length === 1 ? "it" : "them"}${why}.`,
      advice: asSentence(advice),
      nodes: names,
    };
  });
}

const CONSUL_ADVICE: Readonly<Record<string, string>> = {
  CONSUL_FORBIDDEN:
    'give the token of srv-epmd the policy service "<service>" { policy = "write" } for the service of --domain, or another token (--consul-token-file)',
  CONSUL_REJECTED:
    "give what Consul names in its answer another value: name, tags and meta come from --service, --tag and --node-host",
  CONSUL_UNAVAILABLE:
    "run srv-epmd doctor here, which says whether the agent answers, reaches servers, and these have a leader; srv-epmd tries again by itself",
  CONSUL_UNKNOWN:
    "see why the Consul agent forgets what it is given: its log says when it was restarted, and its data_dir must stay",
};

/**
 * A node that no call was refused for is kept out by its name, its port or a check, which the reason names.
 * @param entry with the check that is critical
 */
function adviceForConsul({ advice, code = "" }: LocalNode, entry: ClusterNode | undefined): string {
  return (
    advice ??
    CONSUL_ADVICE[code] ??
    (entry?.obstacle && obstacleAdvice(entry.obstacle, `on ${entry.machine}`)) ??
    "mend what the reason names: a check by the program that it checks, maintenance by consul maint -disable (with -service=ID where it is that of an entry), a name or a port at the VM"
  );
}
