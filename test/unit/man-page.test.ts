import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { manual } from "../../src/build/documents.js";
import { COMMANDS } from "../../src/cli/commands.js";
import { manPage } from "../../src/help/roff.js";
import { TOPIC_NAMES } from "../../src/help/topic-names.js";
import { requirePeer } from "../support/require-peer.js";

const page = (topic: string) => manPage({ version: "1", commands: [], topics: [`# t: title\n\n${topic}`] });

describe("a topic as a part of the page for man", () => {
  test("has no line that troff would take for a request of its own", () => {
    expect(page(".so /etc/passwd\n\n```\n.ex\n'br\n```\n")).toContain("\n\\&.so /etc/passwd\n");
    expect(page("```\n.ex\n'br\n```\n")).toContain("\n\\&.ex\n\\(aqbr\n");
  });

  test("has characters that troff would read or print as others by their names", () => {
    expect(page("`a\\n --x '~^` µ…\n")).toContain("\\fBa\\(rsn \\-\\-x \\(aq\\(ti\\(ha\\fR \\[u00B5]\\[u2026]");
  });

  test("refers to another topic by the title of its section", () => {
    expect(page("See [gateway](gateway.md), [it](module.md).\n")).toContain("See GATEWAY, it (MODULE).");
  });
});

describe("srv-epmd.1", () => {
  const written = manual();

  test("has a section for every topic, and every command", () => {
    const sections = Array.from(written.matchAll(/^\.SH (.*)$/gm), ([, title]) => title);
    const topics = TOPIC_NAMES.map((name) => name.toUpperCase());
    expect(sections).toEqual(["NAME", "SYNOPSIS", "COMMANDS", ...topics]);
    for (const { name } of COMMANDS) expect(written).toContain(`\n\\fBsrv\\-epmd\\fR ${name}`);
  });

  test("has nothing but the requests it means to have, and plain ASCII", () => {
    const requests = Array.from(written.matchAll(/^[.']\S*/gm), ([request]) => request);
    const known = ["SH", "SS", "TH", "TP", "PP", "IP", "RS", "RE", "nf", "fi", "br", "in", "nh", "ad"];
    expect(new Set(requests)).toEqual(new Set(known.map((name) => `.${name}`)));
    expect(written).toMatch(/^[\n\x20-\x7e]*$/);
  });
});

requirePeer("groff")("srv-epmd.1 on a terminal of 80 columns", () => {
  test("is read by groff without a complaint", () => {
    const env = { ...process.env, GROFF_NO_SGR: "1", LC_ALL: "C.UTF-8" };
    const args = ["-Tutf8", "-man", "-ww", "-rLL=80n"];
    const { status, stdout, stderr } = spawnSync("groff", args, { input: manual(), encoding: "utf8", env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    // Bold is a letter over itself.
    const shown = stdout.replaceAll(/.[\b]/g, "");
    expect(shown.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect(shown).toContain("--relay-socket");
  });
});
