const CONTROL = /\p{Cc}/gu;

/** Names come from peers and from DNS: one with a newline or an escape sequence must not forge lines or drive the terminal. */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
