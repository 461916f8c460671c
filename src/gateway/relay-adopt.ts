import { type OnReadOpts, Socket } from "node:net";

/**
 * The same connection as a socket that reads into a buffer of ours. Node has `onread` for connections that are made, and
 * none for those that are accepted; its own TLSSocket takes over the handle of a socket in this way. Where that handle is
 * not to be had, the socket itself is read, as any other.
 * @param accepted with pauseOnConnect: nothing was read from it
 */
export function adopt(accepted: Socket, onread: OnReadOpts): Socket {
  const inner = accepted as unknown as { _handle?: object | null };
  const handle = inner._handle;
  if (!handle) return readItself(accepted, onread);
  inner._handle = null;
  const socket = new Socket({ handle, onread, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
  // Its server counts it until then, and would not close.
  accepted.destroy();
  return socket;
}

function readItself(accepted: Socket, { callback }: OnReadOpts): Socket {
  accepted.on("data", (bytes) => {
    if (!callback(bytes.length, bytes)) accepted.pause();
  });
  accepted.resume();
  return accepted;
}
