import { usesConsulCatalogue } from "../catalogue/core/question.js";
import { writeRights } from "../consul/rights.js";
import { listed } from "../text.js";
import { isThere, messageOf, NO_AGENT } from "./consul-reachable.js";
import { CONSUL_UNUSED, useOfConsul } from "./consul-use.js";
import { after, behind, type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import { tokenOfServe } from "./core/serve-token.js";
import type { Check, Examination } from "./examination.js";
import { ownRegistrations, servicesToWrite } from "./published-nodes.js";
import { NO_TOKEN_GIVEN, tokenWords, type Unread, notGiven as wordsOfNotGiven } from "./unread.js";
import { whyUnpublished } from "./way.js";

export const consulToken: Check = {
  id: "consul-token",
  title: "the token may write the services of the nodes here, and read the instances of services",
  run: async (examination) => {
    const { config } = examination;
    const unpublished = whyUnpublished(config);
    if (useOfConsul(examination) === "none") return unpublished ?? skip(CONSUL_UNUSED);
    if (!(await isThere(examination))) return skip(NO_AGENT);
    const unread = await examination.unread();
    const refused = unpublished ? undefined : await refusedToServe(examination);
    if (unread?.code === "TOKEN_NOT_GIVEN") {
      if (refused) return refused;
      const finding = notGiven(unread, "what Consul has of the nodes");
      const ofServe = await unreadByServe(examination);
      return ofServe ? together([finding, ofServe], "") : finding;
    }
    const written = unpublished ?? (await writing(examination, refused));
    const read = await reading(unread, examination);
    if (!read) return written;
    if (written.result === "fail" || written.result === "warn") {
      return examination.asked && read.result !== "ok" ? together([written, read], "") : written;
    }
    const rights = written.result === "ok" ? written.evidence : [];
    // What is missing comes first.
    return read.result === "ok" ? after(rights, read) : behind(read, rights);
  },
};

function notGiven({ why, advice }: Pick<Unread, "why" | "advice">, what: string): Finding {
  return warn("TOKEN_NOT_GIVEN", `${why}: ${what} is not known here`, advice);
}

/** What the token of serve may not read, as serve tells it; undefined: it reads all, or serve does not tell. */
async function unreadByServe({ daemon }: Examination): Promise<Finding | undefined> {
  const cluster = (await daemon())?.cluster;
  if (cluster?.outcome !== "listed" || cluster.missingPolicies === undefined) return undefined;
  const { patterns, missingPolicies } = cluster;
  const policies = missingPolicies.join(" ");
  return warn(
    "TOKEN_CANNOT_READ",
    `the token of the srv-epmd here lacks ${policies}: Consul shows it no node of ${listed(patterns)}, so look-ups are left to DNS, and patterns of VMs and its page see none`,
    `give the token of serve the policy ${policies}`,
  );
}

/** That Consul refuses the token of serve, as serve tells it; undefined: it does not, or serve does not tell. */
async function refusedToServe(examination: Examination): Promise<Finding | undefined> {
  const { nodes = [] } = (await examination.daemon()) ?? {};
  const reason = nodes.find(({ code }) => code === "CONSUL_FORBIDDEN")?.reason;
  if (reason === undefined) return undefined;
  const policies = policiesToWrite(await servicesToWrite(examination));
  return fail(
    "TOKEN_DENIED",
    `Consul refuses the token of the srv-epmd here: ${reason}`,
    `give serve a token that Consul knows, with the policy ${policies}`,
  );
}

const policiesToWrite = (services: readonly string[]) =>
  services.map((name) => `service "${name}" { policy = "write" }`).join(" ");

/** @param refused that Consul refuses the token of serve; where doctor's may write, serve has another */
async function writing(examination: Examination, refused: Finding | undefined): Promise<Finding> {
  const services = await servicesToWrite(examination);
  if (services.length === 0) return skip("the service is not known: give --domain or --service");
  try {
    const rights = await writeRights(await examination.connect(), services);
    const token = tokenWords(examination.config);
    switch (rights.kind) {
      case "acls-off":
        return ok("ACLs are off in Consul: everybody may write");
      case "token-unknown":
        return fail(
          "TOKEN_UNKNOWN",
          `Consul does not know ${token} (ACL not found)`,
          `give a token that exists, with the policy ${policiesToWrite(services)}: --consul-token-file or CONSUL_HTTP_TOKEN_FILE, or a login (--consul-auth-method)`,
        );
      case "known":
        if (rights.denied.length === 0) return refused ?? ok(`${token} may write ${listed(services)}`);
        return await denied(examination, rights.denied, refused);
      case "untold":
        return await byRegistration(examination, rights.said, policiesToWrite(services));
      default:
        return rights satisfies never;
    }
  } catch (error) {
    return warn(
      "TOKEN_UNTOLD",
      `the rights of the token cannot be asked: ${messageOf(error)}`,
      `it needs ${policiesToWrite(services)}`,
    );
  }
}

/** What the token may not read, where look-ups use Consul's catalogue. DNS is answered with another token: it may serve as well. */
async function reading(unread: Unread | undefined, examination: Examination): Promise<Finding | undefined> {
  if (!unread || !usesConsulCatalogue(examination.config)) return undefined;
  const { code, services, why, advice } = unread;
  const evidence = `${why}: Consul does not show it all that it has of ${listed(services)}`;
  if (!(await isFoundByDns(examination))) return warn(code, evidence, advice);
  const matched = await matchedByPatterns(services, examination);
  if (matched.length === 0) return ok(`${evidence}; look-ups are answered by DNS`);
  const seen = `patterns of VMs here (SRV_EPMD_CONNECT) are matched with ${listed(matched)}, and DNS cannot answer them: they miss nodes, though look-ups are answered by DNS`;
  return warn(code, [evidence, seen], advice);
}

/** Those of the services whose instances serve matches with patterns, and of which it sees no more than doctor: by the same rights. */
async function matchedByPatterns(
  services: readonly string[],
  { daemon, instancesInConsul }: Examination,
): Promise<string[]> {
  const followed = (await daemon())?.followed ?? [];
  const matched = followed.filter(
    ({ catalogue, service, forPatterns }) => catalogue === "consul" && forPatterns && services.includes(service),
  );
  const seen = matched.map(async ({ service, datacenter, instances = 0 }) => {
    const here = await instancesInConsul({ service, datacenter });
    return instances > here.length ? [] : [service];
  });
  return (await Promise.all(seen)).flat();
}

async function isFoundByDns({ asked, published, resolution }: Examination): Promise<boolean> {
  const here = await published();
  return here.every(({ inDns }) => inDns.outcome === "found") && (!asked || (await resolution()).outcome === "found");
}

/** If the nodes here are in Consul although this token may not write them, serve uses a different token than doctor. */
async function denied(
  examination: Examination,
  services: readonly string[],
  refused: Finding | undefined,
): Promise<Finding> {
  const policy = policiesToWrite(services);
  const token = tokenWords(examination.config);
  const evidence = `${token} may not write the service ${listed(services)}`;
  const registrations = await ownRegistrations(examination).catch(() => []);
  const arePublished = registrations.length > 0 && registrations.every(({ held }) => held);
  const way = tokenOfServe(examination.config);
  if (refused && (way !== undefined || arePublished)) return refused;
  if (way !== undefined && arePublished)
    return ok(`serve has published the nodes here with ${way}, which doctor has not`);
  if (way !== undefined) return notGiven(wordsOfNotGiven(way), `whether it may write ${listed(services)}`);
  if (!arePublished) {
    return fail("TOKEN_DENIED", evidence, `give ${recipient(token)} the policy ${policy}`);
  }
  return warn("TOKEN_OTHER", `${evidence}, and the nodes here are published: serve has another token`, [
    `give doctor the token that serve has`,
    `if this is that token, it needs the policy ${policy}`,
  ]);
}

const recipient = (token: string) => (token === NO_TOKEN_GIVEN ? "a token with" : "it");

/** An entry that is there was written with the token. */
async function byRegistration(examination: Examination, said: string, policy: string): Promise<Finding> {
  const registrations = await ownRegistrations(examination);
  if (registrations.some(({ held }) => held !== undefined)) return ok("the token has published the nodes here");
  return warn(
    "TOKEN_UNTOLD",
    `this Consul does not tell the rights of the token: ${said}`,
    `check that its policy has ${policy}`,
  );
}
