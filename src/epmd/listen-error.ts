import { ListenError } from "../errors.js";
import { formatPeer } from "./peer.js";

/** Not there, not of a family that this machine has, or link-local: that needs a zone, and no node is asked for there. */
const ABSENT = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"]);

/** @param code of a system's error: this machine has no such address, for now or for ever */
export function isAbsent(code: string | undefined): boolean {
  return ABSENT.has(code ?? "");
}

/** What it means that an address cannot be listened on: LISTEN_IN_USE, LISTEN_FAILED. */
export function listenError(at: { readonly address: string; readonly port: number }, error: unknown): ListenError {
  const { code, message } = error as NodeJS.ErrnoException;
  const where = formatPeer(at);
  if (code === "EADDRINUSE") return new ListenError("LISTEN_IN_USE", `${where} is in use`, { cause: error, at });
  const why = isAbsent(code) ? "this machine has no such address" : message;
  return new ListenError("LISTEN_FAILED", `cannot listen on ${where}: ${why}`, { cause: error });
}
