import { canonicalIp } from "../ip.js";
import type { Upstream } from "./upstream.js";

/** The constant that Nomad gives, whatever `local_bind_address` is. */
const BIND_ADDRESS = "127.0.0.1";

/** NOMAD_UPSTREAM_ADDR_<destination>, else _IP_ and _PORT_: Nomad sets them for the name as it is written and for the cleaned one. */
export function readNomadUpstreams(env: Readonly<Record<string, string | undefined>>): Upstream[] {
  const found = new Map<string, Upstream>();
  for (const variable of Object.keys(env)) {
    const destination = /^NOMAD_UPSTREAM_(?:ADDR|PORT)_(.+)$/.exec(variable)?.[1];
    if (destination === undefined || found.has(destination)) continue;
    const listener = listenerOf(destination, env);
    if (listener) found.set(destination, { destination, ...listener });
  }
  return Array.from(found.values());
}

/** A destination as Nomad may have written it: raw, with `_` for what is no word character, and the same with dots kept. */
export function nomadSpellings(destination: string): string[] {
  return [destination, destination.replaceAll(/[^A-Za-z0-9_]/g, "_"), destination.replaceAll(/[^A-Za-z0-9_.]/g, "_")];
}

/** Without those that are another's cleaned name. */
export function withoutCleaned(upstreams: readonly Upstream[]): Upstream[] {
  return upstreams.filter(({ destination, port }) => {
    const isCleaned = (other: Upstream) =>
      other.destination !== destination &&
      other.port === port &&
      nomadSpellings(other.destination).includes(destination);
    return !upstreams.some(isCleaned);
  });
}

function listenerOf(destination: string, env: Readonly<Record<string, string | undefined>>) {
  const whole = /^(.*):([0-9]{1,5})$/.exec(env[`NOMAD_UPSTREAM_ADDR_${destination}`] ?? "");
  const [address, port] = whole
    ? [whole[1], whole[2]]
    : [env[`NOMAD_UPSTREAM_IP_${destination}`] || BIND_ADDRESS, env[`NOMAD_UPSTREAM_PORT_${destination}`]];
  const literal = canonicalIp((address ?? "").replace(/^\[(.*)\]$/, "$1"));
  const number = /^[0-9]{1,5}$/.test(port ?? "") ? Number(port) : 0;
  return literal === undefined || number < 1 || number > 65535 ? undefined : { address: literal, port: number };
}
