import { describe, expect, test } from "vitest";
import type { OptionKey } from "../../src/config/options.js";
import type { ReadRights } from "../../src/consul/rights.js";
import { mayHide, unreadBy } from "../../src/doctor/unread.js";

const NONE = {
  ...{ consulToken: undefined, consulTokenFile: undefined, consulAuthMethod: undefined },
  left: new Set<OptionKey>(),
};
const SERVE_HAS = { ...NONE, left: new Set<OptionKey>(["consulTokenFile"]) };
const POLICY = 'node_prefix "" { policy = "read" }';
const LACKING: ReadRights = { kind: "known", missing: [POLICY], unread: ["svc"] };
const ALL: ReadRights = { kind: "known", missing: [], unread: [] };

describe("what Consul does not show", () => {
  test("is nothing where ACLs are off, or the token may read it all", () => {
    for (const rights of [{ kind: "acls-off" } as const, ALL, undefined]) {
      expect([mayHide(rights), unreadBy(rights, ["svc"], SERVE_HAS)]).toEqual([false, undefined]);
    }
  });

  test("is shown to serve, which has a token that this command has not", () => {
    for (const rights of [LACKING, { kind: "untold" } as const]) {
      expect(unreadBy(rights, ["svc"], SERVE_HAS)).toEqual({
        ...{ code: "TOKEN_NOT_GIVEN", services: ["svc"] },
        why: "serve has a token in a file (--consul-token-file), and this command has none",
        advice: "give it the same: --consul-token-file FILE, CONSUL_HTTP_TOKEN, or the login that serve has",
      });
    }
  });

  test("is what the token of this command lacks the policy for", () => {
    for (const [own, token] of [
      [{ consulToken: "x" }, "the token"],
      [{ consulTokenFile: "/f" }, "the token in /f"],
      [{ consulAuthMethod: "jwt" }, "the token of a login by jwt"],
    ] as const) {
      expect(unreadBy(LACKING, ["svc", "other"], { ...SERVE_HAS, ...own })).toEqual({
        ...{ code: "TOKEN_CANNOT_READ", services: ["svc"] },
        ...{ why: `${token} lacks ${POLICY}`, advice: `give it the policy ${POLICY}` },
      });
    }
    expect(unreadBy({ kind: "untold" }, ["svc"], { ...NONE, consulToken: "x" })).toBeUndefined();
    expect(mayHide({ kind: "untold" })).toBe(true);
  });

  test("is what the agent's default token lacks the policy for, where nobody has a token", () => {
    expect(unreadBy(LACKING, ["svc"], NONE)).toEqual({
      ...{ code: "DEFAULT_TOKEN_CANNOT_READ", services: ["svc"] },
      why: `the agent's default token, or the anonymous one (none is given) lacks ${POLICY}`,
      advice: expect.stringContaining("acl.tokens.default"),
    });
  });
});
