import { ownSidecars, type Sidecar, sidecarsOfNodes } from "../mesh/core/upstreams.js";
import type { Examination } from "./examination.js";

export async function sidecarsHere({ config, connect: agent, nodes }: Examination): Promise<readonly Sidecar[]> {
  const all = (await (await agent()).sidecars()).filter(ownSidecars(config));
  return sidecarsOfNodes(
    all,
    (await nodes()).map(({ aliveName }) => aliveName),
    config,
  );
}
