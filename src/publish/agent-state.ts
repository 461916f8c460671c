import type { AgentFault } from "../api/core/silence.js";
import { UnreadableFile } from "../api/credential.js";
import { LoginRefused } from "../consul/acl-api.js";
import type { Servers } from "../consul/core/servers.js";
import { AgentAnswer, faultOf, isUnknownToken } from "../consul/transport.js";
import type { Logger } from "../daemon/logger.js";
import { type ConsulError, describeError } from "../errors.js";
import { Outages } from "../sampling.js";
import type { Work } from "./core/reconcile.js";

/** Why the agent cannot be called: it does not answer, a file of the token or of TLS cannot be read, or there is no token. */
type Trouble = "silent" | "unreadable" | "refused";

/** A call of the agent; without a service it is a survey. */
interface AgentCall {
  /** Monotonic milliseconds. */
  readonly sentAt: number;
  /** "": a question about one entry. */
  readonly service?: string | undefined;
  readonly action?: Work["action"];
}

/** What is wrong with the agent, for programs and for people. */
export interface AgentTrouble {
  /**
   * `CONSUL_SILENT`: it does not answer. `CONSUL_FILE`: a file of the token or of TLS cannot be read. `CONSUL_LOGIN`: it gives
   * no token. `CONSUL_ERRORS`: it does not list its services and checks, or Consul's servers do not answer it.
   */
  readonly code: "CONSUL_SILENT" | "CONSUL_FILE" | "CONSUL_LOGIN" | "CONSUL_ERRORS";
  /** What the last call said. */
  readonly reason: string;
  /** How it does not answer, or that it reaches no server; absent: the reason alone tells. */
  readonly fault?: AgentFault;
}

type Said = Pick<AgentTrouble, "reason" | "fault">;

const TROUBLE_CODES = { silent: "CONSUL_SILENT", unreadable: "CONSUL_FILE", refused: "CONSUL_LOGIN" } as const;

interface AgentStateDeps {
  readonly servers: Pick<Servers, "trouble" | "answeredAt">;
  readonly log: Logger;
  /** Called when the agent answers again, or takes calls again that it has refused. */
  readonly recovered: () => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly hasTokenFile: boolean;
  readonly logsIn: boolean;
}

/**
 * The state of the agent, for all names together. The log has one line when it goes and one when it is back, and one for
 * a refusal, however many names it concerns and however often they are tried.
 */
export class AgentState {
  readonly #deps: AgentStateDeps;
  readonly #outages: Outages;
  /** Refused kinds of calls for a service; see callKind. */
  readonly #refused = new Set<string>();
  #isTokenUnknown = false;
  /** It was silent, and has answered with errors alone since. */
  #wasSilent = false;
  #wasCutOff = false;
  #trouble: Trouble | undefined;
  /** What the last call said that could not be made. */
  #said: Said = { reason: "" };
  /** The answer of the agent, or of a proxy before it, to a survey that failed. */
  #unlisted: Said | undefined;
  /** When the latest call that was answered was sent. */
  #answeredAt = -Infinity;

  constructor(deps: AgentStateDeps) {
    this.#deps = deps;
    this.#outages = new Outages(deps.now);
  }

