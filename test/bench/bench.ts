import { stopChildren } from "../support/child.js";
import { benchColdResolution } from "./cold.js";
import { benchConnect } from "./connect.js";
import { benchDnsLookups } from "./dns-lookups.js";
import { benchFootprint } from "./footprint.js";
import { benchLookups } from "./lookups.js";
import { benchModule } from "./module.js";
import { benchRelay } from "./relay.js";

/** `npm run bench`: each figure beside a peer's from the same run; what counts is the ratio. */
const BENCHES = [
  benchFootprint,
  benchColdResolution,
  benchLookups,
  benchDnsLookups,
  benchModule,
  benchRelay,
  benchConnect,
];

for (const [index, bench] of BENCHES.entries()) {
  process.stderr.write(`[${index + 1}/${BENCHES.length}] ${bench.name} ...\n`);
  await bench();
}
await stopChildren();
process.exit();
