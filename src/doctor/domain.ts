import { servedDomains } from "../names/domains.js";
import { domainDoubts } from "../publish/core/domains.js";
import { publishesToConsul } from "../publish/core/publication.js";
import type { Check } from "./check.js";
import { fail, listed, ok, skip, together, warn } from "./core/finding.js";

export const domain: Check = {
  id: "domain",
  title: "nodes are published under what --domain names, and every Consul finds them there",
  run: async ({ config }) => {
    const doubts = domainDoubts(config);
    if (doubts.length === 0) {
      return publishesToConsul(config)
        ? ok(`nodes are published under ${listed(servedDomains(config))}`)
        : skip("nothing is published in Consul with these options");
    }
    return together(
      doubts.map(({ kind, evidence, advice }) =>
        kind === "unpublished" ? fail(evidence, advice) : warn(evidence, advice),
      ),
      "",
    );
  },
};
