import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import type { Environment } from "../../src/config/nomad.js";
import { namespaceOf, nomadUrl } from "../../src/nomad/side.js";

const load = (env: Environment, flags: Parameters<typeof loadConfig>[0]["flags"] = {}) =>
  loadConfig({ command: "serve", flags, env }).config;
const complaint = (env: Environment, flags: Parameters<typeof loadConfig>[0]["flags"] = {}) => {
  try {
    load(env, flags);
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
};

describe("where Nomad's API is", () => {
  test.each<[string, Environment, string]>([
    ["outside of an allocation, as Nomad's own commands have it", {}, "http://127.0.0.1:4646"],
    ["in an allocation: the task API", { NOMAD_SECRETS_DIR: "/secrets" }, "unix:///secrets/api.sock"],
    [
      "NOMAD_ADDR",
      { NOMAD_SECRETS_DIR: "/secrets", NOMAD_ADDR: "https://nomad.example:4646" },
      "https://nomad.example:4646",
    ],
    ["NOMAD_ADDR of a socket", { NOMAD_ADDR: "unix:///run/nomad.sock" }, "unix:///run/nomad.sock"],
  ])("%s", (_, env, url) => {
    expect(nomadUrl(load(env))).toBe(url);
  });

  test("--nomad-addr comes before NOMAD_ADDR", () => {
    expect(nomadUrl(load({ NOMAD_ADDR: "http://a:1" }, { nomadAddr: "http://b:2" }))).toBe("http://b:2");
  });

  test.each(["ftp://x", "unix://", "http://user:s3cr3t@x", "http://x?token=s3cr3t"])("%s is none", (url) => {
    const said = complaint({ NOMAD_ADDR: url }) ?? "";
    expect(said).toMatch(/^NOMAD_ADDR: .* must be http:\/\/host:port, https:\/\/host:port or unix:/);
    expect(said).not.toContain("s3cr3t");
  });
});

describe("the namespace", () => {
  test.each<[string, Environment, string | undefined, string]>([
    ["of the host", { NOMAD_NAMESPACE: "own" }, "written", "written"],
    ["else of the allocation", { NOMAD_NAMESPACE: "own" }, undefined, "own"],
    ["else default", {}, undefined, "default"],
    ["* is for commands that list", { NOMAD_NAMESPACE: "*" }, undefined, "default"],
  ])("%s", (_, env, namespace, expected) => {
    expect(namespaceOf({ namespace }, load(env))).toBe(expected);
  });

  test.each(["my_ns", "a.b", "x".repeat(129), "a b"])("%j is none", (name) => {
    expect(complaint({ NOMAD_NAMESPACE: name })).toContain(
      `NOMAD_NAMESPACE: ${JSON.stringify(name)} must be a namespace`,
    );
  });
});

test("a token is taken from its variable or a file, never from a flag, and is not shown", () => {
  expect(load({ NOMAD_TOKEN: "t" }).nomadToken).toBe("t");
  expect(complaint({ NOMAD_TOKEN: "s3cr3t with blank" })).toMatch(/^NOMAD_TOKEN: its value must be printable/);
  expect(load({ SRV_EPMD_NOMAD_TOKEN_FILE: "/t" }).nomadTokenFile).toBe("/t");
});

test("a certificate and its key go together", () => {
  expect(complaint({ NOMAD_CLIENT_CERT: "/c" })).toContain("NOMAD_CLIENT_KEY");
  expect(load({ NOMAD_CLIENT_CERT: "/c", NOMAD_CLIENT_KEY: "/k", NOMAD_SKIP_VERIFY: "true" }).nomadSkipVerify).toBe(
    true,
  );
});

describe("a --domain of Nomad's", () => {
  test.each([
    ["a.b.c.service.nomad", "3 labels"],
    ["my_svc.service.nomad", '"my_svc" is no service'],
    ["service.nomad", "it names no service"],
    [`${"x".repeat(64)}.service.nomad`, "at most 63 characters between two dots (here are 64)"],
  ])("%s stops the start: %s", (domain, reason) => {
    const said = complaint({}, { domain: [domain] });
    expect(said).toContain(domain);
    expect(said).toContain(reason);
  });

  test("does not go with --dns-listen, whose zone would take its names", () => {
    const flags = { domain: ["svc.service.nomad"], dnsListen: "127.0.0.1:0" };
    expect(complaint({}, flags)).toContain("svc.service.nomad, which is looked up in Nomad's catalogue alone");
  });
});
