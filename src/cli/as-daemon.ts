import { askHttp } from "../admin/client.js";
import { type Config, type ConfigInput, type ConfigOutput, loadConfig, settingByHand } from "../config/config.js";
import type { IpPort } from "../config/network-values.js";
import { type Command, OPTION_KEYS, type OptionKey, optionOf } from "../config/options.js";
import { type DaemonSettings, readToldSettings, toldLine } from "../config/told.js";
import type { Logger } from "../daemon/logger.js";
import { knowsFullNames } from "../epmd/client.js";
import { ConfigError } from "../errors.js";
import { LOOPBACK, LOOPBACKS } from "../net/endpoint.js";
import { familyOf, hostPort, isLoopback, isWildcard } from "../net/ip.js";
import { thisMachine } from "../os/machine.js";
import { accepts, listeningUids } from "../os/sockets.js";
import { version } from "../version.js";
import { complain, type Io } from "./io.js";

/**
 * A command that looks up as the daemon does asks the daemon of this machine for its settings, and takes those that were
 * not given by hand. What the daemon may set is in src/config/told.ts.
 */
export interface Configured extends ConfigOutput {
  /** For people: the settings that were taken, or why none were though a daemon told them. */
  readonly line: string | undefined;
  /** Why no daemon's settings are known; undefined: they are, or the command does without them. */
  readonly missing: Missing | undefined;
}

interface Missing {
  readonly why: string;
  /** Nothing listens there: the daemon may not have started yet. */
  readonly mayCome: boolean;
  /** None is to be asked. */
  readonly isWished: boolean;
}

/** What a command uses of the settings: all that it has options for, the EPMD port alone, or nothing. */
type Use = "all" | "port" | "none";

export function useOfDaemon(input: ConfigInput, operands: readonly string[]): Use {
  switch (input.command) {
    case "doctor":
    case "ping":
      return "all";
    case "resolve":
      // The EPMD that is asked has settings of its own.
      return settingByHand("via", input).value === undefined ? "all" : "none";
    case "wait":
      return operands.length > 0 ? "all" : "port";
    case "names":
      if (settingByHand("cluster", input).value) return "all";
      return operands.length > 0 ? "none" : "port";
    default:
      return "none";
  }
}

