import { leafPolicy } from "../connect/core/credentials.js";
import { ConsulError } from "../errors.js";
import { ownServices } from "../names/domains.js";
import { isThere, messageOf, whyNotAsked } from "./consul-reachable.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { NOT_NATIVE } from "./way.js";

/** The agent renews a certificate long before this share of its time is left. */
const SOON = 0.05;

export const connectCertificate: Check = {
  id: "connect-certificate",
  title: "Connect: the agent gives a certificate for the service of the nodes here, and its CA",
  run: async (examination) => {
    const { config, connect, now } = examination;
    if (!config.connectNative) return NOT_NATIVE;
    const services = ownServices(config);
    if (services.length === 0) return skip("no --domain is a service of Consul, and no --service is given");
    const unasked = (await isThere(examination)) ? await whyNotAsked(examination) : undefined;
    if (unasked) return unasked;
    const findings = services.map(async (service): Promise<Finding> => {
      try {
        const client = await connect();
        const [{ value: leaf }] = await Promise.all([client.leaf(service, 0, 0), client.roots(0, 0)]);
        const left = Date.parse(leaf.validBefore) - now();
        const evidence = `the certificate of ${service} is that of ${leaf.uri}, valid until ${leaf.validBefore}`;
        const life = Date.parse(leaf.validBefore) - Date.parse(leaf.validAfter);
        if (left > life * SOON) return ok(evidence);
        const advice = "see the log of the Consul servers: they should have renewed it; compare the clocks (clock)";
        return warn("CONNECT_EXPIRES", evidence, advice, service);
      } catch (error) {
        return noCertificate(service, error);
      }
    });
    return together(await Promise.all(findings), "");
  },
};

function noCertificate(service: string, error: unknown): Finding {
  const evidence = `there is no certificate for ${service}: ${messageOf(error)}`;
  const isRight = error instanceof ConsulError && error.code === "CONSUL_FORBIDDEN";
  const advice = isRight
    ? `give the token the right: ${leafPolicy(service)}`
    : "see that Connect is on at the Consul servers (connect { enabled = true }), and that consul-agent is well here";
  return fail("CONNECT_NO_CERTIFICATE", evidence, advice, service);
}
