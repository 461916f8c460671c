import { isNomadHost } from "../names/nomad-domain.js";
import type { Examination } from "./examination.js";

export const NOMAD_UNUSED = "Nomad's catalogue is not used: no --domain and no node asked for is under service.nomad";

/** Whether the nodes of a --domain are in Nomad's catalogue. */
export function usesNomad({ config }: Pick<Examination, "config">): boolean {
  return config.domain.some(({ domain }) => isNomadHost(domain, config.consulDomain));
}
