import { readFile } from "node:fs/promises";
import { type Listening, parseListeners } from "../core/doctor/listeners.js";

/** Sockets that listen in this network namespace; undefined where the system does not tell (it is no Linux). */
export async function readListeners(): Promise<readonly Listening[] | undefined> {
  const read = (table: string) => readFile(`/proc/net/${table}`, "utf8").catch(() => undefined);
  const tables = await Promise.all([read("tcp"), read("tcp6")]);
  const found = tables.filter((table) => table !== undefined);
  return found.length === 0 ? undefined : found.flatMap(parseListeners);
}
