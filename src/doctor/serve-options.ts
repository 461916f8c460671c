import type { Config } from "../config/config.js";
import { refusedByServe } from "../config/conflicts.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { qualifiedDomain } from "../names/domains.js";
import { hostPort } from "../net/ip.js";
import { publishesToConsul } from "../publish/core/publication.js";
import { type Finding, fail, ok, warn } from "./core/finding.js";
import { otherOptions, type Way, wayOf } from "./core/other-options.js";
import type { Check, Examination } from "./examination.js";

/** Of ConfigError, with which serve ends. */
const REFUSED = { code: "CONFIG_CONFLICT" } as const;
const STARTS = "serve starts with these options";
const GIVE =
  "give doctor what serve has: nomad alloc exec and docker exec pass the environment of the task, not its arguments, so set what is common by variables";

/** The first check: with other options than serve has, the others look for what is not there. */
export const serveOptions: Check = {
  id: "serve-options",
  title: "the options here: serve starts with them, and the srv-epmd that runs here has the same",
  run: async (examination) => {
    const { config } = examination;
    const { holder } = await examination.epmd();
    const refused = refusedByServe(config);
    if (refused.length > 0) return { ...whyRefused(refused, holder.kind === "srv-epmd"), facts: REFUSED };
    return holder.kind === "srv-epmd" ? compare(examination) : ok(STARTS);
  },
};

/** Where one runs, it was started with other options. */
function whyRefused(complaints: readonly string[], runs: boolean): Finding {
  const evidence = complaints.map((complaint) => `serve does not start with these options: ${complaint}`);
  if (!runs) return fail("OPTIONS_REFUSED", evidence, "put that right and start serve: its log says the same");
  return warn("OPTIONS_REFUSED", [...evidence, "a srv-epmd runs here, so it has other options"], GIVE);
}

async function compare({ config, daemon }: Examination): Promise<Finding> {
  const status = await daemon();
  if (!status) return ok(`${STARTS}; those of the srv-epmd here are not known: ${whyUntold(config)}`);
  const differences = otherOptions(wayOf(status), wayHere(config));
  if (differences.length === 0) return ok(`${STARTS}, and the srv-epmd here has the same`);
  return warn(
    "OPTIONS_DIFFER",
    ["the srv-epmd here has other options than doctor", ...differences.map(({ evidence }) => evidence)],
    `${GIVE}: ${differences.map(({ variable }) => variable).join(" ")}`,
  );
}

function whyUntold({ admin }: Config): string {
  if (!admin) return "--admin none, so it is not asked for them";
  return `none of this EPMD port answers HTTP at ${hostPort(admin)} (give its --admin)`;
}

function wayHere(config: Config): Way {
  return {
    mesh: isMeshed(config),
    publishes: publishesToConsul(config),
    gateway: config.gateway,
    embedded: config.dnsListen !== undefined,
    domains: config.domain.map(({ domain }) => qualifiedDomain(domain, config.consulDomain)),
  };
}
