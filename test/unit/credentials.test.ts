import { describe, expect, test } from "vitest";
import { type ConfigInput, loadConfig } from "../../src/config/config.js";
import { refusedByServe } from "../../src/config/conflicts.js";

const SECRET = "s3cr3t-t0ken";
const load = (input: Partial<ConfigInput>, command: ConfigInput["command"] = "names") =>
  loadConfig({ command, flags: {}, env: {}, ...input });
const credentials = (input: Partial<ConfigInput>, command?: ConfigInput["command"]) => {
  const { config, remarks } = load(input, command);
  const { consulToken: token, consulTokenFile: file, consulAuthMethod: method, consulBearerTokenFile: jwt } = config;
  return { token, file, method, jwt, remarks };
};

describe("a login for Consul", () => {
  test("has its method and its JWT in flags, variables and file", () => {
    const both = { consulAuthMethod: "m", consulBearerTokenFile: "/jwt" };
    const env = { SRV_EPMD_CONSUL_AUTH_METHOD: "m", SRV_EPMD_CONSUL_BEARER_TOKEN_FILE: "/jwt" };
    const contents = { "consul-auth-method": "m", "consul-bearer-token-file": "/jwt" };
    for (const input of [{ flags: both }, { env }, { file: { path: "f", contents } }]) {
      expect(credentials(input)).toEqual({ token: undefined, file: undefined, method: "m", jwt: "/jwt", remarks: [] });
    }
  });

  test("takes the JWT that Nomad writes, in a task, unless another is given", () => {
    const env = { SRV_EPMD_CONSUL_AUTH_METHOD: "nomad-workloads", NOMAD_SECRETS_DIR: "/secrets" };
    expect(credentials({ env }).jwt).toBe("/secrets/nomad_consul_default.jwt");
    expect(credentials({ env, flags: { consulBearerTokenFile: "/other" } }).jwt).toBe("/other");
    expect(credentials({ env: { NOMAD_SECRETS_DIR: "/secrets" } }).jwt).toBeUndefined();
  });

  test("needs a JWT elsewhere", () => {
    for (const command of ["serve", "names", "doctor"] as const) {
      expect(() => load({ flags: { consulAuthMethod: "m" } }, command)).toThrow(
        "--consul-auth-method needs a JWT to log in with: give --consul-bearer-token-file too",
      );
    }
  });

  test("with a JWT and no method does not start serve; a tool in its environment does without", () => {
    const env = { SRV_EPMD_CONSUL_BEARER_TOKEN_FILE: "/jwt" };
    expect(() => load({ env }, "serve")).toThrow("give --consul-auth-method too");
    expect(refusedByServe(load({ env }, "doctor").config).join()).toContain("give --consul-auth-method too");
    expect(credentials({ env }).method).toBeUndefined();
  });

  test.each([["consulAuthMethod"], ["consulBearerTokenFile"]])("with an empty %s is refused", (key) => {
    expect(() => load({ flags: { [key]: "" } })).toThrow("must not be empty");
  });
});

describe("a login beside a token", () => {
  const flags = { consulAuthMethod: "m", consulBearerTokenFile: "/jwt" };
  const env = { SRV_EPMD_CONSUL_AUTH_METHOD: "m", SRV_EPMD_CONSUL_BEARER_TOKEN_FILE: "/jwt" };
  const nomads = { CONSUL_HTTP_TOKEN: SECRET, CONSUL_HTTP_TOKEN_FILE: "/secrets/consul_token" };

  test.each([
    ["a flag, and Consul's own variables", { flags, env: nomads }],
    ["a variable, and Consul's own variables", { env: { ...env, ...nomads } }],
    [
      "the file, and Consul's own variables",
      { file: { path: "f", contents: { "consul-auth-method": "m", "consul-bearer-token-file": "/jwt" } }, env: nomads },
    ],
    ["a flag, and our variable for the token file", { flags, env: { SRV_EPMD_CONSUL_TOKEN_FILE: "/t" } }],
    ["a variable, and a token in the file", { env, file: { path: "f", contents: { "consul-token": SECRET } } }],
  ])("wins by %s, and the log says so", (_, input) => {
    const found = credentials(input);
    expect(found).toMatchObject({ token: undefined, file: undefined, method: "m", jwt: "/jwt" });
    expect(found.remarks).toEqual([expect.stringMatching(/is not used: .* says how to get a token for Consul/)]);
    expect(found.remarks.join()).not.toContain(SECRET);
  });

  test("gives way to a token file that was given in a place that wins", () => {
    const found = credentials(
      { env: { ...env, CONSUL_HTTP_TOKEN: SECRET }, flags: { consulTokenFile: "/t" } },
      "serve",
    );
    expect(found).toMatchObject({ file: "/t", method: undefined, jwt: undefined });
    expect(found.remarks).toEqual([
      "SRV_EPMD_CONSUL_AUTH_METHOD is not used: --consul-token-file says how to get a token for Consul",
    ]);
  });

  test.each([
    ["flags", { flags: { ...flags, consulTokenFile: "/t" } }, "--consul-auth-method and --consul-token-file"],
    [
      "variables",
      { env: { ...env, SRV_EPMD_CONSUL_TOKEN_FILE: "/t" } },
      "SRV_EPMD_CONSUL_AUTH_METHOD and SRV_EPMD_CONSUL_TOKEN_FILE",
    ],
    [
      "the file",
      { file: { path: "f", contents: { "consul-auth-method": "m", "consul-token": SECRET } } },
      "f: consul-auth-method and f: consul-token",
    ],
  ])("in the same place, %s, stops the start", (_, input, names) => {
    expect(() => load(input)).toThrow(`${names} are two ways to get a token for Consul: give one`);
  });

  test("leaves Consul's own two variables as they were without a login", () => {
    expect(credentials({ env: nomads })).toMatchObject({ token: SECRET, file: "/secrets/consul_token", remarks: [] });
  });
});
