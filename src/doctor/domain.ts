import { servedDomains } from "../names/domains.js";
import { domainDoubts, publishesToConsul } from "../publish/core/publication.js";
import { listed } from "../text.js";
import { fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { whyUnpublished } from "./way.js";

export const domain: Check = {
  id: "domain",
  title: "nodes are published under each --domain, and every version of Consul finds them there",
  run: async ({ config }) => {
    const doubts = domainDoubts(config);
    if (doubts.length === 0) {
      const domains = servedDomains(config);
      return publishesToConsul(config) && domains.length > 0
        ? ok(`nodes are published under ${listed(domains)}`)
        : (whyUnpublished(config) ?? skip("there is no --domain"));
    }
    return together(
      doubts.map(({ kind, evidence, advice }) =>
        kind === "unpublished"
          ? fail("DOMAIN_UNPUBLISHED", evidence, advice)
          : warn("DOMAIN_DOUBTFUL", evidence, advice),
      ),
      "",
    );
  },
};
