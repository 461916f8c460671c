import fc from "fast-check";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import {
  type Command,
  flagOf,
  hasFlag,
  isFileKey,
  OPTION_KEYS,
  optionOf,
  variableOf,
} from "../../src/config/options.js";
import { ValueError } from "../../src/config/values.js";
import { ConfigError } from "../../src/errors.js";

/** Made of what values are made of, so that some of it is nearly right. */
const text = fc.oneof(
  fc.string(),
  fc
    .array(
      fc.constantFrom(
        "10.0.0.1",
        "::1",
        "[",
        "]",
        ":",
        "=",
        "@",
        ".",
        "{name}",
        "%",
        "/",
        "5",
        "s",
        "a",
        "*",
        "http://",
      ),
      {
        maxLength: 6,
      },
    )
    .map((parts) => parts.join("")),
);

test("every parser gives a value or a ValueError, whatever it is given", () => {
  fc.assert(
    fc.property(fc.constantFrom(...OPTION_KEYS), text, (key, value) => {
      try {
        optionOf(key).parse(value);
      } catch (error) {
        expect(error).toBeInstanceOf(ValueError);
      }
    }),
    { numRuns: 5_000 },
  );
});

test("a configuration loads, or a ConfigError names the option by flag, variable or key", () => {
  const command = fc.constantFrom<Command>("serve", "resolve", "names", "wait");
  fc.assert(
    fc.property(command, fc.constantFrom(...OPTION_KEYS), fc.nat(2), text, (chosen, key, place, value) => {
      fc.pre(value !== "" && key !== "config" && isFileKey(key) && (place === 2 || hasFlag(key)));
      const [flags, env, contents] = [
        { [key]: place === 0 ? value : undefined },
        { [variableOf(key)]: place === 1 ? value : undefined },
        place === 2 ? { [flagOf(key)]: value } : null,
      ];
      try {
        loadConfig({ command: chosen, flags, env, file: { path: "f", contents } });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        const name = [`--${flagOf(key)}`, variableOf(key), `f: ${flagOf(key)}`][place] ?? "";
        expect(error.message).toContain(error.code === "CONFIG_CONFLICT" ? flagOf(key) : name);
      }
    }),
    { numRuns: 3_000 },
  );
});
