import { connect, type Socket } from "node:net";
import { createServer, type SecureContext, type Server, TLSSocket, type TlsOptions } from "node:tls";
import type { IpPort } from "../config/network-values.js";
import type { ConsulClient } from "../consul/client.js";
import { describeError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { type InboundLink, type Refusal, type ServedNode, serverKey, serverNameOf } from "./core/inbound.js";
import { parseServiceUri, serialText, urisOf } from "./core/service-uri.js";
import { PendingCallers, placeOf } from "./pending-callers.js";
import { type Caller, StandingLinks } from "./standing-links.js";
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
  /** Callers at once that are not let in yet. */
  readonly mostPending?: number;
  /** The listening socket has failed. */
  readonly onError: (error: Error) => void;
}

/** Milliseconds. Node's own limit is two minutes, in which thousands could be opened. */
const HANDSHAKE_LIMIT = 5_000;
const BACKLOG = 1024;
/** Milliseconds: the VM is on this machine. */
const DIAL_LIMIT = 3_000;

/** The mTLS port for all nodes here: callers that intentions allow are joined with the VM that they ask for. */
export class Inbound {
  readonly #options: InboundOptions;
  readonly #server: Server;
  readonly #nodes = new Map<string, ServedNode>();
  readonly #pending: PendingCallers;
  readonly #standing: StandingLinks;
  readonly #asking = new Map<string, ReturnType<ConsulClient["authorize"]>>();

  constructor(options: InboundOptions) {
    this.#options = options;
    const { onRefused, linger, onLinkEnd } = options;
    this.#pending = new PendingCallers(options);
    this.#standing = new StandingLinks({
      ...{ linger, onLinkEnd },
      authorize: (service, caller) => this.#authorize(service, caller),
      onCut: (cut) => onRefused({ code: "CUT", from: "", ...cut }),
    });
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
    this.#server.on("connection", (socket: Socket) => this.#pending.add(socket));
    this.#server.on("tlsClientError", (error, socket) => {
      this.#pending.fail(placeOf(socket), { code: "TLS", reason: describeError(error) });
      // Node reports a handshake that takes too long, and leaves the connection open.
      socket.destroy();
    });
    this.#server.on("secureConnection", (socket) => void this.#receive(socket));
  }

  /** @param recheck milliseconds after which standing links are asked about again; 0: never */
  recheckEvery(recheck: number): void {
    this.#standing.recheckEvery(recheck);
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
    return this.#standing.all;
  }

  /** Cuts links that have stalled. @param stall milliseconds */
  sweep(stall: number): void {
    this.#standing.sweep(stall);
  }

  /** Cuts every link. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#pending.close();
    this.#standing.close();
    await closed;
  }

  /** Node calls it as a method of the TLS socket: when the handshake has failed, its address is no longer known. */
  #sniCallback(): NonNullable<TlsOptions["SNICallback"]> {
    const choose = (name: string, caller: string) => this.#choose(name, caller);
    return function (this: unknown, name, done) {
      const caller = this instanceof TLSSocket ? placeOf(this) : "";
      choose(name, caller).then((context) => done(null, context), done);
    };
  }

  /** The certificate for the server name (SNI) in a client's hello. Rejects when there is none. */
  async #choose(name: string, caller: string): Promise<SecureContext> {
    const fail = (code: Refusal["code"], reason: string) => {
      this.#pending.fail(caller, { code, reason });
      return new Error(reason);
    };
    // The handshake fails, so that the caller tries the next place at which the node is published.
    if (!this.#nodes.has(serverKey(name))) throw fail("NO_NODE", noNode(name));
    const { service, credentials } = this.#options.own();
    const now = await credentials.first();
    if (!now) throw fail("TLS", `there is no certificate for ${service} yet`);
    return now.context;
  }

  /** The node that a caller asks for, or why there is none. @param name undefined: the only one that is published is meant */
  #nodeFor(name: string | undefined): ServedNode | string {
    if (name !== undefined) return this.#nodes.get(serverKey(name)) ?? noNode(name);
    const published = Array.from(this.#nodes.values()).filter(({ isHelper }) => !isHelper);
    const [only] = published;
    if (only && published.length === 1) return only;
    return `it gives no server name (SNI), and ${published.length} published nodes are here`;
  }

  /** There are other credentials: callers without a server name get them from now on. */
  renew(): void {
    const { pem } = this.#options.own().credentials.now ?? {};
    this.#server.setSecureContext({ ...pem, minVersion: "TLSv1.2", secureOptions: NO_TICKET });
  }

  async #receive(socket: TLSSocket): Promise<void> {
    const place = placeOf(socket);
    if (!this.#pending.secured(place)) return void socket.destroy();
    const name = typeof socket.servername === "string" ? socket.servername : undefined;
    const node = this.#nodeFor(name);
    socket.on("error", () => {});
    const refuse = (code: Refusal["code"], reason: string, more: Partial<Refusal> = {}) => {
      socket.destroy();
      const asked = typeof node === "string" ? undefined : node.node;
      this.#options.onRefused({ code, reason, node: asked, from: place, ...more });
    };
    if (typeof node === "string") return refuse("NO_NODE", node);
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
    const vmPlace = this.#nodes.get(serverKey(serverNameOf(node.node)))?.place;
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
      this.#pending.remove(place);
      this.#standing.join(socket, vm, node.node, { uri: caller, serial, service, own: own.uri });
    });
  }

  /** Equal questions at the same time have one answer: thousands of links may come at once. */
  #authorize(service: string, caller: Caller) {
    const key = `${service} ${caller.serial} ${caller.uri}`;
    const asking = this.#asking.get(key) ?? this.#options.agent.authorize(service, caller);
    this.#asking.set(key, asking);
    const done = () => void this.#asking.delete(key);
    asking.then(done, done);
    return asking;
  }
}

const noNode = (serverName: string) => `no node here is called ${serverName}`;
