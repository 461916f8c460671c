import { printable, printableJson } from "../text.js";
import type { Io } from "./io.js";

/** A result for programs, on a line of its own. */
export function writeJson({ stdout }: Pick<Io, "stdout">, result: object): void {
  stdout(`${printableJson(result)}\n`);
}

/** A sentence about what this program does: names and reasons in it come from elsewhere. */
export function complain({ stderr }: Pick<Io, "stderr">, sentence: string): void {
  stderr(`${printable(`srv-epmd: ${sentence}`)}\n`);
}
