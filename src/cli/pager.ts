import { spawn } from "node:child_process";
import type { Io } from "./io.js";

/** As `man` does; a container may have none. */
const DEFAULT_PAGER = "if command -v less >/dev/null; then exec less; else exec cat; fi";

/** Writes a long text: through $PAGER or less on a terminal, as it is anywhere else. */
export async function page(text: string, { env, stdout, stdoutIsTerminal = false, onSignal }: Io): Promise<void> {
  const pager = env.PAGER ?? DEFAULT_PAGER;
  if (!stdoutIsTerminal || env.TERM === "dumb" || pager === "") return stdout(text);
  // less: -R shows colours, -F ends at once when the text fits on the screen, -X does not clear it.
  const less = `${env.LESS ?? "-F -X"} -R`;
  // Ctrl-C is for the pager: if we ended, it would lose its terminal. Before the start, since the pager may run first.
  onSignal(() => undefined);
  const child = spawn("sh", ["-c", pager], { stdio: ["pipe", "inherit", "inherit"], env: { ...env, LESS: less } });
  const ended = new Promise<boolean>((resolve) => {
    child.once("error", () => resolve(false));
    child.once("close", () => resolve(true));
  });
  // EPIPE: the user closed the pager before the end of the text. This is no failure.
  child.stdin.on("error", () => undefined);
  child.stdin.end(text);
  if (!(await ended)) stdout(text);
}
