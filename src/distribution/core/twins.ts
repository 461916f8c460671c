import type { Family } from "../../net/endpoint.js";
import type { Probe } from "./words.js";

/** A place at which a VM has told its name. */
export interface NamedPlace {
  readonly port: number;
  readonly family: Family;
  /** Undefined in version 5 of the handshake. */
  readonly creation: number | undefined;
  /** It is known not to be the VM that lives here, whatever its creation. */
  readonly isElsewhere?: boolean;
  /** Who has published the place; undefined: it is not known. */
  readonly publisher?: string | undefined;
}

/** The place with the VM that a probe has found there; nothing where none has told its name. @param whose where that is known */
export function vmAt<E extends Pick<NamedPlace, "port" | "family">>(
  endpoint: E,
  probe: Probe | undefined,
  { isElsewhere = false, publisher }: Pick<NamedPlace, "isElsewhere" | "publisher"> = {},
): (E & NamedPlace)[] {
  return probe?.result === "node" ? [{ ...endpoint, creation: probe.creation, isElsewhere, publisher }] : [];
}

/**
 * The places of different VMs among those of one name: the first of each VM. A VM that is found at an address of either
 * family has one creation at both; two VMs that have registered in the same second at two EPMDs may have the same one, and with it
 * the same port; then they are told apart by who has published them.
 */
export function differentVms<T extends NamedPlace>(places: readonly T[]): T[] {
  return places.filter((place, index) => !places.slice(0, index).some((other) => isSameVm(place, other)));
}

function isSameVm(a: NamedPlace, b: NamedPlace): boolean {
  if (a.creation !== b.creation || a.isElsewhere !== b.isElsewhere) return false;
  if (a.publisher !== undefined && b.publisher !== undefined && a.publisher !== b.publisher) return false;
  return a.family !== b.family || a.port === b.port;
}
