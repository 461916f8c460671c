import { type CommandOptions, runCli } from "./srv-epmd.js";

export interface Told {
  readonly check: string;
  readonly result: "ok" | "warn" | "fail" | "skip";
  readonly evidence: string;
  readonly advice?: string;
}

export interface Examined {
  readonly code: number | null;
  readonly stderr: string;
  readonly told: readonly Told[];
  /** @throws when there is no such check */
  readonly of: (check: string) => Told;
  /** Checks with a result, in their order. */
  readonly with: (result: Told["result"]) => string[];
}

/** `srv-epmd doctor --json` as a process. */
export async function examine(args: readonly string[], options: CommandOptions = {}): Promise<Examined> {
  const { code, stdout, stderr } = await runCli(["doctor", "--json", ...args], options);
  const lines = stdout.split("\n").slice(0, -1);
  const told = lines.map((line) => JSON.parse(line) as Told);
  return {
    code,
    stderr,
    told,
    of: (check) => {
      const found = told.find((one) => one.check === check);
      if (!found) throw new Error(`no check ${check} in:\n${stdout}\n${stderr}`);
      return found;
    },
    with: (result) => told.filter((one) => one.result === result).map(({ check }) => check),
  };
}
