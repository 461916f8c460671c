import { connect, type Socket } from "node:net";
import { createServer, type SecureContext, type Server, TLSSocket, type TlsOptions } from "node:tls";
import type { IpPort } from "../config/network-values.js";
import type { ConsulClient } from "../consul/client.js";
import { describeError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { Joined } from "../relay/joined.js";
import { type InboundLink, type Refusal, type ServedNode, serverKey, serverNameOf } from "./core/inbound.js";
import { parseServiceUri, serialText, urisOf } from "./core/service-uri.js";
import { NO_TICKET, type ServiceCredentials } from "./trust.js";

/** The service of all nodes here, whose intentions decide. */
interface OwnService {
  readonly service: string;
  readonly credentials: Pick<ServiceCredentials, "now" | "first">;
}

interface InboundOptions {
  readonly agent: Pick<ConsulClient, "authorize">;
  /** @throws while it is not known */
  readonly own: () => OwnService;
  /** Milliseconds for the other direction of a link, when one has ended. */
  readonly linger: number;
  /** Whether there is room for a further link; counts it. */
  readonly admit: () => boolean;
  readonly onLinkEnd: () => void;
  /** Whether there are descriptors for so many callers that are not let in yet. */
  readonly hasRoomFor: (callers: number) => boolean;
  /** A caller was not let in, or a link was cut. */
  readonly onRefused: (refusal: Refusal) => void;
  /** Callers at once that are not let in yet: beyond that the oldest one is given up. Default 512. */
  readonly mostPending?: number;
  /** The listening socket has failed. */
  readonly onError: (error: Error) => void;
}

/** Milliseconds. Node's own limit is two minutes, in which thousands could be opened. */
const HANDSHAKE_LIMIT = 5_000;
const MOST_PENDING = 512;
/** Milliseconds in which a caller is let in or given up: the handshake, the agent's answer, and that of the VM. */
const PENDING_LIMIT = 12_000;
const BACKLOG = 1024;
/** Milliseconds: the VM is on this machine. */
const DIAL_LIMIT = 3_000;

interface Pending {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
  /** Its handshake is complete. */
  isSecure: boolean;
  /** Why its handshake failed; undefined: it has ended the connection by itself. */
  fault: Pick<Refusal, "code" | "reason"> | undefined;
}

interface Standing extends InboundLink {
  readonly service: string;
  readonly serial: string;
  readonly joined: Joined;
}

/** The mTLS port for all nodes here: callers that intentions allow are joined with the VM that they ask for. */
export class Inbound {
  readonly #options: InboundOptions;
  readonly #server: Server;
  readonly #nodes = new Map<string, ServedNode>();
  /** Callers that are not let in yet, by their address and port, the oldest first. */
  readonly #pending = new Map<string, Pending>();
  readonly #standing = new Set<Standing>();
  readonly #asking = new Map<string, ReturnType<ConsulClient["authorize"]>>();
  #timer: NodeJS.Timeout | undefined;
  #isRechecking = false;

  constructor(options: InboundOptions) {
    this.#options = options;
    this.#server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      requestCert: true,
      // What is wrong with a certificate is said by #receive, which still knows the caller's address.
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      secureOptions: NO_TICKET,
      handshakeTimeout: HANDSHAKE_LIMIT,
      SNICallback: this.#sniCallback(),
    });
    this.#server.on("connection", (socket: Socket) => this.#take(socket));
    this.#server.on("tlsClientError", (error, socket) => {
      const pending = this.#pending.get(from(socket));
      if (pending) pending.fault ??= { code: "TLS", reason: describeError(error) };
      // Node reports a handshake that takes too long, and leaves the connection open.
      socket.destroy();
    });
    this.#server.on("secureConnection", (socket) => void this.#receive(socket));
  }

  /** @param recheck milliseconds after which standing links are asked about again; 0: never */
  recheckEvery(recheck: number): void {
    clearInterval(this.#timer);
    if (recheck > 0) this.#timer = setInterval(() => void this.#recheck(), recheck).unref();
  }

  /** @returns the port @throws the error of the system */
  async listen({ address, port }: IpPort): Promise<number> {
    try {
      return await this.#listen(address, port);
    } catch (error) {
      // A machine without IPv6 has no `::`, which stands for all addresses.
      const { code = "" } = error as NodeJS.ErrnoException;
      if (address !== "::" || !["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(code)) throw error;
      return this.#listen("0.0.0.0", port);
    }
  }

  #listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const failed = (error: Error) => {
        this.#server.off("listening", listening);
        reject(error);
      };
      const listening = () => {
        this.#server.off("error", failed).on("error", this.#options.onError);
        resolve((this.#server.address() as { port: number }).port);
      };
      this.#server.once("error", failed).once("listening", listening).listen({ host, port, backlog: BACKLOG });
    });
  }

  serve(node: ServedNode): void {
    this.#nodes.set(serverKey(serverNameOf(node.node)), node);
  }

  drop(node: string): void {
    this.#nodes.delete(serverKey(serverNameOf(node)));
  }

  get links(): InboundLink[] {
    return Array.from(this.#standing, ({ node, caller, since }) => ({ node, caller, since }));
  }

  /** Cuts links that have stalled. @param stall milliseconds */
  sweep(stall: number): void {
    const now = performance.now();
    for (const { joined } of this.#standing) {
      if (joined.stalledSince !== undefined && now - joined.stalledSince > stall) joined.cut();
    }
  }

  /** Cuts every link. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { socket } of this.#pending.values()) socket.destroy();
    for (const { joined } of this.#standing) joined.cut();
    await closed;
  }

  /** A connection that has not said anything yet. */
  #take(socket: Socket): void {
    const { hasRoomFor, mostPending = MOST_PENDING } = this.#options;
    if (!hasRoomFor(this.#pending.size + 1)) return void socket.destroy();
    const caller = from(socket);
    const timer = setTimeout(() => socket.destroy(), PENDING_LIMIT);
    const pending: Pending = { socket, timer, isSecure: false, fault: undefined };
    this.#pending.set(caller, pending);
    socket.once("close", () => {
      // Another one may have its port by now.
      if (this.#pending.get(caller) === pending) this.#letGo(caller);
      // Who connects and says nothing, as the TCP check of Consul's agent, is no caller.
      if (pending.isSecure || socket.bytesRead === 0) return;
      const { code, reason } = pending.fault ?? { code: "TLS", reason: "it ends the connection during the handshake" };
      this.#options.onRefused({ code, reason, from: caller });
    });
    if (this.#pending.size > mostPending) this.#leastWanted()?.socket.destroy();
  }

  /** The oldest that says nothing, else the oldest whose handshake is not complete, else the oldest. */
  #leastWanted(): Pending | undefined {
    const all = Array.from(this.#pending.values());
    return all.find(({ socket }) => socket.bytesRead === 0) ?? all.find(({ isSecure }) => !isSecure) ?? all[0];
  }

  /** The caller is let in, or gone. */
  #letGo(caller: string): void {
    clearTimeout(this.#pending.get(caller)?.timer);
    this.#pending.delete(caller);
    this.#options.hasRoomFor(this.#pending.size);
  }

  /** Node calls it as a method of the TLS socket: when the handshake has failed, its address is no longer known. */
  #sniCallback(): NonNullable<TlsOptions["SNICallback"]> {
    const choose = (name: string, caller: string) => this.#choose(name, caller);
    return function (this: unknown, name, done) {
      const caller = this instanceof TLSSocket ? from(this) : "";
      choose(name, caller).then((context) => done(null, context), done);
    };
  }

  /** The certificate for the server name (SNI) in a client's hello. Rejects when there is none. */
  async #choose(name: string, caller: string): Promise<SecureContext> {
    const fail = (code: Refusal["code"], reason: string) => {
      const pending = this.#pending.get(caller);
      if (pending) pending.fault = { code, reason };
      return new Error(reason);
    };
    // The handshake fails, so that the caller tries the next place at which the node is published.
    if (!this.#nodes.has(serverKey(name))) throw fail("NO_NODE", noNode(name));
    const { service, credentials } = this.#options.own();
    const now = await credentials.first();
    if (!now) throw fail("TLS", `there is no certificate for ${service} yet`);
    return now.context;
  }

  /** The only node here, for callers that give no server name. */
  #sole(): ServedNode | undefined {
    const [first, ...others] = this.#nodes.values();
    return others.length === 0 ? first : undefined;
  }

  /** There are other credentials: callers without a server name get them from now on. */
  renew(): void {
    const { pem } = this.#options.own().credentials.now ?? {};
    this.#server.setSecureContext({ ...pem, minVersion: "TLSv1.2", secureOptions: NO_TICKET });
  }

  async #receive(socket: TLSSocket): Promise<void> {
    const place = from(socket);
    const pending = this.#pending.get(place);
    // It is gone already.
    if (!pending) return void socket.destroy();
    pending.isSecure = true;
    const name = typeof socket.servername === "string" ? socket.servername : undefined;
    const here = () => (name === undefined ? this.#sole() : this.#nodes.get(serverKey(name)));
    const node = here();
    socket.on("error", () => {});
    const refuse = (code: Refusal["code"], reason: string, more: Partial<Refusal> = {}) => {
      socket.destroy();
      this.#options.onRefused({ code, reason, node: node?.node, from: place, ...more });
    };
    if (!node) {
      const several = "it gives no server name (SNI), and several nodes are here";
      return refuse("NO_NODE", name === undefined ? several : noNode(name));
    }
    const { service, credentials } = this.#options.own();
    const own = credentials.now;
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) return refuse("TLS", "it shows no certificate");
    // A text, such as CERT_HAS_EXPIRED, whatever Node's types say.
    if (!socket.authorized) return refuse("TLS", `its certificate is not accepted: ${socket.authorizationError}`);
    const uris = urisOf(certificate.subjectAltName);
    const [caller = ""] = uris;
    const peer = uris.length === 1 ? parseServiceUri(caller) : undefined;
    if (!own || peer?.trustDomain !== own.own.trustDomain) {
      return refuse("NO_SERVICE", `its certificate names no service of ${own?.own.trustDomain}: ${uris.join(", ")}`);
    }
    const serial = serialText(certificate.serialNumber);
    const both = { service: own.uri, caller };
    try {
      const { isAllowed, reason } = await this.#authorize(service, { uri: caller, serial });
      if (!isAllowed) return refuse("DENIED", reason, both);
    } catch (error) {
      return refuse("AGENT", `the Consul agent does not say whether it may come in: ${describeError(error)}`, both);
    }
    if (socket.destroyed) return;
    // It may have ended, or registered at another port, while the agent was asked.
    const vmPlace = here()?.place;
    if (!vmPlace) return refuse("NO_NODE", `${node.node} has ended`, both);
    if (!this.#options.admit()) return refuse("FULL", "the relay process has as many files open as it may", both);
    const vm = connect({
      host: vmPlace.address,
      port: vmPlace.port,
      allowHalfOpen: true,
      noDelay: true,
      timeout: DIAL_LIMIT,
    });
    const abandon = () => {
      vm.destroy();
      this.#options.onLinkEnd();
    };
    const failed = (reason: string) => {
      abandon();
      refuse("VM", `${hostPort(vmPlace)} does not take the connection: ${reason}`, both);
    };
    const onError = (error: Error) => failed(describeError(error));
    const onTimeout = () => failed(`no answer within ${DIAL_LIMIT} ms`);
    vm.once("error", onError).once("timeout", onTimeout);
    vm.once("connect", () => {
      // The caller may be gone by now: its end would not be seen a second time.
      if (socket.destroyed) return abandon();
      vm.off("error", onError).off("timeout", onTimeout).setTimeout(0);
      this.#join(socket, vm, { node: node.node, service, caller, serial });
    });
  }

  #join(socket: TLSSocket, vm: Socket, who: Pick<Standing, "node" | "service" | "caller" | "serial">): void {
    this.#letGo(from(socket));
    const joined = new Joined(socket, vm, {
      linger: this.#options.linger,
      onEnd: () => {
        this.#standing.delete(standing);
        this.#options.onLinkEnd();
      },
    });
    const standing: Standing = { ...who, since: Date.now(), joined };
    this.#standing.add(standing);
  }

  /** Equal questions at the same time have one answer: thousands of links may come at once. */
  #authorize(service: string, caller: { readonly uri: string; readonly serial: string }) {
    const key = `${service} ${caller.serial} ${caller.uri}`;
    const asking = this.#asking.get(key) ?? this.#options.agent.authorize(service, caller);
    this.#asking.set(key, asking);
    const done = () => void this.#asking.delete(key);
    asking.then(done, done);
    return asking;
  }

  /** An intention that came later ends links that stand. An agent that does not answer ends none. */
  async #recheck(): Promise<void> {
    // An agent that is slow may need longer for all links than the time between two turns.
    if (this.#isRechecking) return;
    this.#isRechecking = true;
    await Promise.all(Array.from(this.#callers().values(), (links) => this.#recheckLinks(links)));
    this.#isRechecking = false;
  }

  /** The links of each caller to each service. */
  #callers(): Map<string, Standing[]> {
    const callers = new Map<string, Standing[]>();
    for (const standing of this.#standing) {
      const key = `${standing.service} ${standing.serial} ${standing.caller}`;
      callers.set(key, [...(callers.get(key) ?? []), standing]);
    }
    return callers;
  }

  /** @param links of one caller to one service */
  async #recheckLinks(links: readonly Standing[]): Promise<void> {
    const [{ service, caller, serial } = { service: "", caller: "", serial: "" }] = links;
    const answer = await this.#authorize(service, { uri: caller, serial }).catch(() => undefined);
    if (!answer || answer.isAllowed) return;
    const own = this.#options.own().credentials.now?.uri;
    for (const { node, joined } of links) {
      joined.cut();
      this.#options.onRefused({ code: "CUT", reason: answer.reason, node, service: own, caller, from: "" });
    }
  }
}

const noNode = (serverName: string) => `no node here is called ${serverName}`;

/** Empty when the connection is gone already. */
const from = ({ remoteAddress, remotePort = 0 }: Socket) =>
  remoteAddress === undefined ? "" : hostPort(remoteAddress, remotePort);
