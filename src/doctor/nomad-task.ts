import { stat } from "node:fs/promises";
import { join } from "node:path";
import { isBridged, isForTasks } from "../config/nomad.js";
import { isInMesh } from "../mesh/core/upstreams.js";
import { publishesToConsul } from "../publish/core/publication.js";
import { ok, skip, warn } from "./core/finding.js";
import { type NomadPlace, placeFacts, placeWords } from "./core/nomad-place.js";
import type { Check } from "./examination.js";

export const nomadTask: Check = {
  id: "nomad-task",
  title: "in Nomad: the job, the allocation and the client that this is, the ports of the group, Nomad's API for tasks",
  run: async ({ config, machine }) => {
    const { task, ports, secretsDir } = config.nomad;
    if (!task) return skip("this is not a task of Nomad: there is no NOMAD_ALLOC_ID");
    const { hostName } = machine;
    const place = { task, ports, hostName, api: await apiOf(secretsDir ?? "/secrets", task.hasToken) };
    const words = placeWords(place);
    const facts = placeFacts(place);
    if (publishesToConsul(config) && !isInMesh(config) && ports.some(isBridged) && !ports.some(isForTasks)) {
      return {
        ...warn(
          "TASK_NO_PORT",
          [...words, "the group maps no port into its bridge network, so no VM in it can be dialled from elsewhere"],
          'give the group a port, network { port "dist" { to = -1 } }, and let the VM listen on $NOMAD_PORT_dist',
        ),
        facts,
      };
    }
    return { ...ok(words), facts };
  },
};

/** Nomad makes both in the secrets folder of a task (client/allocrunner/taskrunner/api_hook.go and identity_hook.go). */
async function apiOf(folder: string, hasToken: boolean) {
  const path = join(folder, "api.sock");
  const [socket, token] = await Promise.all([statOf(path), statOf(join(folder, "nomad_token"))]);
  const api: NomadPlace["api"] = {
    path,
    isThere: socket?.isSocket() ?? false,
    hasToken: hasToken || token !== undefined,
  };
  return api;
}

function statOf(path: string) {
  return stat(path).catch(() => undefined);
}
