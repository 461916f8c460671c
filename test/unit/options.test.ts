import { describe, expect, test } from "vitest";
import {
  type Command,
  defaultOf,
  flagOf,
  hasFlag,
  OPTION_KEYS,
  optionOf,
  variableOf,
} from "../../src/config/options.js";
import { boolean } from "../../src/config/values.js";
import { OF_MODULE } from "../support/calls.js";

const COMMANDS: readonly Command[] = ["serve", "resolve", "names", "wait"];

describe("the table of options", () => {
  test.each(OPTION_KEYS)("%s has all that the command line and the manual need", (key) => {
    const option = optionOf(key);
    expect(option.commands.length).toBeGreaterThan(0);
    expect(option.help).toMatch(/^\S.{7,}[^.]$/);
    // What stands behind a flag is named, unless it is a switch.
    expect(option.boolean).toBe(option.placeholder === undefined && option.parse === boolean);
    if (!option.boolean && option.only === undefined) expect(option.placeholder).toMatch(/^\S+$/);
  });

  test.each(OPTION_KEYS)("%s can parse its own default for each of its commands", (key) => {
    for (const command of optionOf(key).commands) {
      const text = defaultOf(key, command);
      if (text !== undefined) expect(() => optionOf(key).parse(text)).not.toThrow();
    }
  });

  test("has no two options with one flag, variable or ecosystem variable", () => {
    for (const names of [
      OPTION_KEYS.map(flagOf),
      OPTION_KEYS.map(variableOf),
      OPTION_KEYS.map((key) => optionOf(key).variable).filter((name) => name !== undefined),
    ]) {
      expect(new Set(names).size).toBe(names.length);
    }
  });

  test("derives flag and variable from the key", () => {
    expect([flagOf("maxTtl"), variableOf("maxTtl")]).toEqual(["max-ttl", "SRV_EPMD_MAX_TTL"]);
  });

  test("keeps the variables of the Erlang module free", () => {
    const variables = OPTION_KEYS.map(variableOf);
    for (const name of OF_MODULE) expect(variables).not.toContain(name);
  });

  test("marks every option that carries a secret itself", () => {
    expect(OPTION_KEYS.filter((key) => optionOf(key).secret)).toEqual(["consulToken", "nomadToken"]);
  });

  test("has no flag that gives a secret, which ps would show to every user", () => {
    for (const key of OPTION_KEYS) if (optionOf(key).secret) expect(hasFlag(key)).toBe(false);
  });

  test("has defaults that may differ by command", () => {
    expect(COMMANDS.map((command) => defaultOf("timeout", command))).toEqual(["4s", "4s", "5s", "60s"]);
    expect(COMMANDS.map((command) => defaultOf("logLevel", command))).toEqual(["info", "warn", "warn", "warn"]);
  });
});
