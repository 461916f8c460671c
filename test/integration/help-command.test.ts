import { describe, expect, test } from "vitest";
import { TOPIC_NAMES } from "../../src/help/topic-names.js";
import { runCommand } from "../support/command-line.js";

describe("srv-epmd help", () => {
  test("lists every topic with what it tells, a line each", async () => {
    const { code, stdout, stderr } = await runCommand(["help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const listed = Array.from(stdout.matchAll(/^ {2}([a-z]+) +(\S.*)$/gm));
    expect(listed.map(([, name]) => name)).toEqual([...TOPIC_NAMES]);
  });

  test("prints a topic", async () => {
    const { code, stdout, stderr } = await runCommand(["help", "gateway"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^gateway: .*\n\n {2}The gateway serves /);
  });

  test("prints a topic as wide as a narrow terminal", async () => {
    const { stdout } = await runCommand(["help", "security"], { columns: 60 });
    const lines = stdout.split("\n").map((line) => line.length);
    expect(Math.max(...lines)).toBeLessThanOrEqual(60);
  });

  test("prints the options of a command that has no topic", async () => {
    const [help, flag] = await Promise.all([runCommand(["help", "wait"]), runCommand(["wait", "--help"])]);
    expect(help).toEqual(flag);
    expect(help.stdout).toContain("--timeout");
  });

  test.each([
    ["gatway", '"gatway" is not a topic; was gateway meant? see srv-epmd help'],
    ["option", '"option" is not a topic; was options meant? see srv-epmd help'],
    ["weather", '"weather" is not a topic; see srv-epmd help'],
    ["../../README", '"../../README" is not a topic; see srv-epmd help'],
    ["toString", '"toString" is not a topic; see srv-epmd help'],
  ])("of %s, which is no topic, is exit 2 and names the nearest", async (word, complaint) => {
    expect(await runCommand(["help", word])).toEqual({ code: 2, stdout: "", stderr: `srv-epmd: ${complaint}\n` });
  });

  test("takes one topic", async () => {
    const { code, stderr } = await runCommand(["help", "mesh", "nomad"]);
    expect(code).toBe(2);
    expect(stderr).toContain('"nomad" is one argument too many; usage: srv-epmd help [topic]');
  });

  test("works where the configuration is what is wrong", async () => {
    const env = { SRV_EPMD_CONFIG: "/nowhere/srv-epmd.yaml", SRV_EPMD_PORT: "x" };
    expect(await runCommand(["help", "options"], { env })).toMatchObject({ code: 0, stderr: "" });
  });

  test("completes topics, and stands among the commands", async () => {
    const words = async (...line: string[]) => (await runCommand(["--completions", ...line])).stdout.trim().split("\n");
    expect(await words("he")).toEqual(expect.arrayContaining(["help", "serve"]));
    expect(await words("help", "ga")).toEqual(expect.arrayContaining([...TOPIC_NAMES, "serve"]));
    expect(await words("serve", "--ga")).toContain("--gateway");
    expect((await runCommand(["--help"])).stdout).toMatch(/^ {2}help \[topic\] /m);
  });
});
