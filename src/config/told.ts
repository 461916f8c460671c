import { list, record, text } from "../api/core/json.js";
import { listed } from "../text.js";
import { type Command, defaultOf, flagOf, OPTION_KEYS, type OptionKey, optionOf } from "./options.js";
import { ValueError } from "./values.js";

/** Settings that a daemon tells to the other commands of its machine: as JSON, and as they are read and used there. */

/** `GET /v1/settings` */
export interface ToldSettings {
  readonly version: string;
  readonly epmd: { readonly port: number };
  /** By flag name, as a user would write them: a list for an option that may be given several times, else one text. */
  readonly options: Readonly<Record<string, string | readonly string[]>>;
  /** Flag names of options that were set and whose values are not told: secrets, and files that another user may not read. */
  readonly withheld: readonly string[];
}

/** What a command has from the daemon of its machine. */
export interface DaemonSettings {
  /** Where it told them, `127.0.0.1:9369`. */
  readonly at: string;
  readonly version: string;
  readonly port: number;
  /** By option, as a user would write them. */
  readonly texts: ReadonlyMap<OptionKey, readonly string[]>;
  readonly withheld: readonly OptionKey[];
}

/** What the daemon's options became when it started; undefined: as they were given. */
export interface BoundSettings {
  /** The EPMD port. */
  readonly port: number;
  /** `ip:port` of the embedded DNS. */
  readonly dnsListen: string | undefined;
  /** `ip:port` of the gateway's DNS. */
  readonly gatewayListen: string | undefined;
  /** Name servers beside those of --dns, as --dns has them. */
  readonly dns: readonly string[];
}

/**
 * What a daemon tells.
 * @param given its options that were set, as they were written
 * @param consul the URL of its agent, as it is used
 */
export function settingsToTell(
  { given, consul }: { readonly given: ReadonlyMap<OptionKey, readonly string[]>; readonly consul: string },
  bound: BoundSettings,
): Pick<ToldSettings, "options" | "withheld"> {
  const texts = new Map(Array.from(given).filter(([key]) => isTold(key)));
  texts.set("port", [String(bound.port)]);
  if (bound.dnsListen !== undefined) texts.set("dnsListen", [bound.dnsListen]);
  if (bound.gatewayListen !== undefined) texts.set("gatewayListen", [bound.gatewayListen]);
  if (bound.dns.length > 0) texts.set("dns", [...(given.get("dns") ?? []), ...bound.dns]);
  // CONSUL_HTTP_SSL decides too.
  if (consul !== defaultOf("consul", "serve")) texts.set("consul", [consul]);
  const named = Array.from(texts, ([key, all]) => [flagOf(key), optionOf(key).list ? all : (all[0] ?? "")] as const);
  return {
    options: Object.fromEntries(named),
    withheld: Array.from(given.keys())
      .filter((key) => optionOf(key).told === "name")
      .map(flagOf),
  };
}

/** Whether a setting of serve was given, or told, apart from where it listens: else all that is asked is a default. */
export function hasSettings(given: { has(key: OptionKey): boolean }): boolean {
  const isSetting = (key: OptionKey) => optionOf(key).told !== undefined && optionOf(key).group !== "listen";
  return OPTION_KEYS.some((key) => isSetting(key) && given.has(key));
}

function isTold(key: OptionKey): boolean {
  return ["value", "url"].includes(optionOf(key).told ?? "");
}

/** Reads the JSON of `/v1/settings`, which any program may have sent; undefined: it is none. @param at where it came from */
export function readToldSettings(json: unknown, at: string): DaemonSettings | undefined {
  const told = record(json);
  const options = record(told?.options);
  const port = record(told?.epmd)?.port;
  if (!told || !options || typeof port !== "number") return undefined;
  const keys = OPTION_KEYS.filter((key) => isTold(key) && Object.hasOwn(options, flagOf(key)));
  const texts = keys.map((key) => {
    const value = options[flagOf(key)];
    return [key, (Array.isArray(value) ? value : [value]).map(text)] as const;
  });
  const withheld = list(told.withheld).map(text);
  return {
    ...{ at, port, version: text(told.version) },
    // The port by which it was recognized.
    texts: new Map([...texts, ["port", [String(port)]]]),
    withheld: OPTION_KEYS.filter((key) => withheld.includes(flagOf(key)) && optionOf(key).told === "name"),
  };
}

/** What a command takes of the daemon's settings. */
export interface Taken {
  readonly texts: ReadonlyMap<OptionKey, readonly string[]>;
  /** Options that the daemon has and the command goes without. */
  readonly left: readonly OptionKey[];
  /** Of these the URLs, to be given by hand: no credential of this user goes to one unasked. */
  readonly leftUrls: ReadonlyMap<OptionKey, string>;
}

