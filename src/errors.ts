/** One class per layer; `code` is stable and documented, the message is free to change. */
export class SrvEpmdError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Bytes that the protocol does not allow: EPMD_FRAME, EPMD_MESSAGE, DNS_MESSAGE, DIST_MESSAGE. */
export class ProtocolError extends SrvEpmdError {}

/** A command line, variable, file or value that cannot be used: CONFIG_UNKNOWN, CONFIG_VALUE, CONFIG_FILE, CONFIG_CONFLICT. */
export class ConfigError extends SrvEpmdError {}

export type ConsulErrorCode = "CONSUL_FORBIDDEN" | "CONSUL_UNKNOWN" | "CONSUL_REJECTED" | "CONSUL_UNAVAILABLE";

/** The Consul agent refused a call, or did not answer. */
export class ConsulError extends SrvEpmdError {
  declare readonly code: ConsulErrorCode;
}

/** Codes of a NomadError. */
export type NomadErrorCode = "NOMAD_FORBIDDEN" | "NOMAD_UNKNOWN" | "NOMAD_REJECTED" | "NOMAD_UNAVAILABLE";

/** Nomad's HTTP API refused a call, or did not answer. */
export class NomadError extends SrvEpmdError {
  declare readonly code: NomadErrorCode;
}

export type EpmdErrorCode = "EPMD_UNREACHABLE" | "EPMD_ANSWER" | "EPMD_TIMEOUT";

/** An EPMD that cannot be reached, or whose answer is not one of an EPMD. */
export class EpmdError extends SrvEpmdError {
  declare readonly code: EpmdErrorCode;
}

/** Mutual TLS of Consul Connect that is not made with a peer: TLS, or NO_CERTIFICATE of our own. */
export class ConnectError extends SrvEpmdError {
  declare readonly code: "TLS" | "NO_CERTIFICATE";
}

/** A socket that cannot be opened for listening: LISTEN_IN_USE, LISTEN_FAILED. */
export class ListenError extends SrvEpmdError {
  /** The address that cannot be listened on. */
  readonly at: { readonly address: string; readonly port: number } | undefined;

  constructor(code: string, message: string, options?: ErrorOptions & { readonly at?: ListenError["at"] }) {
    super(code, message, options);
    this.at = options?.at;
  }
}

/** The message of anything that was thrown, with the messages of its causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node reports failed connects to several addresses as an AggregateError with an empty message.
  const own =
    error.message ||
    (error instanceof AggregateError ? error.errors.map(describeError).join("; ") : "") ||
    (error as NodeJS.ErrnoException).code ||
    error.name;
  const cause = error.cause === undefined ? "" : describeError(error.cause);
  return cause !== "" && !own.includes(cause) ? `${own}: ${cause}` : own;
}
