import { expect, test } from "vitest";
import { COMMANDS } from "../../src/cli/commands.js";
import { parseArguments } from "../../src/cli/parse.js";

function parse(line: string) {
  const [name, ...args] = line.split(" ");
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (!command) throw new Error(`${name} is no command`);
  return parseArguments(command, args);
}

test.each([
  ["serve --port 1 --domain svc", { port: "1", domain: "svc" }],
  ["serve --port=1 --port=2", { port: ["1", "2"] }],
  ["serve --tag a --gateway --tag b", { tag: ["a", "b"], gateway: "true" }],
  ["serve --gateway=no --tcp-check=true", { gateway: "no", tcpCheck: "true" }],
  ["serve --no-gateway --tcp-check false", { gateway: "false", tcpCheck: "false" }],
  ["serve --gateway --no-gateway", { gateway: "false" }],
  ["serve --service=", { service: "" }],
  ["serve --weight -1", { weight: "-1" }],
  ["module --out -", { out: "-" }],
] as const)("%s", (line, flags) => {
  expect(parse(line)).toEqual({ flags, operands: [] });
});

test("words that are no flags are operands, as everything behind -- is", () => {
  expect(parse("resolve a@h --json b@h").operands).toEqual(["a@h", "b@h"]);
  expect(parse("resolve --json true a@h")).toEqual({ flags: { json: "true" }, operands: ["a@h"] });
  expect(parse("resolve --json=false a@h --json").flags).toEqual({ json: "true" });
  expect(parse("resolve --json -- true --x@h")).toEqual({ flags: { json: "true" }, operands: ["true", "--x@h"] });
});
