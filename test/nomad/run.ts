import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { INTO_A_NETWORK, mayMakeNamespaces, OUTSIDE, thisNetwork } from "./lab/needs.js";

/**
 * `npm run test:nomad [-- -t NAME]`: vitest in a network namespace of its own, which is the switch of the lab and the machine of the
 * operator. So nothing of a lab is seen outside of it, and the kernel removes it with the last process. Where namespaces cannot be
 * made, vitest runs as it is, and says of each scenario why it did not run.
 */
const root = fileURLToPath(new URL("../../", import.meta.url));
const vitest = [
  process.execPath,
  `${root}node_modules/vitest/vitest.mjs`,
  ...["run", "--config", `${root}vitest.nomad.config.ts`],
  ...process.argv.slice(2),
];
const [command = "", ...args] = mayMakeNamespaces() ? [...INTO_A_NETWORK, ...vitest] : vitest;
const { status } = spawnSync(command, args, {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, [OUTSIDE]: thisNetwork() },
});
process.exitCode = status ?? 1;
