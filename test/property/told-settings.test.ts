import fc from "fast-check";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { flagOf, OPTION_KEYS } from "../../src/config/options.js";
import { asWritten, readToldSettings } from "../../src/config/told.js";
import { ConfigError } from "../../src/errors.js";

const AT = "127.0.0.1:9369";
const flags = fc.constantFrom(...OPTION_KEYS.map(flagOf), "constructor", "__proto__");
const texts = fc.oneof(
  fc.string(),
  fc.constantFrom("true", "4", "svc", "10.0.0.1:53", "http://a:1", "unix:///x", "a@b=1.2.3.4:5"),
);

test("whatever a program tells, a command has settings that its options can have, or refuses the combination", () => {
  const options = fc.dictionary(flags, fc.oneof(texts, fc.array(texts, { maxLength: 3 }), fc.jsonValue()));
  const told = fc.record({
    version: fc.string(),
    epmd: fc.record({ port: fc.integer() }),
    options,
    withheld: fc.jsonValue(),
  });
  fc.assert(
    fc.property(
      fc.oneof(told, fc.jsonValue()),
      fc.constantFrom("resolve", "wait", "names", "doctor"),
      (json, command) => {
        const daemon = readToldSettings(json, AT);
        if (!daemon) return;
        try {
          const { config, taken } = loadConfig({ command, flags: {}, env: {}, daemon });
          expect(typeof asWritten(taken?.texts ?? new Map())).toBe("string");
          const secrets = [
            config.consulToken,
            config.consulTokenFile,
            config.nodesFile,
            config.consulKey,
            config.relaySocket,
          ];
          expect(secrets.filter((one) => one !== undefined)).toEqual([]);
          expect(`${config.consul}${config.nomadAddr ?? ""}`).not.toContain("unix:");
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          expect(error.code).toBe("CONFIG_CONFLICT");
        }
      },
    ),
  );
});
