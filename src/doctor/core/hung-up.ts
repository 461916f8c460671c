import { type Finding, fail } from "./finding.js";

/** A connection of one service in a mesh to another. */
export interface Link {
  readonly source: string;
  readonly destination: string;
}

export interface IntendedLink extends Link {
  /** What Consul says of it; undefined: it cannot be asked from here. */
  readonly isAllowed: boolean | undefined;
}

/** The question to ask where a Consul agent answers, such as on the client of an allocation. */
export function checkCommand({ source, destination }: Link): string {
  return `consul intention check ${source} ${destination}`;
}

export function allowCommand({ source, destination }: Link): string {
  return `consul intention create -allow ${source} ${destination}`;
}

/**
 * Why a sidecar proxy here takes a connection to an upstream and ends it without a word. Both proxies do so: that of the
 * destination where an intention denies the connection, ours where it reaches no proxy of the destination, and that of
 * the destination where nothing listens behind it.
 * @param place the upstream's listener, as evidence
 * @param links from the services of the nodes here to the destination
 */
export function hungUp(place: string, destination: string, links: readonly IntendedLink[]): Finding {
  const taken = `${place}: the sidecar proxy here accepts the connection, and ends it without a word`;
  const behind = [
    `see that the proxy of ${destination} runs and is healthy in Consul (under Nomad its task connect-proxy-${destination})`,
    `see that a VM listens behind it, at the port of the service ${destination}: vm-listens of srv-epmd doctor --all on its machine shows where it does`,
  ];
  const [denied] = links.filter(({ isAllowed }) => isAllowed === false);
  if (denied) {
    const evidence = [taken, `an intention, or the default, does not let ${denied.source} connect to ${destination}`];
    return fail("MESH_DENIED", evidence, [
      `allow it: ${allowCommand(denied)}`,
      ...behind.map((text) => `if that does not help, ${text}`),
    ]);
  }
  const unknown = links.filter(({ isAllowed }) => isAllowed === undefined);
  if (links.length > 0 && unknown.length === 0) return fail("MESH_HUNG_UP", [taken, "intentions allow it"], behind);
  const asked = links.length > 0 ? unknown : [{ source: "<service of the nodes here>", destination }];
  return fail("MESH_HUNG_UP", taken, [
    `probably an intention denies it: ask on the client, or on any machine with a Consul agent, ${asked.map(checkCommand).join("; ")}`,
    `if Consul says Denied: ${asked.map(allowCommand).join("; ")}`,
    ...behind.map((text) => `if it says Allowed, ${text}`),
  ]);
}
