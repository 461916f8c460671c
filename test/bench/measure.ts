import { readFileSync } from "node:fs";

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** CPU time that a process has taken so far, milliseconds; the clock of proc(5) ticks at 100 Hz. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Resident memory of a process, KiB. */
export function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+([0-9]+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** One line of a report: ours beside the peer's, and the ratio. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
}

export function report(title: string, rows: readonly Row[]): void {
  process.stdout.write(`\n${title}\n`);
  for (const { what, unit, ours, peer, peerName } of rows) {
    const number = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
    const line = [
      what.padEnd(34),
      `srv-epmd ${number(ours)} ${unit}`.padEnd(28),
      `${peerName} ${number(peer)} ${unit}`,
    ];
    process.stdout.write(`  ${line.join("").padEnd(96)}ratio ${(ours / peer).toFixed(2)}\n`);
  }
}

/** Absolute figures, where there is no peer. @param rows a name, and its figures */
export function table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = columns.map((column, index) => {
    return Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0));
  });
  process.stdout.write(`\n${title}\n`);
  for (const row of [columns, ...rows]) {
    const cells = row.map((cell, index) =>
      index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0),
    );
    process.stdout.write(`  ${cells.join("  ").trimEnd()}\n`);
  }
}

/** Three digits, or all of a whole number. */
export function figure(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
