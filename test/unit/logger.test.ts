import { describe, expect, test } from "vitest";
import { createLogger, type LoggerOptions } from "../../src/daemon/logger.js";
import { ConsulError } from "../../src/errors.js";

function logger(format: LoggerOptions["format"], level: LoggerOptions["level"] = "info") {
  const lines: string[] = [];
  return { lines, log: createLogger({ level, format, write: (line) => lines.push(line) }) };
}

describe("the JSON log", () => {
  test("has a line per event with time, level and fields", () => {
    const { lines, log } = logger("json");
    log.child({ peer: "127.0.0.1:9" }).info({ port: 4369 }, "ready");
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith("}\n")).toBe(true);
    const { time, ...rest } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
    expect(rest).toEqual({ level: "info", peer: "127.0.0.1:9", port: 4369, msg: "ready" });
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("leaves out what is below its level", () => {
    const { lines, log } = logger("json", "warn");
    log.info("quiet");
    log.warn("loud");
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(["loud"]);
  });

  const failure = () => {
    const request = { headers: { "x-consul-token": "s3cr3t" } };
    const cause = Object.assign(new Error("403"), { response: { request } });
    return Object.assign(new ConsulError("CONSUL_FORBIDDEN", "the agent refused", { cause }), { request });
  };

  test("describes an error with its causes in one message", () => {
    const { lines, log } = logger("json");
    log.error({ err: failure() }, "cannot publish");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ err: { message: "the agent refused: 403" } });
    expect(lines[0]).not.toContain("stack");
  });

  test.each(["info", "debug", "trace"] as const)("at level %s holds no request with its token", (level) => {
    const { lines, log } = logger("json", level);
    log.error({ err: failure() }, "cannot publish");
    expect(lines[0]).not.toContain("s3cr3t");
  });

  test("says at debug where an error came from", () => {
    const { lines, log } = logger("json", "debug");
    log.error({ err: failure() }, "cannot publish");
    expect(lines[0]).toContain("logger.test.ts");
  });
});

describe("the pretty log", () => {
  const line = (act: (log: ReturnType<typeof logger>["log"]) => void) => {
    const { lines, log } = logger("pretty");
    act(log);
    expect(lines).toHaveLength(1);
    return (lines[0] ?? "").replace(/^\d\d:\d\d:\d\d\.\d{3}/, "12:00:00.000");
  };

  test("is one readable line", () => {
    expect(line((log) => log.info({ name: "node_a", port: 20001, tags: ["a"] }, "registered"))).toBe(
      '12:00:00.000 INFO  registered name=node_a port=20001 tags=["a"]\n',
    );
  });

  test("puts the problem behind the fields", () => {
    expect(line((log) => log.warn({ err: new Error("ECONNREFUSED"), to: "x" }, "no answer"))).toBe(
      "12:00:00.000 WARN  no answer to=x (ECONNREFUSED)\n",
    );
  });

  test("needs no message", () => {
    expect(line((log) => log.info({ port: 1 }))).toBe("12:00:00.000 INFO  port=1\n");
  });

  test("keeps an alive name with blanks, newlines or escape sequences from forging lines", () => {
    const name = "x\n12:00:00.000 ERROR all is lost\u001b[2J\u009b";
    const text = line((log) => log.info({ name, empty: "" }, `hello ${name}`));
    expect(text.indexOf("\n")).toBe(text.length - 1);
    for (const control of ["\u001b", "\u009b"]) expect(text).not.toContain(control);
    expect(text).toContain('name="x\\n12:00:00.000 ERROR all is lost\\u001b[2J');
    expect(text).toContain('empty=""');
  });
});
