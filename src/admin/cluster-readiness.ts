import { stat } from "node:fs/promises";
import type { ClusterNode } from "../catalogue/core/instances.js";
import { readPattern } from "../catalogue/core/matching.js";
import type { Config } from "../config/config.js";
import { cookieWords, probeReason } from "../distribution/core/words.js";
import { createProbe, type ProbeEndpoint } from "../distribution/prober.js";
import { eachOf } from "../each-of.js";
import { isHiddenNode, type RegisteredNode, type Registry } from "../epmd/core/registry.js";
import type { LinkTellers } from "../epmd/link-tellers.js";
import { ConfigError, describeError } from "../errors.js";
import { type Domains, servedDomains } from "../names/domains.js";
import { formatNodeName, isHelperName } from "../names/node-name.js";
import { LOOPBACK } from "../net/endpoint.js";
import type { Machine } from "../os/machine.js";
import { usersOfPort } from "../os/sockets.js";
import { type Glob, parseGlob } from "../text.js";
import {
  type ClusterCheck,
  type ClusterPeer,
  clusterCheck,
  type LocalLinks,
  notReady,
} from "./core/cluster-readiness.js";

export interface ClusterReadinessDeps {
  readonly config: Config;
  readonly machine: Machine;
  readonly registry: Registry;
  readonly domains: Domains;
  /** VMs with the module, which say themselves with whom they are linked. */
  readonly links: Pick<LinkTellers, "ask">;
  /** The nodes that a catalogue has. @throws ConfigError, ConsulError, NomadError */
  readonly list: (pattern: string) => Promise<readonly ClusterNode[]>;
}

/** Milliseconds: a VM on this machine answers at once, and a health check waits for a second or two. */
const PROBE_TIMEOUT = 1_500;
/** How long an answer is used, milliseconds: several programs may ask for health. */
const LIFETIME = 1_000;

/**
 * Whether the nodes here are linked with a whole cluster. A VM with the module says with whom it is linked; any other is
 * joined for a moment, with the cookie of `--cookie-file`.
 */
export class ClusterReadiness {
  readonly #deps: ClusterReadinessDeps;
  readonly #peers = new Lately<string, readonly ClusterPeer[]>();
  readonly #links = new Lately<RegisteredNode, LocalLinks>();
  #probe: ProbeEndpoint | undefined;

  constructor(deps: ClusterReadinessDeps) {
    this.#deps = deps;
  }

  /** Whether a pattern is for nodes of `--domain`, which /v1/cluster lists for strangers too. @throws ValueError */
  isServed(pattern: string): boolean {
    return servedDomains(this.#deps.config).includes(this.#read(pattern).host);
  }

  /**
   * @param isLocal strangers are not told why nothing is known of a VM
   * @throws ValueError for what is no pattern, ConfigError for a host that is no service
   */
  async check(pattern: string, isLocal: boolean): Promise<ClusterCheck> {
    const { glob, host } = this.#read(pattern);
    const here = this.#nodesHere(glob, host);
    const asked = eachOf(here, ({ node, full }) => this.#links.get(node, () => this.#linksOf(node, full)));
    const links = asked.then((all) => (isLocal ? all : all.map(untold)));
    try {
      const peers = await this.#peers.get(host, () => this.#peersAt(host));
      const matching = peers.filter(({ node }) => glob.matches(node.slice(0, node.lastIndexOf("@"))));
      return clusterCheck(`${glob.pattern}@${host}`, matching, await links);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      return notReady(`the nodes of ${host} are not known: ${describeError(error)}`);
    }
  }

  #read(pattern: string): { readonly glob: Glob; readonly host: string } {
    const { config, machine } = this.#deps;
    return readPattern(pattern, config, machine.names);
  }

  #nodesHere(glob: Glob, host: string): { readonly node: RegisteredNode; readonly full: string }[] {
    const { registry, domains } = this.#deps;
    return registry.nodes().flatMap((node) => {
      const { aliveName } = node;
      const own = domains.listedHost(aliveName, host);
      if (own === undefined || !glob.matches(aliveName) || isHelperName(aliveName, registry.isAlive)) return [];
      return [{ node, full: formatNodeName({ aliveName, host: own }) }];
    });
  }

