import type { IpPort } from "../../config/network-values.js";
import { hostPort } from "../../net/ip.js";

/** Whether a daemon asks the name servers that are asked here. @param told its words, which begin with `ip:port` */
export function asksSame(told: readonly string[], asked: readonly { readonly server: IpPort }[]): boolean {
  const own = new Set(asked.map(({ server }) => hostPort(server)));
  const theirs = new Set(told.map((words) => words.split(" ", 1)[0] ?? ""));
  return own.size === theirs.size && Array.from(own).every((place) => theirs.has(place));
}
