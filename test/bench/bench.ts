import { stopChildren } from "../support/child.js";
import { benchColdResolution } from "./cold.js";
import { benchConnect } from "./connect.js";
import { benchDnsLookups } from "./dns-lookups.js";
import { benchFootprint } from "./footprint.js";
import { benchLookups } from "./lookups.js";
import { benchModule } from "./module.js";
import { benchRelay } from "./relay.js";

/**
 * `npm run bench`: each figure beside a peer's from the same run; what counts is the ratio.
 * `npm run bench -- dns-lookups module` runs these only, named after their files.
 */
const BENCHES = new Map([
  ["footprint", benchFootprint],
  ["cold", benchColdResolution],
  ["lookups", benchLookups],
  ["dns-lookups", benchDnsLookups],
  ["module", benchModule],
  ["relay", benchRelay],
  ["connect", benchConnect],
]);

const given = process.argv.slice(2);
const names = given.length > 0 ? given : Array.from(BENCHES.keys());
for (const [index, name] of names.entries()) {
  const bench = BENCHES.get(name);
  if (!bench) throw new Error(`no bench ${name}: there are ${Array.from(BENCHES.keys()).join(", ")}`);
  process.stderr.write(`[${index + 1}/${names.length}] ${name} ...\n`);
  await bench();
}
await stopChildren();
process.exit();
