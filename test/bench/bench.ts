import { describeError } from "../../src/errors.js";
import { stopChildren } from "../support/child.js";
import { benchCatalogueLookups } from "./catalogue-lookups.js";
import { benchClusterBurst } from "./cluster-burst.js";
import { benchClusterStart } from "./cluster-start.js";
import { benchColdResolution } from "./cold.js";
import { benchConnect } from "./connect.js";
import { benchDnsLookups } from "./dns-lookups.js";
import { benchFootprint } from "./footprint.js";
import { benchGrowth } from "./growth.js";
import { benchListings } from "./listings.js";
import { benchLookups } from "./lookups.js";
import { benchModule } from "./module.js";
import { benchRelay } from "./relay.js";

/** `npm run bench`: each figure beside a peer's from the same run, where there is one; then what counts is the ratio. */
const BENCHES = new Map([
  ["footprint", benchFootprint],
  ["cold", benchColdResolution],
  ["lookups", benchLookups],
  ["dns-lookups", benchDnsLookups],
  ["module", benchModule],
  ["relay", benchRelay],
  ["connect", benchConnect],
  ["catalogue-lookups", benchCatalogueLookups],
  ["cluster-start", benchClusterStart],
  ["cluster-burst", benchClusterBurst],
  ["listings", benchListings],
  ["growth", benchGrowth],
]);

const named = process.argv.slice(2);
const unknown = named.filter((name) => !BENCHES.has(name));
if (unknown.length > 0) {
  process.stderr.write(`no bench ${unknown.join(", ")}: there are ${Array.from(BENCHES.keys()).join(", ")}\n`);
  process.exit(2);
}
const chosen = Array.from(BENCHES).filter(([name]) => named.length === 0 || named.includes(name));
for (const [index, [name, bench]] of chosen.entries()) {
  process.stderr.write(`[${index + 1}/${chosen.length}] ${name} ...\n`);
  await bench().catch((error: unknown) => {
    process.stderr.write(`${name} gave up: ${describeError(error)}\n`);
    process.exitCode = 1;
  });
  // Of one that gave up they are still there.
  await stopChildren();
}
process.exit();
