import { preferAddresses } from "../dns/core/order.js";
import { nameProblem } from "../dns/wire/record.js";
import { describeError } from "../errors.js";
import type { Endpoint, Family } from "../net/endpoint.js";
import { familyOf, isLinkLocal } from "../net/ip.js";
import {
  type Addresses,
  type AddressLookup,
  dialledAddress,
  enough,
  neededFamilies,
  wantedFamilies,
} from "./addresses.js";
import {
  Bounds,
  epmdErrorCode,
  type NodeDescription,
  type NodeQuestion,
  notFound,
  type Resolution,
  srvOwner,
  type Unavailable,
  unavailable,
} from "./core/resolution.js";
import { type LookupContext, type Source, TRAITS } from "./source.js";

/** A node as another EPMD has it. */
export interface EpmdAnswer {
  readonly port: number;
  readonly description: NodeDescription;
}

export interface FallbackOptions {
  /** Shared with the SRV source, which sends the address queries together with its own. */
  readonly addresses: AddressLookup;
  /** `--srv-name`: a name without SRV records may have addresses. */
  readonly srvName: string;
  /** `--family`. */
  readonly family: Family | "any";
  /** Addresses of this machine, loopbacks included. */
  readonly localAddresses: () => readonly string[];
  /** `--fallback N`. */
  readonly port?: number | undefined;
  /** `--fallback epmd`: PORT_PLEASE2 to the EPMD at an address. Undefined: it does not know the node. Rejects when it cannot be asked. */
  readonly epmd?:
    | ((address: string, aliveName: string, deadline: number) => Promise<EpmdAnswer | undefined>)
    | undefined;
  /** Whether we listen there ourselves. */
  readonly isOwn: (address: string) => boolean;
  /** Milliseconds on the clock of the look-ups' deadlines; default performance.now. */
  readonly now?: () => number;
}

/** Addresses, and the name that has them. */
interface NamedAddresses extends Addresses {
  readonly name: string;
}

/** How long a name waits for the answer of a name before it, milliseconds, and at most this share of the time left. */
const RANK_PATIENCE = 1000;
const RANK_SHARE = 1 / 3;

/** Addresses of a host that are used. */
const MAX_ADDRESSES = 64;
/** EPMDs that are asked for one node. */
const MAX_EPMDS = 8;

