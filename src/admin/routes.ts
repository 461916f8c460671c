import type { ToldSettings } from "../config/told.js";
import { ValueError } from "../config/values.js";
import { refusedName } from "../epmd/look-up.js";
import type { Peer } from "../epmd/peer.js";
import { ConfigError, ConsulError, describeError, NomadError } from "../errors.js";
import { namePattern, parseNodeName } from "../names/node-name.js";
import { resolutionObject } from "../resolve/core/resolution.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import { printable, printableJson } from "../text.js";
import { version } from "../version.js";
import { lookUpFilter } from "./core/recent-look-ups.js";
import type { Exposition } from "./exposition.js";
import { renderPage } from "./page.js";
import type { DaemonStatus } from "./status.js";

interface RouteRequest {
  readonly query: URLSearchParams;
  readonly peer: Peer;
  /** A browser asks, and does not say for which page: perhaps for one of another site. */
  readonly forUnknownPage: boolean;
}

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export type Route = (request: RouteRequest) => Reply | Promise<Reply>;

interface RouteDeps {
  readonly status: DaemonStatus;
  readonly nodes: NodeResolver;
  readonly exposition: () => Promise<Exposition>;
  readonly consulUrl: string;
  readonly nomadUrl: string;
  /** /readyz was answered. */
  readonly onReadyAsked: (ready: boolean) => void;
}

const TEXT = "text/plain; charset=utf-8";
/** Loaded when asked for: only the bundler and the test runner can load these as modules. */
export async function assets(): Promise<{ readonly css: string; readonly script: string }> {
  const [css, script] = await Promise.all([import("./page/page.css"), import("./page/page.client.js")]);
  return { css: css.default, script: script.default };
}
const UNKNOWN_PAGE =
  "the browser does not say which page asks, and pages of other sites may not look up nodes: use the address 127.0.0.1 or localhost, or ask with curl";
const HTML = "text/html; charset=utf-8";

/** The answers by path, but for the stream /v1/events. */
export function createRoutes({
  status,
  nodes,
  exposition,
  consulUrl,
  nomadUrl,
  onReadyAsked,
}: RouteDeps): Record<string, Route> {
  return {
    "/": async ({ query, peer }) => {
      const all = await status.all(peer.local);
      return { status: 200, type: HTML, body: renderPage(all, Date.now(), status.lookUps(lookUpFilter(query))) };
    },
    "/page.css": async () => ({ status: 200, type: "text/css; charset=utf-8", body: (await assets()).css }),
    "/page.js": async () => ({ status: 200, type: "text/javascript; charset=utf-8", body: (await assets()).script }),
    "/livez": () => text(200, "alive"),
    "/readyz": async ({ query, peer, forUnknownPage }) => {
      const patterns = query.getAll("cluster");
      if (patterns.length > 0 && forUnknownPage) return text(403, UNKNOWN_PAGE);
      if (patterns.length > MOST_PATTERNS)
        return text(400, `cluster= is given ${patterns.length} times, and ${MOST_PATTERNS} are answered`);
      try {
        if (!peer.local && !patterns.every((pattern) => status.inCluster.isServed(pattern))) {
          return text(403, `only local peers may ask for nodes of others than --domain (--allow ${peer.address})`);
        }
        const { ready, checks, isItselfReady } = await readinessIn(patterns, peer.local, status);
        onReadyAsked(isItselfReady);
        return json(ready ? 200 : 503, { ready, checks });
      } catch (error) {
        return complaint(error, `cluster=${patterns.map((pattern) => JSON.stringify(pattern)).join("&cluster=")}`);
      }
    },
    "/metrics": async () => {
      const { contentType, text: body } = await exposition();
      return { status: 200, type: contentType, body: await body() };
    },
    "/v1/status": async ({ peer }) => {
      const { settings, ...all } = await status.all(peer.local);
      return json(200, peer.local ? { ...all, settings } : all);
    },
    // Apart from the status, which waits for Consul.
    "/v1/settings": ({ peer }) => {
      if (!peer.local) return text(403, `only local peers are told the settings (--allow ${peer.address})`);
      const told: ToldSettings = { version, epmd: { port: status.epmdPort }, ...status.settings() };
      return json(200, told);
    },
    "/v1/nodes": async () => json(200, await status.nodes()),
    "/v1/cluster": async ({ query, peer, forUnknownPage }) => {
      const match = query.get("match");
      if (match === null) return clusterOf(status);
      if (forUnknownPage) return text(403, UNKNOWN_PAGE);
      // As EPMD does: with patterns a stranger could read all of the catalog that our token may read.
      if (!peer.local) return text(403, `only local peers may use patterns (--allow ${peer.address})`);
      try {
        const { catalogue, nodes } = await status.matching(namePattern(match));
        return json(200, { ...(catalogue === "nomad" ? { nomad: nomadUrl } : { consul: consulUrl }), nodes });
      } catch (error) {
        return complaint(error, `match=${JSON.stringify(match)}`);
      }
    },
    "/v1/resolve": ({ query, peer, forUnknownPage }) => {
      if (forUnknownPage) return text(403, UNKNOWN_PAGE);
      const node = query.get("node");
      if (node === null || node === "") return text(400, "which node? ask /v1/resolve?node=name@host");
      return resolveFor(node, peer, nodes);
    },
  };
}

/** Patterns of one request: each costs a list of the catalogue, and a question to each VM here that matches. */
const MOST_PATTERNS = 16;

export function text(status: number, body: string): Reply {
  return { status, type: TEXT, body: `${printable(body)}\n` };
}

function json(status: number, body: object): Reply {
  return { status, type: "application/json; charset=utf-8", body: `${printableJson(body)}\n` };
}

/** @throws ConfigError, ValueError for what is no pattern of nodes */
async function readinessIn(patterns: readonly string[], isLocal: boolean, status: DaemonStatus) {
  const [{ ready, checks }, ...more] = await Promise.all([
    status.readiness(),
    ...patterns.map((pattern) => status.inCluster.check(pattern, isLocal)),
  ]);
  // A stop is told by what concerns this daemon alone: the cluster may be in trouble before.
  return { ready: ready && more.every(({ ok }) => ok), checks: [...checks, ...more], isItselfReady: ready };
}

async function clusterOf(status: DaemonStatus): Promise<Reply> {
  const cluster = await status.cluster();
  if (cluster.outcome === "unavailable") return text(503, cluster.cause);
  if (cluster.outcome === "none") return text(404, `${cluster.reason}: ask /v1/cluster?match=*@svc`);
  return json(200, cluster);
}

/** As `resolve --json`. Strangers get what they may ask EPMD for. */
async function resolveFor(written: string, peer: Peer, nodes: NodeResolver): Promise<Reply> {
  const startedAt = performance.now();
  try {
    const name = parseNodeName(written);
    const refused = refusedName(name, peer);
    if (refused !== undefined) return text(403, refused);
    const resolution = await nodes.resolve(name, {
      sameHost: peer.sameHost,
      mayProbe: peer.local,
      forStranger: !peer.local,
    });
    return json(200, resolutionObject(nodes.fullName(name), resolution, performance.now() - startedAt));
  } catch (error) {
    return complaint(error, `node=${JSON.stringify(written)}`);
  }
}

function complaint(error: unknown, asked: string): Reply {
  if (error instanceof ValueError) return text(400, `${asked} ${error.message}`);
  if (error instanceof ConfigError) return text(400, error.message);
  if (error instanceof ConsulError || error instanceof NomadError) return text(503, describeError(error));
  throw error;
}
