import { expect, test } from "vitest";
import type { OptionKey } from "../../src/config/options.js";
import { tokenOfServe } from "../../src/doctor/core/serve-token.js";

const NONE = { consulToken: undefined, consulTokenFile: undefined, consulAuthMethod: undefined };
const having = (...left: readonly OptionKey[]) => tokenOfServe({ ...NONE, left: new Set(left) });

test.each<[OptionKey, string]>([
  ["consulTokenFile", "a token in a file (--consul-token-file)"],
  ["consulToken", "a token (CONSUL_HTTP_TOKEN)"],
  ["consulAuthMethod", "a login (--consul-auth-method)"],
])("serve has %s, and this command has none", (key, words) => {
  expect(having(key, "consulCa")).toBe(words);
});

test("nothing is missing where serve has none, or this command has one", () => {
  expect(having("consulCa")).toBeUndefined();
  const left = new Set<OptionKey>(["consulTokenFile"]);
  for (const own of [{ consulToken: "x" }, { consulTokenFile: "/f" }, { consulAuthMethod: "jwt" }]) {
    expect(tokenOfServe({ ...NONE, ...own, left })).toBeUndefined();
  }
});
