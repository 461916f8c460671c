import { connect } from "node:net";
import type { RegisteredNode } from "../core/registry.js";

/** A loopback connection takes microseconds, unless the VM's backlog is full. Milliseconds. */
const ACCEPT_LIMIT = 500;

/**
 * Whether a node that lives here accepts connections at every address of the gateway. One whose listener is bound to
 * 127.0.0.1 does not. Asked once for each registration: where a VM listens does not change.
 * @param anyAddress of the range, another each time: whoever took just the address of a host must not pass for the VM
 */
export function createAcceptTest(anyAddress: () => string): (node: RegisteredNode) => Promise<boolean> {
  const known = new WeakMap<RegisteredNode, Promise<boolean>>();
  return (node) => {
    const earlier = known.get(node);
    if (earlier) return earlier;
    const result = accepts(anyAddress(), node.port).then((answer) => {
      // Silence says nothing for the next time; a relay leads to the VM in any case.
      if (answer === undefined) known.delete(node);
      return answer ?? false;
    });
    known.set(node, result);
    return result;
  };
}

/** Undefined: silent. */
function accepts(address: string, port: number): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const settle = (accepting: boolean | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(accepting);
    };
    const timer = setTimeout(settle, ACCEPT_LIMIT, undefined);
    socket.on("connect", () => settle(true));
    socket.on("error", () => settle(false));
  });
}
