import { type Silence, silenceOf } from "../api/core/silence.js";
import type { AskedService } from "../catalogue/core/matching.js";
import type { Config } from "../config/config.js";
import { isAgentHere, noAnswerAdvice } from "../consul/core/silent-agent.js";
import type { ListingFault } from "../doctor/core/cluster-absent.js";
import { APIS, otherUrl } from "../doctor/core/url-of-serve.js";
import { ConsulError, NomadError } from "../errors.js";
import { nomadUrl } from "../nomad/side.js";

type CatalogueName = AskedService["catalogue"];

const KEYS = { consul: "consul", nomad: "nomadAddr" } as const;

/**
 * Why Consul or Nomad does not list its nodes, and what to do first.
 * @param isKnown the srv-epmd here has told nodes in its place
 */
export function listingFault(
  catalogue: CatalogueName,
  error: ConsulError | NomadError,
  config: Config,
  isKnown: boolean,
): ListingFault {
  const { title: name } = APIS[KEYS[catalogue]];
  const url = urlOf(catalogue, config);
  const known = isKnown ? "; the nodes are those that the srv-epmd here knows" : "";
  const silence = silenceOf(error);
  const at = `${name} at ${placeOf(url)}`;
  const advice = elsewhere(catalogue, config) ?? (silence && adviceOn(silence, catalogue, url));
  return {
    text: `${name} does not list its nodes (${silence === "timeout" ? `${url} gives no answer within ${config.timeout} ms` : error.message})${known}`,
    brief: silence ? `${at} does not answer (${WORDS[silence]})` : `${at} does not list its nodes`,
    ...{ code: error.code, advice },
  };
}

/** The error of a command that lists nodes and has nothing else to tell. @param error as the list threw it */
export function listingError(error: unknown, config: Config): unknown {
  if (!(error instanceof ConsulError || error instanceof NomadError)) return error;
  const { text, advice } = listingFault(error instanceof ConsulError ? "consul" : "nomad", error, config, false);
  if (advice === undefined) return error;
  const [message, options] = [`${text}: ${advice}`, { cause: error.cause }];
  return error instanceof ConsulError
    ? new ConsulError(error.code, message, options)
    : new NomadError(error.code, message, options);
}

/** What to do where the srv-epmd here asks a catalogue at another URL; undefined: it does not, as far as is known. */
export function elsewhere(catalogue: CatalogueName, config: Config): string | undefined {
  return otherUrl(KEYS[catalogue], urlOf(catalogue, config), config)?.advice;
}

function urlOf(catalogue: CatalogueName, config: Config): string {
  return catalogue === "consul" ? config.consul : nomadUrl(config);
}

/** `127.0.0.1:8500`; of a Unix socket the URL. */
function placeOf(url: string): string {
  return (URL.canParse(url) && new URL(url).host) || url;
}

const WORDS: Record<Silence, string> = { refused: "refused", timeout: "no answer in time", "no-way": "no way" };

function adviceOn(silence: Silence, catalogue: CatalogueName, url: string): string {
  const { title: name, flag } = APIS[KEYS[catalogue]];
  const another = `or give another one: ${flag}`;
  switch (silence) {
    case "refused":
      return `start the agent of ${name} there, ${another}`;
    case "timeout":
      return catalogue === "consul"
        ? `${noAnswerAdvice(url)}${isAgentHere(url) ? "; srv-epmd doctor here says what it waits for" : ""}`
        : `run srv-epmd doctor here: it says what an agent that listens and does not answer waits for, ${another}`;
    case "no-way":
      return `see that its machine runs and is reached from here, ${another}`;
    default:
      return silence satisfies never;
  }
}