  /** Why the agent cannot be called, or does not say what it holds, for readiness; undefined while it answers. */
  get trouble(): string | undefined {
    if (this.#trouble === "unreadable") return "a file for Consul cannot be read";
    if (this.#trouble === "refused") return this.#said.reason;
    if (this.#trouble === "silent") return "the Consul agent does not answer";
    if (this.#unlisted) return `the Consul agent does not list its services and checks: ${this.#unlisted.reason}`;
    const { trouble } = this.#deps.servers;
    return trouble && `the Consul agent reaches no server of Consul's: ${trouble}`;
  }

  /** The same with what the last call said. */
  get troubleSaid(): AgentTrouble | undefined {
    if (this.#trouble !== undefined) return { code: TROUBLE_CODES[this.#trouble], ...this.#said };
    if (this.#unlisted) return { code: "CONSUL_ERRORS", ...this.#unlisted };
    const { trouble } = this.#deps.servers;
    return trouble === undefined ? undefined : { code: "CONSUL_ERRORS", reason: trouble, fault: "no-server" };
  }

  /**
   * As of when it is known what Consul has, milliseconds of now(); undefined: it never was. While no server answers, what the
   * agent lists does not tell it.
   */
  get answeredAt(): number | undefined {
    if (this.isCutOff) return this.#deps.servers.answeredAt;
    return this.#answeredAt === -Infinity ? undefined : this.#answeredAt;
  }

  /** The agent answers, and Consul's servers do not answer it. */
  get isCutOff(): boolean {
    return this.#trouble === undefined && this.#deps.servers.trouble !== undefined;
  }

  /** Logs when the servers are out of reach, and when they answer again. */
  look(): void {
    const { log, servers } = this.#deps;
    if (this.isCutOff === this.#wasCutOff || this.#trouble !== undefined) return;
    this.#wasCutOff = this.isCutOff;
    if (!this.#wasCutOff) {
      if (this.#outages.end("servers")) log.info("Consul's servers answer the agent again");
    } else if (this.#outages.begin("servers")) {
      log.warn(
        { reason: servers.trouble },
        "the Consul agent reaches no server of Consul's: it takes nodes, and other machines find them when it reaches one",
      );
    }
  }

  /** The agent cannot be called, and the log says so. */
  get isSilent(): boolean {
    return this.#trouble !== undefined;
  }

  /** Whether the log has a failure already. */
  isTold({ code }: Pick<ConsulError, "code">): boolean {
    return code === "CONSUL_FORBIDDEN" || (code === "CONSUL_UNAVAILABLE" && this.#trouble !== undefined);
  }

  succeeded({ sentAt, service, action }: AgentCall): void {
    const { log, recovered } = this.#deps;
    let again = false;
    if (this.#trouble !== undefined) {
      const message = recovery(this.#trouble, this.#answeredAt > -Infinity);
      this.#trouble = undefined;
      again = true;
      if (this.#outages.end("agent")) log.info(message);
    }
    if (this.#wasSilent) {
      this.#wasSilent = false;
      again = true;
    }
    this.#answeredAt = Math.max(this.#answeredAt, sentAt);
    if (this.#isTokenUnknown) {
      this.#isTokenUnknown = false;
      again = true;
      if (this.#outages.end("token")) log.info("Consul knows the token");
    }
    if (service === undefined && this.#unlisted !== undefined) {
      this.#unlisted = undefined;
      if (this.#outages.end("list")) log.info("the Consul agent lists its services and checks again");
    }
    const key = callKind(service, action);
    if (this.#refused.delete(key)) {
      again = true;
      if (this.#outages.end(key)) log.info({ service }, "Consul accepts the nodes of this service again");
    }
    if (again) recovered();
  }

  failed(error: ConsulError, { sentAt, service, action }: AgentCall): void {
    if (error.code === "CONSUL_FORBIDDEN") this.#forbidden(error, service, action);
    else if (error.code === "CONSUL_UNAVAILABLE" && !(error.cause instanceof AgentAnswer))
      this.#unavailable(error, sentAt);
    else if (service === undefined) this.#faulty(error);
  }

  #unavailable(error: ConsulError, sentAt: number): void {
    // A call that was sent later has been answered.
    if (sentAt < this.#answeredAt) return;
    const trouble = troubleOf(error);
    this.#said = trouble === "silent" ? saidBy(error) : { reason: error.message };
    if (this.#trouble === trouble) return;
    const before = this.#trouble;
    this.#trouble = trouble;
    // One trouble may follow the other: both are logged.
    if (!this.#outages.begin("agent") && before === undefined) return;
    const what = trouble === "silent" ? "the Consul agent does not answer" : error.message;
    this.#deps.log.warn({ err: error }, `${what}; nodes are registered here and published later`);
  }

  #faulty(error: ConsulError): void {
    const isNews = this.#unlisted === undefined;
    this.#unlisted = saidBy(error);
    if (this.#trouble === "silent") {
      this.#trouble = undefined;
      this.#wasSilent = true;
      if (this.#outages.end("agent")) this.#deps.log.info(recovery("silent", this.#answeredAt > -Infinity));
    }
    if (isNews && this.#outages.begin("list")) {
      this.#deps.log.warn(
        { err: error },
        "the Consul agent does not list its services and checks: entries cannot be compared until it does",
      );
    }
  }

  #forbidden(error: ConsulError, service: string | undefined, action: Work["action"] | undefined): void {
    const { log, hasTokenFile, logsIn } = this.#deps;
    const said = describeError(error.cause ?? error);
    if (isUnknownToken(error)) {
      const isNews = !this.#isTokenUnknown;
      this.#isTokenUnknown = true;
      if (!isNews || !this.#outages.begin("token")) return;
      const again = hasTokenFile ? "the token file is read again until it holds one that is known" : undefined;
      const cure = logsIn ? "srv-epmd logs in again" : (again ?? "give serve another");
      log.error({ err: error }, `Consul does not know the token (${said}), it was deleted or has expired: ${cure}`);
      return;
    }
    const key = callKind(service, action);
    if (service === undefined || this.#refused.has(key)) return;
    this.#refused.add(key);
    if (!this.#outages.begin(key)) return;
    const policy = `service "${service}" { policy = "write" }`;
    log.error({ service, policy, err: error }, `Consul refuses the token (${said}): it needs the policy ${policy}`);
  }
}

function saidBy(error: ConsulError): Said {
  const fault = faultOf(error);
  return { reason: describeError(error.cause ?? error), ...(fault && { fault }) };
}

function troubleOf({ cause }: ConsulError): Trouble {
  if (cause instanceof LoginRefused) return "refused";
  return cause instanceof UnreadableFile ? "unreadable" : "silent";
}

function recovery(trouble: Trouble, hasAnswered: boolean): string {
  if (trouble === "refused") return "srv-epmd has logged in to Consul";
  if (trouble === "unreadable") return "the files for Consul can be read, and its agent answers";
  return hasAnswered ? "the Consul agent answers again" : "the Consul agent answers";
}

/** Kinds of calls are apart: a proxy may refuse one kind and let the others through. */
function callKind(service: string | undefined, action: Work["action"] | undefined): string {
  const kind = action === "pass" || action === "fail" ? "check" : action === "renew" ? "register" : action;
  return `${kind} ${service}`;
}
