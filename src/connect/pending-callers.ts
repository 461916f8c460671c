import type { Socket } from "node:net";
import { hostPort } from "../net/ip.js";
import type { Refusal } from "./core/inbound.js";

interface PendingCallersOptions {
  /** Whether there are descriptors for so many callers that are not let in yet. */
  readonly hasRoomFor: (callers: number) => boolean;
  /** A caller has ended, or was given up, before its handshake was complete. */
  readonly onRefused: (refusal: Refusal) => void;
  /** Callers at once: beyond that one is given up. Default 512. */
  readonly mostPending?: number | undefined;
}

interface Pending {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
  /** Its handshake is complete. */
  isSecure: boolean;
  /** Why its handshake failed; undefined: it has ended the connection by itself. */
  fault: Pick<Refusal, "code" | "reason"> | undefined;
}

const MOST_PENDING = 512;
/** Milliseconds in which a caller is let in or given up: the handshake, the agent's answer, and that of the VM. */
const PENDING_LIMIT = 12_000;

/** Callers that are not let in yet. Each is known by its address and port, see `placeOf`. */
export class PendingCallers {
  readonly #options: PendingCallersOptions;
  /** The oldest first. */
  readonly #pending = new Map<string, Pending>();

  constructor(options: PendingCallersOptions) {
    this.#options = options;
  }

  /** Takes a connection that has not said anything yet. */
  add(socket: Socket): void {
    const { hasRoomFor, mostPending = MOST_PENDING } = this.#options;
    if (!hasRoomFor(this.#pending.size + 1)) return void socket.destroy();
    const caller = placeOf(socket);
    const timer = setTimeout(() => socket.destroy(), PENDING_LIMIT);
    const pending: Pending = { socket, timer, isSecure: false, fault: undefined };
    this.#pending.set(caller, pending);
    socket.once("close", () => {
      // Another one may have its port by now.
      if (this.#pending.get(caller) === pending) this.remove(caller);
      // Who connects and says nothing, as the TCP check of Consul's agent, is no caller.
      if (pending.isSecure || socket.bytesRead === 0) return;
      const { code, reason } = pending.fault ?? { code: "TLS", reason: "it ends the connection during the handshake" };
      this.#options.onRefused({ code, reason, from: caller });
    });
    if (this.#pending.size > mostPending) this.#leastWanted()?.socket.destroy();
  }

  /** Notes why the handshake of a caller fails. The first reason counts. */
  fail(caller: string, fault: Pick<Refusal, "code" | "reason">): void {
    const pending = this.#pending.get(caller);
    if (pending) pending.fault ??= fault;
  }

  /** The handshake of a caller is complete. @returns false: the caller is gone already */
  secured(caller: string): boolean {
    const pending = this.#pending.get(caller);
    if (pending) pending.isSecure = true;
    return pending !== undefined;
  }

  /** The caller is let in, or gone. */
  remove(caller: string): void {
    clearTimeout(this.#pending.get(caller)?.timer);
    this.#pending.delete(caller);
    this.#options.hasRoomFor(this.#pending.size);
  }

  /** Closes all of them. */
  close(): void {
    for (const { socket } of this.#pending.values()) socket.destroy();
  }

  /** The oldest that says nothing, else the oldest whose handshake is not complete, else the oldest. */
  #leastWanted(): Pending | undefined {
    const all = Array.from(this.#pending.values());
    return all.find(({ socket }) => socket.bytesRead === 0) ?? all.find(({ isSecure }) => !isSecure) ?? all[0];
  }
}

/** Address and port of a caller; empty when the connection is gone already. */
export function placeOf({ remoteAddress, remotePort = 0 }: Socket): string {
  return remoteAddress === undefined ? "" : hostPort(remoteAddress, remotePort);
}
