import type { Found, NotFound, SourceName, Unavailable } from "./resolution.js";

/** A resolution, or what an EPMD that was asked instead has said. */
export type Answer =
  | (Omit<Found, "source" | "description"> & { readonly source: SourceName | "epmd" })
  | NotFound
  | Unavailable;

interface Added {
  /** Further keys of the object. */
  readonly added?: object;
  /** Further keys of an endpoint. */
  readonly ofEndpoint?: (index: number) => object | undefined;
}

/** A resolution as `resolve --json` and the HTTP API give it; the shape is part of the contract. */
export function resolutionObject(
  node: string,
  answer: Answer,
  elapsedMs: number,
  { added, ofEndpoint }: Added = {},
): object {
  const elapsed = Math.round(elapsedMs * 10) / 10;
  if (answer.outcome !== "found") return { node, ...answer, ...added, elapsedMs: elapsed };
  const { outcome, source, stale, ttl, leftOut } = answer;
  const endpoints = answer.endpoints.map((endpoint, index) => ({ ...endpoint, ...ofEndpoint?.(index) }));
  return { node, outcome, source, stale, ttl, endpoints, ...(leftOut && { leftOut }), ...added, elapsedMs: elapsed };
}
