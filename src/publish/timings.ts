/** How long the publication waits for what, milliseconds. */
export interface Timings {
  /** From the end of a VM until its entry is removed. */
  readonly grace: number;
  /** How long the VMs of our predecessor may take to return. */
  readonly adoption: number;
  readonly audit: number;
  /** From a publication to the next audit: another daemon may have written the same id in the same moment. */
  readonly recheck: number;
  /** From one audit to the next while another check keeps an entry out of DNS. */
  readonly watch: number;
  /** From one look at the state of the names, for the log, to the next. */
  readonly look: number;
  /** How long a new node may be absent from Consul before that is logged. */
  readonly patience: number;
  /** Nodes fall out of DNS one by one, as their TTLs run out: those within this time share a line in the log. */
  readonly gather: number;
  readonly firstRetry: number;
  readonly maxRetry: number;
  /** After a refusal. */
  readonly refusalRetry: number;
  /** For all of stop(). */
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
