import { expect, test } from "vitest";
import { asksSame } from "../../src/doctor/core/asked-servers.js";

const HERE = [{ server: { address: "127.0.0.1", port: 8600 } }, { server: { address: "fd00::1", port: 53 } }];

test.each<[string, string[], boolean]>([
  ["the same", ["[fd00::1]:53 (resolv.conf) answers", "127.0.0.1:8600 does not know it (NXDOMAIN)"], true],
  ["fewer", ["127.0.0.1:8600 answers"], false],
  ["others", ["127.0.0.1:8600 answers", "10.0.0.1:53 answers"], false],
  ["none", [], false],
])("a daemon that asks %s name servers as doctor", (_, told, isSame) => {
  expect(asksSame(told, HERE)).toBe(isSame);
});
