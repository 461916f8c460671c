import type { Status } from "../admin/core/view.js";
import type { Config } from "../config/config.js";
import { hostPort } from "../net/ip.js";

const ASK_TIMEOUT = 1_000;
/** Thousands of nodes fit in; whoever has the port may be another program, which says more. Bytes. */
const LONGEST = 8 * 1024 * 1024;

/** What doctor reads of it. */
export type DaemonSays = Pick<Status, "epmd" | "readiness" | "nodes">;

/** What the daemon here says of itself over HTTP; undefined where none does. It may be another than the one that is examined. */
export async function daemonStatus({ admin }: Pick<Config, "admin">): Promise<DaemonSays | undefined> {
  if (!admin) return undefined;
  const { address, port } = admin;
  try {
    const answer = await fetch(`http://${hostPort(address, port)}/v1/status`, {
      signal: AbortSignal.timeout(ASK_TIMEOUT),
      redirect: "error",
    });
    const said = JSON.parse(await bounded(answer)) as Partial<DaemonSays>;
    const isStatus = Array.isArray(said.readiness?.checks) && Array.isArray(said.nodes);
    return typeof said.epmd?.port === "number" && isStatus ? (said as DaemonSays) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws when the body is too long */
async function bounded({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > LONGEST) throw new RangeError(`more than ${LONGEST} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
