import type { Status } from "../core/admin/view.js";
import type { Config } from "../core/config.js";
import { hostPort } from "../core/ip.js";

/** Where it is unless --admin says otherwise. */
const USUAL_PLACE = { address: "127.0.0.1", port: 9369 };
const ASK_TIMEOUT = 1_000;

type Told = Pick<Status, "epmd" | "readiness">;

/** What the daemon here says of itself over HTTP; undefined where none does. It may be another than the one that is examined. */
export async function daemonStatus({ admin, noAdmin }: Config): Promise<Told | undefined> {
  if (noAdmin) return undefined;
  const { address, port } = admin ?? USUAL_PLACE;
  try {
    const answer = await fetch(`http://${hostPort(address, port)}/v1/status`, {
      signal: AbortSignal.timeout(ASK_TIMEOUT),
    });
    const said = (await answer.json()) as Partial<Told>;
    return typeof said.epmd?.port === "number" && Array.isArray(said.readiness?.checks) ? (said as Told) : undefined;
  } catch {
    return undefined;
  }
}