/** @throws ConfigError for what was given by hand */
export async function configure(input: ConfigInput, use: Use): Promise<Configured> {
  const nothing = { line: undefined, missing: undefined };
  if (use === "none") return { ...loadConfig(input), ...nothing };
  const admin = settingByHand("admin", input).value;
  const port = settingByHand("port", input);
  if (use === "port" && port.isGiven) return { ...loadConfig(input), ...nothing };
  const answer =
    admin && admin.port !== 0
      ? await askDaemon(admin, { port: port.value, isGiven: port.isGiven })
      : { why: admin ? "--admin has no fixed port" : "--admin is none", mayCome: false, isWished: true };
  if ("why" in answer) return { ...loadConfig(input), ...nothing, missing: answer };
  const daemon = use === "all" ? answer : portAlone(answer);
  try {
    const loaded = loadConfig({ ...input, daemon });
    return { ...loaded, ...nothing, line: loaded.taken && toldLine(daemon, loaded.taken, version) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // Without the daemon's settings it is the same complaint, or those contradict what was given.
    const own = loadConfig(input);
    const line = `the settings of the srv-epmd here (${daemon.at}) are not used, they contradict what is given: ${error.message}`;
    return { ...own, ...nothing, line };
  }
}

function portAlone(settings: DaemonSettings): DaemonSettings {
  const texts = new Map(Array.from(settings.texts).filter(([key]) => key === "port"));
  return { ...settings, texts, withheld: [] };
}

/** Milliseconds: a daemon answers within a few; what hangs must not hold a command up. */
const ASK_TIMEOUT = 1_000;
/** Room for thousands of static nodes. Bytes. */
const MOST_BYTES = 256 * 1024;
/** Milliseconds: a connection to loopback. */
const ACCEPT_TIMEOUT = 200;

/**
 * Asks the daemon of the EPMD port of this machine.
 * @param admin where --admin has it
 */
async function askDaemon(
  admin: IpPort,
  epmd: { readonly port: number; readonly isGiven: boolean },
): Promise<DaemonSettings | Missing> {
  const none = (why: string, mayCome = false): Missing => ({ why, mayCome, isWished: false });
  const at = { ...admin, address: reachable(admin.address) };
  const where = hostPort(at);
  if (!isLoopback(at.address) && !thisMachine().addresses().includes(at.address)) {
    return none(`${where} (--admin) is no address of this machine`);
  }
  const answer = await askHttp(at, "/v1/settings", { timeout: ASK_TIMEOUT, limit: MOST_BYTES });
  if (answer.outcome === "none") return none(answer.why, answer.isRefused);
  const settings = readToldSettings(answer.json, where);
  if (!settings) return none(`what answers at ${where} ${WORDS[answer.status] ?? "is no srv-epmd"}`);
  if (settings.port !== epmd.port) {
    const other = `the srv-epmd at ${where} has the EPMD port ${settings.port}, not ${epmd.port}`;
    if (epmd.isGiven || (await hasListener(epmd.port))) return none(other);
  }
  if (!(await isOfOneUser(at, settings.port))) {
    return none(`what answers at ${where} belongs to another user than the EPMD on port ${settings.port}`);
  }
  return settings;
}

/** By status. */
const WORDS: Readonly<Record<number, string>> = {
  403: "tells no settings: it does not take this command for a local peer (--allow)",
  404: "tells no settings: it is a srv-epmd of an older version, or another program",
};

/** A wildcard is reached at the loopback of its family. */
function reachable(address: string): string {
  if (!isWildcard(address)) return address;
  return LOOPBACK[familyOf(address) ?? 6];
}

async function hasListener(port: number): Promise<boolean> {
  const found = await Promise.all(LOOPBACKS.map((address) => accepts({ address, port }, ACCEPT_TIMEOUT)));
  return found.some((one) => one !== false);
}

/**
 * Any user may listen on the HTTP port of a daemon that serves none, so an answer counts only where the same user has the
 * EPMD port. True where that cannot be known: the system has no tables, or both ports lead into a container.
 */
async function isOfOneUser(at: IpPort, epmdPort: number): Promise<boolean> {
  // VMs register at 127.0.0.1, or with inet6_tcp at ::1.
  const loopbacks = LOOPBACKS.map((address) => ({ address, port: epmdPort }));
  const uids = await listeningUids([at, ...loopbacks]);
  if (!uids) return true;
  const [http = new Set(), four = new Set(), six = new Set()] = uids;
  const epmd = four.size > 0 ? four : six;
  return http.size <= 1 && http.size === epmd.size && Array.from(http).every((uid) => epmd.has(uid));
}

/** A line on stderr, unless --log-level asks for less: results and exit code stay as they are. */
export function sayBeside(
  { config, io, log }: { config: Config; io: Io; log: Logger },
  line: string | undefined,
): void {
  if (line === undefined || !log.isLevelEnabled("warn")) return;
  if (config.logFormat === "json") log.warn(line);
  else complain(io, line);
}

/**
 * What to say where no daemon tells its settings; undefined: nothing. Look-ups that were told by hand do without, and
 * doctor examines what serve has, whatever was given. Never rejects.
 */
export async function missingLine(
  { config, missing }: Pick<Configured, "config" | "missing">,
  { command, use }: { readonly command: Command; readonly use: Use },
): Promise<string | undefined> {
  if (!missing || use !== "all") return undefined;
  const decides = (key: OptionKey) => optionOf(key).group === "resolve" && optionOf(key).told !== undefined;
  const isGiven = OPTION_KEYS.some((key) => decides(key) && config.given.has(key));
  const examinesServe = command === "doctor" && !config.cluster;
  if (isGiven && !examinesServe) return undefined;
  const runs = await hasSrvEpmd(config.port);
  if (missing.isWished && !runs) return undefined;
  const used = isGiven ? "only the defaults and what is given" : "only the defaults";
  const advice = runs
    ? `A srv-epmd has the EPMD port ${config.port}: give its --admin (SRV_EPMD_ADMIN), or what else it has (--domain, --dns, ...)`
    : "Run it where srv-epmd runs, or give what serve has (--domain, --dns, ...)";
  return `the settings of serve are not known here, ${used}: ${missing.why}. ${advice}`;
}

/** Whether the EPMD of this machine is a srv-epmd. Never rejects. */
async function hasSrvEpmd(port: number): Promise<boolean> {
  const asked = LOOPBACKS.map((address) => knowsFullNames({ address, port }, { timeout: ASK_TIMEOUT }));
  return (await Promise.allSettled(asked)).some((one) => one.status === "fulfilled" && one.value);
}
