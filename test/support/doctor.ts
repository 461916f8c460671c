import { type Place, type RunResult, run } from "./child.js";
import { cleanEnvironment } from "./environment.js";
import { programForAll } from "./program-for-all.js";
import { type CommandOptions, runCli } from "./srv-epmd.js";
import { waitFor } from "./wait-for.js";

export interface Told {
  readonly check: string;
  readonly result: "ok" | "warn" | "fail" | "skip";
  readonly code?: string;
  /** Code of the problem that it follows from. */
  readonly follows?: string;
  readonly evidence: string;
  readonly advice?: string;
  readonly facts?: Readonly<Record<string, unknown>>;
}

export interface Examined {
  /** Exit code. */
  readonly code: number | null;
  readonly stderr: string;
  readonly told: readonly Told[];
  /** @throws when there is no such check */
  readonly of: (check: string) => Told;
  /** Checks with a result, in their order. */
  readonly with: (result: Told["result"]) => string[];
}

/** What is warned of and what fails, in words. */
export function problemsOf({ told }: Examined): string[] {
  const problems = told.filter(({ result }) => result === "fail" || result === "warn");
  return problems.map(({ check, result, evidence }) => `${result} ${check}: ${evidence}`);
}

/** Examines until a check fails: what was broken a moment ago is seen when its time has come. */
export function untilFails(check: string, look: () => Promise<Examined>, timeout = 20_000): Promise<Examined> {
  const failed = async () => {
    const examined = await look();
    return examined.of(check).result === "fail" && examined;
  };
  return waitFor(failed, { what: `${check} to fail`, timeout, interval: 50 });
}

/** `srv-epmd doctor --json` as a process. */
export async function examine(args: readonly string[], options: CommandOptions = {}): Promise<Examined> {
  return readExamined(await runCli(["doctor", "--json", ...args], options));
}

/** The same as a user who may read no process of another one. Needs root. */
export async function examineAsNobody(args: readonly string[], netns: Place): Promise<Examined> {
  const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  const program = [process.execPath, await programForAll(), "doctor", "--json", ...args];
  return readExamined(await run("setpriv", [...nobody, ...program], { netns, env: cleanEnvironment() }));
}

/** What `srv-epmd doctor --json` has printed. */
export function readExamined({ code, stdout, stderr }: RunResult): Examined {
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
