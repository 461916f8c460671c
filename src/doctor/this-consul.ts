import { datacenterOf } from "../consul/examine.js";
import type { Examination } from "./examination.js";

/** `of dc1 `; empty where the agent does not tell. */
export async function ofDatacenter({ connect }: Examination): Promise<string> {
  const name = await datacenterOf(await connect());
  return name === undefined ? "" : `of ${name} `;
}

/** Which Consul it is, to be compared with that of another machine; undefined where it does not tell. */
export async function thisConsul(examination: Examination): Promise<string | undefined> {
  try {
    const { address } = await examination.leader();
    return address === undefined
      ? undefined
      : `the Consul here: the leader ${await ofDatacenter(examination)}is ${address}`;
  } catch {
    return undefined;
  }
}
