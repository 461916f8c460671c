import { describe, expect, test } from "vitest";
import { ConfigError, ConsulError, describeError, SrvEpmdError } from "../../src/errors.js";

describe("an error of ours", () => {
  test("has a code, a name and the cause", () => {
    const cause = new Error("connect ECONNREFUSED 127.0.0.1:8500");
    const error = new ConsulError("CONSUL_UNAVAILABLE", "the agent does not answer", { cause });
    expect(error).toBeInstanceOf(SrvEpmdError);
    expect(error).toMatchObject({ name: "ConsulError", code: "CONSUL_UNAVAILABLE", cause });
    expect(String(error)).toBe("ConsulError: the agent does not answer");
  });
});

describe("anything thrown is described", () => {
  test("with the causes behind it", () => {
    const root = new Error("ECONNREFUSED");
    const error = new ConfigError("CONFIG_FILE", "cannot read it", { cause: new Error("no way", { cause: root }) });
    expect(describeError(error)).toBe("cannot read it: no way: ECONNREFUSED");
  });

  test("without saying a cause twice", () => {
    expect(describeError(new Error("cannot: ENOENT", { cause: new Error("ENOENT") }))).toBe("cannot: ENOENT");
  });

  test("even when the message is empty, as for a connect to several addresses", () => {
    const refused = [new Error("connect ECONNREFUSED ::1:1"), new Error("connect ECONNREFUSED 127.0.0.1:1")];
    expect(describeError(new AggregateError(refused))).toBe(
      "connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1",
    );
    expect(describeError(Object.assign(new Error(""), { code: "ECONNRESET" }))).toBe("ECONNRESET");
    expect(describeError(new TypeError(""))).toBe("TypeError");
  });

  test("even when it is no error", () => {
    expect(describeError("a word")).toBe("a word");
    expect(describeError(undefined)).toBe("undefined");
  });
});
