import { Socket } from "node:net";

/** V8 records the hidden classes that a function meets from about its 20th call on. */
const ENOUGH_CALLS = 64;

/**
 * Has V8 give all sockets the same hidden classes. Node copies the options of each socket that it accepts, and adds to the
 * copy. V8 11 (Node 20) makes new hidden classes for each such copy, which is a quarter of the CPU time of a look-up, with the
 * garbage. It no longer does so once it has met options that it can copy only one by one, as those without a prototype. These sockets
 * have no handle, and are garbage at once.
 */
export function shareHiddenClassesOfSockets(): void {
  // Since V8 12 (Node 22) such copies share their hidden classes.
  if (!process.versions.v8.startsWith("11.")) return;
  for (let call = 0; call < ENOUGH_CALLS; call++) new Socket(Object.create(null));
}
