/** Milliseconds. */
export interface Timings {
  /** From the end of a VM to the removal of its entry. */
  readonly grace: number;
  /** How long the VMs of a former daemon have to return. */
  readonly adoption: number;
  readonly audit: number;
  /** From a publication to an audit: another daemon may have written the same id in the same moment. */
  readonly recheck: number;
  /** The same while the agent leaves out of its list what it was given, or something keeps an entry out of DNS. */
  readonly watch: number;
  /** From one look at how the names stand to the next. */
  readonly look: number;
  /** From a registration here to the moment when its absence in Consul is worth a word. */
  readonly patience: number;
  /** Nodes fall out of DNS one by one, as their TTLs run out: those of so long share a line in the log. */
  readonly gather: number;
  readonly firstRetry: number;
  readonly maxRetry: number;
  /** After a refusal. */
  readonly refusalRetry: number;
  /** All of stop(). */
  readonly stop: number;
}

export const TIMINGS: Timings = {
  grace: 5_000,
  adoption: 10_000,
  audit: 30_000,
  recheck: 1_000,
  watch: 5_000,
  look: 1_000,
  patience: 1_000,
  gather: 5_000,
  firstRetry: 250,
  maxRetry: 30_000,
  refusalRetry: 30_000,
  stop: 800,
};
