import type { ConsulClient } from "../consul/client.js";
import { ConsulError, describeError } from "../errors.js";
import type { AgentEntries } from "./agent-entries.js";
import type { AgentState } from "./agent-state.js";
import type { Held, StepResult, Work } from "./core/reconcile.js";
import { type Ownership, type OwnershipDeps, ownershipOf } from "./ownership.js";

export interface StepDeps extends OwnershipDeps {
  readonly client: Pick<
    ConsulClient,
    "register" | "dropTcpCheck" | "pass" | "fail" | "deregister" | "checksOf" | "lookForToken"
  >;
  readonly entries: Pick<AgentEntries, "find" | "wrote">;
  readonly agent: AgentState;
  /** Ends a look for another token: a stop does not wait for Consul's servers. */
  readonly lookSignal: AbortSignal;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** The outcome of a step. */
interface StepOutcome {
  /** `foreign`: the entry is another daemon's. Nothing was sent. */
  readonly result: StepResult | "foreign";
  /** Whose the entry was before; undefined: not asked, or not answered. */
  readonly ownership: Ownership | undefined;
  /** When the step's call was sent. */
  readonly sentAt: number;
  readonly error: ConsulError | undefined;
}

/**
 * Takes one step at the agent. What we believe of an entry may be out of date, so the agent is asked whose it is before
 * each call that could harm another daemon's entry. Never rejects.
 * @param held what is believed of the step's entry now
 */
export async function takeStep(
  step: Work,
  held: () => Held | undefined,
  deps: StepDeps,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { agent, entries, now } = deps;
  const before = held();
  const service = ("entry" in step ? step.entry : (before?.entry ?? before?.found))?.service ?? "";
  let ownership: Ownership | undefined;
  let sent = false;
  let sentAt = now();
  try {
    // A pass of a check that is known does no harm, and is the usual call.
    if (step.action !== "pass" || before?.condition === "unsure") {
      ownership = await ownershipOf(await entries.find(step.id, before === undefined, signal), deps, signal);
      const result = withoutCall(step, ownership, held());
      if (result !== undefined) {
        agent.succeeded({ sentAt, service: "" });
        return { result, ownership, sentAt, error: undefined };
      }
    }
    sent = true;
    sentAt = now();
    await send(step, ownership, held, deps, signal);
    // After the call, because an agent that answers the query for the entry may still refuse the call.
    agent.succeeded({ sentAt, service, action: step.action });
    const result = step.action === "register" && ownership === "free" ? "created" : "done";
    return { result, ownership, sentAt, error: undefined };
  } catch (thrown) {
    const error = asConsulError(thrown);
    if (!signal.aborted) agent.failed(error, { sentAt, service, action: step.action });
    // When the query for the entry failed, the call was not sent and nothing has changed.
    return { result: sent ? resultOf(error) : "refused", ownership, sentAt, error };
  } finally {
    if (sent) entries.wrote(step.id);
  }
}

/** The outcome of a step for which nothing is to be sent; undefined: its call is to be sent. */
function withoutCall(step: Work, ownership: Ownership, held: Held | undefined): StepOutcome["result"] | undefined {
  const registers = step.action === "register";
  switch (ownership) {
    case "ours": {
      const isThere = registers && held?.unlisted && held.entry === step.entry && held.condition === "passing";
      return isThere ? "confirmed" : undefined;
    }
    case "taken":
      return "foreign";
    case "abandoned":
      return registers ? undefined : "foreign";
    case "free":
      return registers ? undefined : "unknown";
    default:
      return ownership satisfies never;
  }
}

async function send(
  step: Work,
  ownership: Ownership | undefined,
  held: () => Held | undefined,
  { client, lookSignal }: StepDeps,
  signal: AbortSignal,
): Promise<void> {
  const { action, id } = step;
  switch (action) {
    case "register": {
      await client.register(step.entry, signal);
      const before = held();
      const isOthers = before?.entry === undefined && ownership !== "free";
      const mayHaveTcpCheck = before?.found ? before.found.tcpCheck !== undefined : isOthers;
      if (mayHaveTcpCheck && step.entry.tcpCheck === undefined) await client.dropTcpCheck(id, signal);
      return;
    }
    case "renew":
      return client.register(step.entry, signal);
    case "fail":
      await client.fail(id, signal);
      // The agent tells the servers with the token of the registration, and does not say when that is gone. With another
      // token the entry is registered again. DNS does not wait for this.
      void client.lookForToken();
      return;
    case "deregister": {
      // A token is deleted after the file has the next one, and the agent tells the servers of the removal with the
      // token of the registration: an entry that is removed with a deleted token stays in the catalogue.
      await client.lookForToken("look", lookSignal);
      const now = held();
      const entry = now?.entry ?? now?.found;
      if (now?.stale && entry) await client.register(entry, signal);
      return client.deregister(id, signal);
    }
    default:
      return client[action](id, signal);
  }
}

function asConsulError(thrown: unknown): ConsulError {
  if (thrown instanceof ConsulError) return thrown;
  return new ConsulError("CONSUL_UNAVAILABLE", describeError(thrown), { cause: thrown });
}

function resultOf({ code }: ConsulError): StepResult {
  if (code === "CONSUL_UNKNOWN") return "unknown";
  return code === "CONSUL_UNAVAILABLE" ? "unsure" : "refused";
}
