/** Why there is no relay process, or no use of it, and what to do. */
export interface RelayTrouble {
  readonly reason: string;
  readonly advice: string;
}

/** Where no more is known than that it does not answer. */
export const SILENT_RELAY =
  "start srv-epmd relay where it is a unit or a task of its own, with the --relay-socket of serve; elsewhere restart srv-epmd serve, which starts it";

export function silentRelay(reason: string): RelayTrouble {
  return { reason, advice: SILENT_RELAY };
}

/**
 * A relay process is there and says nothing.
 * @param pid undefined: it has never said which it is
 */
export function hangingRelay(reason: string, pid: number | undefined): RelayTrouble {
  const id = pid ?? "PID";
  const where = pid === undefined ? "its PID is in ss -xlp; " : "";
  return {
    reason,
    advice: `${where}a relay process that is stopped (state T in ps -o stat -p ${id}) goes on with kill -CONT ${id}; end one that hangs (kill -KILL ${id}), whose links end with it: srv-epmd serve, or what supervises the relay process, then starts another`,
  };
}

/** Serve does not start it, and nothing listens. @param socket path of the control socket */
export function notStarted(socket: string): RelayTrouble {
  return {
    reason: `nothing answers at ${socket}, and serve starts no relay process here`,
    advice: `start the unit or task of the relay process: srv-epmd relay --relay-socket ${socket}`,
  };
}

/** A folder that is not private. */
interface Folder {
  readonly path: string;
  /** `open`: it is ours, and other users have rights in it. */
  readonly kind: "missing" | "open" | "unusable";
  readonly message: string;
}

/** Neither serve nor the relay process uses such a folder for the control socket. */
export function unusableFolder({ path, kind, message }: Folder): RelayTrouble {
  return {
    reason: message,
    advice:
      kind === "open"
        ? `chmod 700 ${path}, or give serve and relay another --relay-socket: until then both refuse the folder`
        : "give serve and relay another --relay-socket, in a folder of their user",
  };
}
