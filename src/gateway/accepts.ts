import { connect } from "node:net";
import type { RegisteredNode } from "../core/registry.js";

/** A loopback connection takes microseconds, unless the VM's backlog is full: then it is there. Milliseconds. */
const ACCEPT_LIMIT = 500;

/**
 * Whether a node that lives here accepts connections at the gateway's addresses. One whose listener is bound to
 * 127.0.0.1 does not. Asked once for each registration: where a VM listens does not change.
 */
export function createAcceptTest(): (node: RegisteredNode, address: string) => Promise<boolean> {
  const known = new WeakMap<RegisteredNode, Promise<boolean>>();
  return (node, address) => {
    const earlier = known.get(node);
    if (earlier) return earlier;
    const result = accepts(address, node.port);
    known.set(node, result);
    return result;
  };
}

function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const settle = (accepting: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(accepting);
    };
    const timer = setTimeout(settle, ACCEPT_LIMIT, true);
    socket.on("connect", () => settle(true));
    socket.on("error", () => settle(false));
  });
}
