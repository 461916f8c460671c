import { decodeUtf8 } from "./codec.js";

/** How a VM with the module srv_epmd says with whom it is linked, on a connection that it opens and keeps for that. */

/** What a VM says. Full names, as it has them. */
export interface Links {
  /** Its own name. */
  readonly node: string;
  /** The nodes that it is linked with, hidden ones too. */
  readonly linked: ReadonlySet<string>;
}

/** One octet: whom are you linked with? */
export const LINKS_QUESTION = Buffer.from("l");

/** Octets: more nodes than a VM is ever linked with. */
const MOST_LINKS = 4 * 1024 * 1024;

export type LinksRead =
  | { readonly kind: "links"; readonly links: Links }
  | { readonly kind: "more" }
  | { readonly kind: "invalid" };

/**
 * Reads the answer to one question from its start: a 32-bit length, and that many octets of UTF-8. The first line is the
 * name of the VM, the others those of the nodes that it is linked with.
 */
export function readLinks(bytes: Buffer): LinksRead {
  if (bytes.length < 4) return { kind: "more" };
  const length = bytes.readUInt32BE(0);
  if (length > MOST_LINKS || bytes.length > 4 + length) return { kind: "invalid" };
  if (bytes.length < 4 + length) return { kind: "more" };
  const [node, ...linked] = decodeUtf8(bytes.subarray(4))?.split("\n") ?? [];
  if (node === undefined || ![node, ...linked].every(isFullName)) return { kind: "invalid" };
  return { kind: "links", links: { node, linked: new Set(linked) } };
}

function isFullName(text: string): boolean {
  return /^[^@]+@[^@]+$/.test(text);
}
