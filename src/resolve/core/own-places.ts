import { compare } from "../../catalogue/core/instances.js";
import type { IpPort } from "../../config/network-values.js";
import type { Endpoint } from "../../net/endpoint.js";
import { familyOf, hostPort, isLoopback } from "../../net/ip.js";
import type { Advertised } from "../../publish/core/advertised.js";

/** What tells at which published places a node that lives here is found. */
export interface OwnPlaces {
  /** On which it listens. */
  readonly port: number;
  /** Of all interfaces here. */
  readonly addresses: readonly string[];
  /** Where it is published by the settings; undefined: nowhere. */
  readonly advertised: Advertised | undefined;
  /** `ip:port` of what the daemon here has registered for it; empty where that is not known. */
  readonly registered: ReadonlySet<string>;
}

/**
 * The published places without those that are known to lead to the node here. Any of them may lead to it: another program
 * may publish a port mapping. Those come last of which nothing says where the node here is published instead. The order is not
 * that of the answer, which is another one each time.
 */
export function otherPlaces<T extends Pick<Endpoint, "address" | "port" | "family">>(
  places: readonly T[],
  own: OwnPlaces,
): T[] {
  const ours = places.filter((place) => isOwn(place, own));
  const { addresses = [] } = own.advertised ?? {};
  // A host name may stand for any address.
  const isGiven = addresses.length > 0 && addresses.every((one) => familyOf(one) !== undefined);
  const isKnown = own.registered.size > 0 || isGiven;
  // A node is published at one place of each family.
  const isDoubtful = (place: T) => !isKnown && ours.every(({ family }) => family !== place.family);
  return places
    .filter((place) => !ours.includes(place))
    .toSorted((a, b) => Number(isDoubtful(a)) - Number(isDoubtful(b)) || compare(hostPort(a), hostPort(b)));
}

function isOwn(place: IpPort, { port: itsPort, addresses, advertised, registered }: OwnPlaces): boolean {
  const { address, port } = place;
  if (registered.has(hostPort(place))) return true;
  if (port === itsPort && (isLoopback(address) || addresses.includes(address))) return true;
  return port === advertised?.port && advertised.addresses.includes(address);
}