  /** The nodes that are up, each once. @throws ConfigError, ConsulError, NomadError */
  async #peersAt(host: string): Promise<readonly ClusterPeer[]> {
    const { config, list } = this.#deps;
    // The embedded zone has the nodes here and no others.
    if (config.dnsListen && servedDomains(config).includes(host)) {
      return this.#nodesHere(parseGlob("*"), host).map(({ node, full }) => ({
        node: full,
        hidden: isHiddenNode(node),
      }));
    }
    const nodes = (await list(`*@${host}`)).filter(({ health }) => health !== "critical");
    const peers = new Map(nodes.map(({ node, hidden = false }) => [node, { node, hidden }]));
    return Array.from(peers.values());
  }

  /** Never rejects. */
  async #linksOf(node: RegisteredNode, full: string): Promise<LocalLinks> {
    const hidden = isHiddenNode(node);
    const told = await this.#deps.links.ask(node);
    if (typeof told !== "string") return { ...told, hidden };
    const { cookieFile } = this.#deps.config;
    if (cookieFile !== undefined) return this.#joined(node, full, cookieFile);
    const seconds = Math.round((Date.now() - node.since) / 1000);
    const unsaid = `its VM, registered ${seconds} s ago, has not said it, as one with the module srv_epmd does within seconds, and serve has no --cookie-file to ask it with`;
    return { node: full, hidden, unknown: told === "silent" ? "its VM does not answer" : unsaid };
  }

  async #joined(node: RegisteredNode, full: string, cookieFile: string): Promise<LocalLinks> {
    const { aliveName, address, family, port } = node;
    const hidden = isHiddenNode(node);
    try {
      // A node that is joined gets a digest of the cookie for a challenge of its choice, which may be that of another VM.
      const fault = await whyNotTrusted(cookieFile, port, address);
      if (fault !== undefined) return { node: full, hidden, unknown: fault };
      const settings = { cookieFile, cookieEnv: undefined, timeout: PROBE_TIMEOUT };
      this.#probe ??= await createProbe(settings, { env: {} });
      const place = { address: address ?? LOOPBACK[family], port };
      const probe = await this.#probe(place, (name) => name.startsWith(`${aliveName}@`), full);
      const joined = "joined" in probe ? probe.joined : undefined;
      if (probe.result === "node" && joined?.cookie === "same" && joined.state) {
        const { state } = joined;
        // A VM registers as a normal node, hidden or not.
        return {
          node: probe.name,
          hidden: hidden || probe.hidden,
          linked: new Set([...state.visible, ...state.hidden]),
        };
      }
      // The file may have another cookie by now.
      this.#probe = undefined;
      return { node: full, hidden, unknown: joined ? cookieWords(joined) : probeReason(probe) };
    } catch (error) {
      return { node: full, hidden, unknown: describeError(error) };
    }
  }
}

async function ownerOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    ({ uid }) => uid,
    () => undefined,
  );
}

function untold(one: LocalLinks): LocalLinks {
  return "unknown" in one ? { ...one, unknown: "ask from its own machine, which is told more" } : one;
}

/** Why a VM is not joined: only the user whose cookie it is may be at its port; undefined: it is. */
async function whyNotTrusted(
  cookieFile: string,
  port: number,
  address: string | undefined,
): Promise<string | undefined> {
  if (address !== undefined) return "its VM is on another machine, and is not joined with the cookie";
  const [owner, users] = await Promise.all([ownerOf(cookieFile), usersOfPort(port)]);
  // The reader of the file says what is wrong with it.
  if (owner === undefined) return undefined;
  const others = Array.from(users ?? []).filter((uid) => uid !== owner && uid !== 0);
  if (others.length === 0) return undefined;
  return `the user ${others.join(", ")} has its port, not ${owner}, whose file the cookie is in (--cookie-file): it is not joined`;
}

/** The last answers to questions. Equal questions within a second have one answer. */
class Lately<Key, Answer> {
  readonly #answers = new Map<Key, { readonly answer: Promise<Answer>; readonly until: number }>();

  get(key: Key, ask: () => Promise<Answer>): Promise<Answer> {
    const now = performance.now();
    for (const [old, { until }] of this.#answers) if (until <= now) this.#answers.delete(old);
    const answer = this.#answers.get(key)?.answer ?? ask();
    if (!this.#answers.has(key)) this.#answers.set(key, { answer, until: now + LIFETIME });
    return answer;
  }
}
