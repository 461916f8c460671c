import { writeRights } from "../consul/examine.js";
import { listed } from "../text.js";
import { isThere, messageOf, NO_AGENT } from "./consul-reachable.js";
import { type Finding, fail, ok, skip, warn } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { ownRegistrations, servicesToWrite } from "./published-nodes.js";
import { whyUnpublished } from "./way.js";

export const consulToken: Check = {
  id: "consul-token",
  title: "the token may write the services of the nodes here",
  run: async (examination) => {
    const { config, connect } = examination;
    const unpublished = whyUnpublished(config);
    if (unpublished) return unpublished;
    if (!(await isThere(examination))) return skip(NO_AGENT);
    const services = await servicesToWrite(examination);
    if (services.length === 0) return skip("the service is not known: give --domain or --service");
    const policies = (names: readonly string[]) =>
      names.map((name) => `service "${name}" { policy = "write" }`).join(" ");
    try {
      const rights = await writeRights(await connect(), services);
      const token = tokenWords(examination);
      switch (rights.kind) {
        case "acls-off":
          return ok("ACLs are off in Consul: everybody may write");
        case "token-unknown":
          return fail(
            "TOKEN_UNKNOWN",
            `Consul does not know ${token} (ACL not found)`,
            `give a token that exists, with the policy ${policies(services)}: --consul-token-file or CONSUL_HTTP_TOKEN_FILE, or a login (--consul-auth-method)`,
          );
        case "known":
          if (rights.denied.length === 0) return ok(`${token} may write ${listed(services)}`);
          return await denied(examination, rights.denied, policies(rights.denied));
        case "untold":
          return await byRegistration(examination, rights.said, policies(services));
        default:
          return rights satisfies never;
      }
    } catch (error) {
      return warn(
        "TOKEN_UNTOLD",
        `the rights of the token cannot be asked: ${messageOf(error)}`,
        `it needs ${policies(services)}`,
      );
    }
  },
};

/** If the nodes here are in Consul although this token may not write them, serve uses a different token than doctor. */
async function denied(examination: Examination, services: readonly string[], policy: string): Promise<Finding> {
  const token = tokenWords(examination);
  const evidence = `${token} may not write the service ${listed(services)}`;
  const registrations = await ownRegistrations(examination).catch(() => []);
  if (registrations.length === 0 || !registrations.every(({ held }) => held)) {
    return fail("TOKEN_DENIED", evidence, `give ${token === NO_TOKEN ? "a token with" : "it"} the policy ${policy}`);
  }
  return warn("TOKEN_OTHER", `${evidence}, and the nodes here are published: serve has another token`, [
    `give doctor the token that serve has`,
    `if this is that token, it needs the policy ${policy}`,
  ]);
}

const NO_TOKEN = "the anonymous token (none is configured)";

function tokenWords({ config }: Examination): string {
  if (config.consulAuthMethod !== undefined) return `the token of a login by ${config.consulAuthMethod}`;
  if (config.consulTokenFile !== undefined) return `the token in ${config.consulTokenFile}`;
  return config.consulToken !== undefined ? "the token" : NO_TOKEN;
}

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
