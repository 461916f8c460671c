import pino from "pino";
import { expect, test } from "vitest";
import type { CommandContext } from "../../src/cli/io.js";
import type { Report } from "../../src/cli/resolve-report.js";
import { watchNodes } from "../../src/cli/resolve-watch.js";
import { parseNodeName } from "../../src/names/node-name.js";
import { type NotFound, notFound } from "../../src/resolve/core/resolution.js";
import { waitFor } from "../support/wait-for.js";

test("a reason that says the same in other words, with another time or server, is no change", async () => {
  const out: string[] = [];
  let stop = () => {};
  const context = {
    config: { json: false },
    io: {
      ...{ stdout: (text: string) => out.push(text), stdoutIsTerminal: false, env: {}, columns: 80 },
      onSignal: (listener: (signal: NodeJS.Signals) => void) => {
        stop = () => listener("SIGINT");
      },
    },
    log: pino({ enabled: false }),
  };
  const answers: NotFound[] = [
    notFound("SRV_NXDOMAIN", "no SRV record, says 10.0.0.1 (1.2 ms)"),
    notFound("SRV_NXDOMAIN", "no SRV record, says 10.0.0.2 (1.3 ms)"),
    notFound("SRV_NODATA", "no SRV record, says 10.0.0.2 (1.3 ms)"),
  ];
  let looks = 0;
  const lookUp = async (): Promise<Report> => {
    const answer = answers[Math.min(looks++, answers.length - 1)] ?? notFound("SRV_NXDOMAIN", "");
    return { node: "a@h.test", answer, elapsedMs: 1 };
  };
  const done = watchNodes([parseNodeName("a@h.test")], lookUp, context as unknown as CommandContext);
  await waitFor(() => looks > 3, { what: "four looks", timeout: 10_000 });
  stop();
  await done;
  expect(out.map((line) => line.trimEnd().replace(/^.*?: /, ""))).toEqual([
    expect.stringContaining("says 10.0.0.1"),
    expect.stringContaining("says 10.0.0.2"),
  ]);
});
