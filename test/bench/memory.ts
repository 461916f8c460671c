import type { Child } from "../support/child.js";

/** On SIGUSR2 the process collects its garbage and says what memory it has. */
const HOOK = `
let asked = 0;
process.on("SIGUSR2", () => {
  gc();
  gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.stdout.write("memory " + ++asked + " " + rss + " " + (heapUsed + external) + "\\n");
});
`;

/** Flags of Node for a process that memoryOf can ask. */
export const MEASURED = ["--expose-gc", "--import", `data:text/javascript,${encodeURIComponent(HOOK)}`];

/** Bytes. */
export interface Memory {
  readonly resident: number;
  /** Of JavaScript, with what its objects have outside of the heap. */
  readonly heap: number;
}

const asked = new WeakMap<Child, number>();

/** What a process started with MEASURED has after its garbage is collected. */
export async function memoryOf(child: Child): Promise<Memory> {
  const number = (asked.get(child) ?? 0) + 1;
  asked.set(child, number);
  child.signal("SIGUSR2");
  const [, resident, heap] = await child.waitForOutput(new RegExp(`^memory ${number} (\\d+) (\\d+)$`, "m"), 60_000);
  return { resident: Number(resident), heap: Number(heap) };
}