/** For a name with addresses and no SRV record: a fixed port, or the port that the EPMD at the address gives. */
export function createFallbackSource(options: FallbackOptions): Source {
  const { srvName, port, epmd, isOwn, localAddresses, now = () => performance.now() } = options;

  /**
   * The addresses of the SRV owner name, which belong to this node; else those of its host, as a stock VM here resolves
   * it. A name waits for the answers of the names before it, but not for long: an answer may never come.
   */
  async function addressesFor(question: NodeQuestion, context: LookupContext): Promise<NamedAddresses> {
    const { node, search, shortHost } = question;
    if (familyOf(node.host) !== undefined) return { ...literal(node.host), name: node.host };
    const families = neededFamilies(wantedFamilies(question.family, options.family), dialledAddress(question, context));
    const owner = srvOwner(srvName, node);
    const names = [
      ...(nameProblem(owner) === undefined ? [{ name: owner, search }] : []),
      ...(shortHost === undefined ? [] : [{ name: shortHost, search: true }]),
      { name: node.host, search },
    ];
    const lookUps = names.map(async ({ name, search: searched }) => {
      const found = await options.addresses.lookUp(name, families, context, searched);
      return { ...found, name };
    });
    const patience = Math.min(RANK_PATIENCE, (context.deadline - now()) * RANK_SHARE);
    const answered = await answersByRank(lookUps, isUsable, patience);
    const none = { name: node.host, addresses: [], ttl: 0, stale: false };
    return (
      answered.find(isUsable) ?? {
        ...none,
        unavailable: answered.findLast(({ unavailable }) => unavailable !== undefined)?.unavailable,
      }
    );
  }

  async function lookUp(question: NodeQuestion, context: LookupContext): Promise<Resolution> {
    const { aliveName, host } = question.node;
    const { addresses, name, ttl, stale, unavailable: silent } = await addressesFor(question, context);
    const bounds = new Bounds(context.trace);
    const families = wantedFamilies(question.family, options.family);
    const usable = preferAddresses(addresses, { family: "any", sources: localAddresses() }).filter(
      (address) => !isLinkLocal(address) && families.some((family) => family === familyOf(address)),
    );
    const preferred = bounds.take("endpoints", usable, MAX_ADDRESSES);
    if (preferred.length === 0) {
      if (silent !== undefined) return silent;
      const short = question.shortHost;
      const names = short === undefined ? `${host} has no` : `neither ${short} nor ${host} has an`;
      return notFound("FALLBACK_NO_ADDRESS", `${names} address to fall back to`);
    }
    const toEndpoint = (address: string, at: number): Endpoint => {
      return { address, port: at, family: familyOf(address) ?? 4, priority: 0, weight: 0, target: name };
    };
    const asked = epmd ? await askEpmds(preferred, aliveName, context.deadline, bounds) : undefined;
    if (asked && asked.known.size > 0) {
      const endpoints = preferred.flatMap((address) => {
        const answer = asked.known.get(address);
        return answer ? [toEndpoint(address, answer.port)] : [];
      });
      // Of the endpoint that is tried first, not of the EPMD that answered first.
      const description = asked.known.get(endpoints[0]?.address ?? "")?.description;
      const known = { ...(description ? { description } : {}), ...bounds.told };
      return { outcome: "found", source: "fallback", endpoints, ttl, stale, ...known };
    }
    if (port !== undefined) {
      const endpoints = preferred.map((address) => toEndpoint(address, port));
      return { outcome: "found", source: "fallback", endpoints, ttl, stale, ...bounds.told };
    }
    if (asked?.failure !== undefined) return asked.failure;
    return notFound("EPMD_NO_NODE", `the EPMD at ${preferred.join(", ")} does not know ${aliveName}`);
  }

  /** Asks all EPMDs at once, and waits for all of them, or for a short time after the first that knows the node. */
  async function askEpmds(addresses: readonly string[], aliveName: string, deadline: number, bounds: Bounds) {
    const known = new Map<string, EpmdAnswer>();
    let failure: Unavailable | undefined;
    // Our own EPMD would start the same look-up again.
    const others = bounds.take(
      "EPMDs",
      addresses.filter((address) => !isOwn(address)),
      MAX_EPMDS,
    );
    const asked = others.map(async (address) => {
      try {
        const answer = await epmd?.(address, aliveName, deadline);
        if (answer) known.set(address, answer);
        return answer !== undefined;
      } catch (error) {
        failure ??= unavailable(epmdErrorCode(error), `EPMD at ${address}: ${describeError(error)}`);
        return false;
      }
    });
    await enough(asked, false);
    return { known, failure };
  }

  return {
    name: "fallback",
    ...TRAITS.fallback,
    lookUp,
  };
}

/** A link-local address cannot be dialled without a zone. */
function isUsable({ addresses }: Addresses): boolean {
  return addresses.some((address) => !isLinkLocal(address));
}

/**
 * Waits until it is decided which answer is used, and gives the answers so far in the order of the look-ups. The first
 * usable one is used: it waits for those before it, but for at most `patience` milliseconds.
 * Rejects when a look-up does.
 */
async function answersByRank<T>(
  lookUps: readonly Promise<T>[],
  isUsable: (answer: T) => boolean,
  patience: number,
): Promise<T[]> {
  const answers: ({ readonly answer: T } | undefined)[] = lookUps.map(() => undefined);
  let isLate = false;
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const settle = () => {
        const first = answers.find((known) => (known === undefined ? !isLate : isUsable(known.answer)));
        if (first !== undefined || !answers.includes(undefined)) resolve();
      };
      timer = setTimeout(() => {
        isLate = true;
        settle();
      }, patience);
      for (const [index, lookUp] of lookUps.entries()) {
        lookUp.then((answer) => {
          answers[index] = { answer };
          settle();
        }, reject);
      }
    });
  } finally {
    clearTimeout(timer);
  }
  return answers.flatMap((known) => (known === undefined ? [] : [known.answer]));
}

function literal(host: string): Addresses {
  return { addresses: [host], ttl: 0, stale: false, unavailable: undefined };
}
