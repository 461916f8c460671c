/** Characters. A JWT of Nomad or Kubernetes has some 1,000. */
const MAX_JWT = 64 * 1024;

/** Why a text cannot be a JWT (RFC 7519, in the compact form of RFC 7515, 7.1); undefined: it may be one. */
export function jwtFault(text: string): string | undefined {
  if (text === "") return "is empty";
  if (text.length > MAX_JWT) return `is longer than ${MAX_JWT / 1024} KiB`;
  const isCompact = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(text);
  return isCompact ? undefined : "holds no JWT: three parts in base64url with dots between them";
}

/** Node's timers hold 2^31-1 ms (24.8 days). */
const LONGEST_TIMER = 0x7fffffff;

/**
 * Milliseconds after a login until the next one: about two thirds of the token's life. Daemons that have started
 * together do not log in together.
 * @param random [0,1)
 */
export function renewAfter(life: number, random: number): number {
  return Math.min(LONGEST_TIMER, life * (0.6 + 0.1 * random));
}
