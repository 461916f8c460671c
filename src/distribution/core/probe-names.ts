/**
 * How many names a machine has for its probes. A node that is probed makes an atom of each that it meets, and atoms are
 * never freed.
 */
export const NAMES = 64;

/** A name of this program's own probes: no node has such a name, and a reader of a trace sees what it was. */
const OWN = /^srv-epmd-probe-[0-9]+@/;

export function isProbeName(name: string): boolean {
  return OWN.test(name);
}

/** `srv-epmd-probe-17@box1` @param number below NAMES @param from host name of this machine */
export function probeName(number: number, from: string): string {
  return `srv-epmd-probe-${number}@${hostPart(from)}`;
}

/** What a probe leaves behind in a VM, for people. */
export function leftBehind(from: string): string {
  return `VMs were joined as hidden node srv-epmd-probe-<0..${NAMES - 1}>@${hostPart(from)}; each keeps that name in its atom table, ${NAMES} at most of this machine`;
}

/** The same for programs. */
export function probeNames(from: string): { readonly names: string; readonly most: number } {
  return { names: `srv-epmd-probe-*@${hostPart(from)}`, most: NAMES };
}

function hostPart(from: string): string {
  return from.replaceAll(/[^0-9A-Za-z.-]/g, "-").slice(0, 200) || "localhost";
}
