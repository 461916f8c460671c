/**
 * EPMD requests are a 16-bit length and that many bytes; responses have no length and end with the connection.
 * epmd_srv.c refuses what its buffer of 3 * 1020 bytes could not hold, as soon as the length is there.
 */
export const MAX_REQUEST = 3057;

export type FrameRead =
  | { readonly kind: "frame"; readonly frame: Buffer; readonly rest: Buffer }
  | { readonly kind: "more" }
  | { readonly kind: "invalid"; readonly reason: string };

/** Takes the first frame off the bytes that have arrived. */
export function readFrame(bytes: Buffer): FrameRead {
  if (bytes.length < 2) return { kind: "more" };
  const length = bytes.readUInt16BE(0);
  if (length === 0 || length > MAX_REQUEST) {
    return { kind: "invalid", reason: `request length ${length} is not 1..${MAX_REQUEST}` };
  }
  if (bytes.length < 2 + length) return { kind: "more" };
  return { kind: "frame", frame: bytes.subarray(2, 2 + length), rest: bytes.subarray(2 + length) };
}