/**
 * Chooses what a command takes: options that it has, that were not set by hand, whose default is another one, and whose
 * value its own reader takes.
 *
 * Whoever can listen where the daemon is looked for can tell anything, also to a command that root runs. So nothing is
 * taken that makes the command open a file or the socket of another program (a path), or send a secret of its user
 * somewhere: the URL of an API is taken only where no token, certificate or other credential for it was set by hand.
 */
export function takeTold(
  command: Command,
  { texts, withheld }: Pick<DaemonSettings, "texts" | "withheld">,
  { given, secretsDir }: { readonly given: { has(key: OptionKey): boolean }; readonly secretsDir: string | undefined },
): Taken {
  const isWanted = (key: OptionKey) => optionOf(key).commands.includes(command) && !given.has(key);
  const hasCredential = (url: OptionKey) => {
    const { group } = optionOf(url);
    // In an allocation of Nomad the identity of the task is such a credential.
    if (group === "nomad" && secretsDir !== undefined) return true;
    return OPTION_KEYS.some((key) => optionOf(key).group === group && optionOf(key).told === "name" && given.has(key));
  };
  const wanted = Array.from(texts).filter(([key, all]) => isWanted(key) && !isDefault(key, command, all));
  const isUrl = (key: OptionKey) => optionOf(key).told === "url";
  const isUsable = ([key, all]: (typeof wanted)[number]) =>
    isReadable(key, all) && (!isUrl(key) || /^https?:/.test(all[0] ?? ""));
  const isTaken = ([key, all]: (typeof wanted)[number]) => isUsable([key, all]) && !(isUrl(key) && hasCredential(key));
  const left = wanted.filter((one) => !isTaken(one));
  return {
    texts: new Map(wanted.filter(isTaken)),
    left: [...left.map(([key]) => key), ...withheld.filter(isWanted)],
    leftUrls: new Map(left.filter((one) => isUrl(one[0]) && isUsable(one)).map(([key, [url = ""]]) => [key, url])),
  };
}

function isDefault(key: OptionKey, command: Command, texts: readonly string[]): boolean {
  return texts.length === 1 && texts[0] === defaultOf(key, command);
}

function isReadable(key: OptionKey, texts: readonly string[]): boolean {
  const { list: isList, parse } = optionOf(key);
  if (!isList && texts.length !== 1) return false;
  try {
    for (const one of texts) parse(one);
    return true;
  } catch (error) {
    if (error instanceof ValueError) return false;
    throw error;
  }
}

/** Values of one option that are shown, and characters of one: a daemon may have thousands of static nodes. */
const MOST_SHOWN = 6;
const LONGEST_SHOWN = 100;

function shown(value: string): string {
  return value.length > LONGEST_SHOWN ? `${value.slice(0, LONGEST_SHOWN)}...` : value;
}

/** `--domain svc --dns consul=127.0.0.1:8600`: options as they would be written. */
export function asWritten(texts: ReadonlyMap<OptionKey, readonly string[]>): string {
  return Array.from(texts, ([key, all]) => {
    const first = all.slice(0, MOST_SHOWN).map((one) => typed(key, one));
    const more = all.length > MOST_SHOWN ? [`(and ${all.length - MOST_SHOWN} more --${flagOf(key)})`] : [];
    return [...first, ...more].join(" ");
  }).join(" ");
}

/** One line for people: what a command has from the daemon; undefined: nothing. */
export function toldLine(
  { at, version }: DaemonSettings,
  { texts, left, leftUrls }: Taken,
  own: string,
): string | undefined {
  if (texts.size + left.length === 0) return undefined;
  const whose = `the srv-epmd here (${at}${version === own ? "" : `, version ${shown(version)}`})`;
  const used = texts.size === 0 ? undefined : `with the settings of ${whose}: ${asWritten(texts)}`;
  const names = listed(left.map((key) => (leftUrls.has(key) ? typed(key, leftUrls.get(key) ?? "") : flagNamed(key))));
  if (left.length === 0) return used;
  const rest = `${used === undefined ? `${whose} has` : "it also has"} ${names}, to be given by hand`;
  return used === undefined ? rest : `${used}; ${rest}`;
}

/** One value as a user types it: a switch is the bare flag, and a variable has an equals sign. */
function typed(key: OptionKey, value: string): string {
  const named = flagNamed(key);
  if (!named.startsWith("--")) return `${named}=${forShell(value)}`;
  const { boolean: isSwitch, parse } = optionOf(key);
  if (isSwitch) return parse(value) === false ? `--no-${flagOf(key)}` : named;
  return `${named} ${forShell(value)}`;
}

/** In quotes where a shell would read something else: `rabbit*`, `a b`. */
function forShell(value: string): string {
  const text = shown(value);
  return /^[\w@%+=:,./{}-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A flag, or the variable of an option that has none. */
function flagNamed(key: OptionKey): string {
  const { only, variable } = optionOf(key);
  return only === undefined ? `--${flagOf(key)}` : (variable ?? flagOf(key));
}
