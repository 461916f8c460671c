import { hostPort } from "../net/ip.js";
import { accepts } from "../os/sockets.js";
import { listed } from "../text.js";
import { NOT_NAMED, UNKNOWN } from "./asked-node.js";
import { fail, ok, skip } from "./core/finding.js";
import type { Check } from "./examination.js";

/** Milliseconds. */
const CONNECT_TIMEOUT = 1_500;

export const PEER_DAEMON = "peer-daemon";

/** What it tells programs. */
export interface DaemonFacts {
  /** Doctor does not find the node, and the srv-epmd here does: where nobody answers it goes on with what it knew. */
  readonly stillFound: true;
}

export const peerDaemon: Check = {
  id: PEER_DAEMON,
  title: "the srv-epmd here, which the VMs ask, finds the node where doctor does",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const [found, told] = await Promise.all([examination.resolution(), examination.toldByDaemon()]);
    if (!told) return skip("no srv-epmd here tells over HTTP how it finds the node (--admin)");
    if (found.outcome !== "found") {
      if (told.outcome !== "found") return skip(UNKNOWN);
      const still = told.endpoints.map((endpoint) => hostPort(endpoint));
      const answers = await Promise.all(told.endpoints.map((place) => accepts(place, CONNECT_TIMEOUT)));
      if (!answers.includes(true)) {
        return skip(
          `the srv-epmd here still leads VMs to ${listed(still)}, by what it knew, and nothing accepts connections there`,
        );
      }
      const facts: DaemonFacts = { stillFound: true };
      return { ...ok(`the srv-epmd here still finds it, from what it knew, at ${listed(still)}`), facts: { ...facts } };
    }
    if (await examination.hostWay())
      return skip("stock VMs find it by its host, and do not ask the srv-epmd here for it");
    const own = found.endpoints.map((endpoint) => hostPort(endpoint));
    if (told.outcome !== "found") {
      const why = told.reason === undefined ? "" : `: ${told.reason}`;
      return fail(
        "PEER_DAEMON_DIFFERS",
        `the srv-epmd here, which the VMs ask, does not find ${asked.full}${why}; doctor finds it by ${found.source} at ${listed(own)}`,
        "give serve the options and the environment with which doctor finds it, and restart it: serve-options shows what differs",
      );
    }
    const places = told.endpoints.map((endpoint) => hostPort(endpoint));
    if (places.some((place) => own.includes(place))) return ok(`the srv-epmd here finds it at ${listed(places)}`);
    return fail(
      "PEER_DAEMON_DIFFERS",
      `the srv-epmd here leads VMs to ${listed(places)}, and doctor finds ${asked.full} by ${found.source} at ${listed(own)}`,
      "give serve and doctor the same options and environment: serve-options shows what differs; a node that moved a moment ago is found by both within seconds",
    );
  },
};
