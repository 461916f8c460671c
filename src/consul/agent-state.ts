import { type ConsulError, describeError } from "../core/errors.js";
import type { Logger } from "../logger.js";
import { UnreadableFile } from "./credential-file.js";
import { AgentAnswer } from "./refusal.js";

/** Why nothing can be said to the agent: no answer comes, or a file for it cannot be read. */
type Trouble = "silent" | "unreadable";

const RECOVERED: Record<Trouble, string> = {
  silent: "the Consul agent answers again",
  unreadable: "the files for Consul can be read, and its agent answers",
};

/**
 * What all names know together of the agent: one line when it goes and one when it is back, one for a refusal however many
 * names it hits, however often it is tried.
 */
export class AgentState {
  readonly #log: Logger;
  readonly #recovered: () => void;
  /** Services for which the token has no right, as far as was said. */
  readonly #refused = new Set<string>();
  /** Services of which registrations get an error from the servers. */
  readonly #postponed = new Set<string>();
  #trouble: Trouble | undefined;
  #everAnswered = false;

  /** @param recovered called when the agent answers again */
  constructor(log: Logger, recovered: () => void) {
    this.#log = log;
    this.#recovered = recovered;
  }

  get down(): boolean {
    return this.#trouble !== undefined;
  }

  /** @param service the service that was written; undefined for a read */
  succeeded(service: string | undefined, action?: string): void {
    if (this.#trouble !== undefined) {
      this.#log.info(RECOVERED[this.#trouble].replace(/ again$/, this.#everAnswered ? " again" : ""));
      this.#trouble = undefined;
      this.#recovered();
    }
    this.#everAnswered = true;
    if (service === undefined) return;
    const allowed = this.#refused.delete(service);
    // A check is passed by the agent alone: only a registration shows that the servers are back.
    const taken = action === "register" && this.#postponed.delete(service);
    if (allowed || taken) this.#log.info({ service }, "Consul takes the service's nodes again");
  }

  /** @param service the service to be written; undefined for a read */
  failed(error: ConsulError, service: string | undefined): void {
    const answered = error.cause instanceof AgentAnswer;
    if (error.code === "CONSUL_UNAVAILABLE" && !answered) {
      const trouble = error.cause instanceof UnreadableFile ? "unreadable" : "silent";
      if (this.#trouble === trouble) return;
      this.#trouble = trouble;
      const what = trouble === "silent" ? "the Consul agent does not answer" : error.message;
      this.#log.warn({ err: error }, `${what}; nodes are registered here and published later`);
      return;
    }
    if (service === undefined) return;
    if (error.code === "CONSUL_FORBIDDEN" && !this.#refused.has(service)) {
      this.#refused.add(service);
      const policy = `service "${service}" { policy = "write" }`;
      const said = describeError(error.cause ?? error);
      this.#log.error(
        { service, policy, err: error },
        `Consul refuses the token (${said}): it needs the policy ${policy}`,
      );
    } else if (error.code === "CONSUL_UNAVAILABLE" && !this.#postponed.has(service)) {
      // The agent is there and cannot do it now: no leader, too many requests. Other calls may succeed meanwhile.
      this.#postponed.add(service);
      this.#log.warn({ service, err: error }, "Consul cannot take the service's nodes now; they are published later");
    }
  }
}
