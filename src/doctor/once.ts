import type { NomadServiceQuery } from "../nomad/client.js";

/** Finds when it is asked for the first time, and never again. */
export function once<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | undefined;
  return () => {
    found ??= find();
    return found;
  };
}

/** As once, for each service of Nomad. */
export function onceEach<T>(find: (query: NomadServiceQuery) => Promise<T>): (query: NomadServiceQuery) => Promise<T> {
  const found = new Map<string, Promise<T>>();
  return (query) => {
    const key = `${query.service}.${query.namespace}`;
    const before = found.get(key);
    if (before) return before;
    const finding = find(query);
    found.set(key, finding);
    return finding;
  };
}
