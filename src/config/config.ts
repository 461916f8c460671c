import { ConfigError } from "../errors.js";
import { nearest } from "../text.js";
import { checkCombinations, doubtfulSettings } from "./conflicts.js";
import { type Place, unusedCredentials } from "./credentials.js";
import { type Environment, type NomadEnvironment, nomadJwt, readNomadEnvironment } from "./nomad.js";
import { refuseOldName, refuseOldVariables } from "./old-names.js";
import {
  type Command,
  defaultOf,
  flagOf,
  hasFlag,
  isFileKey,
  keyOfFlag,
  OPTION_KEYS,
  type OptionKey,
  optionOf,
  type Settings,
  variableOf,
} from "./options.js";
import { type DaemonSettings, type Taken, takeTold } from "./told.js";
import { ValueError } from "./values.js";

/** Everything that a command runs with; frozen. */
export interface Config extends Settings {
  readonly nomad: NomadEnvironment;
  /** Options that were set, as they were written, secrets included; the others have their defaults. */
  readonly given: ReadonlyMap<OptionKey, readonly string[]>;
  /** Those of them that were not set by hand, but told by the daemon of this machine. */
  readonly told: ReadonlySet<OptionKey>;
  /** Options that the daemon of this machine has, that are not set here, and that are not taken from it: secrets and files. */
  readonly left: ReadonlySet<OptionKey>;
  /** Of these the URLs of APIs: none is used beside a credential that was given by hand. */
  readonly leftUrls: ReadonlyMap<OptionKey, string>;
}

export interface ConfigInput {
  readonly command: Command;
  /** By option key, as written on the command line; absent: not given. */
  readonly flags: Readonly<Partial<Record<OptionKey, string | readonly string[]>>>;
  readonly env: Environment;
  /** Contents of `--config`, by flag name. */
  readonly file?: { readonly path: string; readonly contents: unknown };
  /** Settings of the daemon of this machine, used where nothing is set here. */
  readonly daemon?: DaemonSettings;
}

export interface ConfigOutput {
  readonly config: Config;
  /** For the log: settings that are doubtful and do not stop the start. */
  readonly warnings: readonly string[];
  /** For the log of those who look for a fault. */
  readonly remarks: readonly string[];
  /** Of the daemon's settings; undefined without a daemon. */
  readonly taken: Taken | undefined;
}

/** A value as written, and where: every complaint about it says so. */
interface Written {
  readonly place: Place;
  readonly where: string;
  readonly texts: readonly string[];
}

const PREFIX = "SRV_EPMD_";

/** Variables of the Erlang module, which share our prefix. */
const MODULE_VARIABLES = new Set(["SRV_EPMD_ADDRESS", "SRV_EPMD_CONNECT", "SRV_EPMD_LOG", "SRV_EPMD_WAIT"]);

/**
 * Flag, then SRV_EPMD_*, then file, then the ecosystem's variable, then what the daemon of this machine told, then default.
 * @throws ConfigError that names the option, where it was written, the value and what would be right.
 */
export function loadConfig(input: ConfigInput): ConfigOutput {
  const unknown = Object.keys(input.flags).find((key) => !OPTION_KEYS.includes(key as OptionKey));
  if (unknown !== undefined) {
    refuseOldName(`flags: ${unknown}`, flagOf(unknown as OptionKey));
    throw new ConfigError("CONFIG_UNKNOWN", `flags: ${unknown} is not an option (camelCase, as dnsListen)`);
  }
  refuseOldVariables(input.env);
  const file = readFileKeys(input.file);
  const settings: Partial<Record<OptionKey, unknown>> = {};
  const given = new Map<OptionKey, Written>();
  for (const key of OPTION_KEYS) {
    // Options of other commands have their defaults: environment and file may be shared by all commands.
    const written = optionOf(key).commands.includes(input.command) ? findWritten(key, input, file) : undefined;
    if (written) given.set(key, written);
    settings[key] = written ? parseWritten(key, written) : defaultValue(key, input.command);
  }
  const unused = unusedCredentials(given);
  for (const key of unused.keys) {
    settings[key] = undefined;
    given.delete(key);
  }
  const nomad = readNomadEnvironment(input.env);
  const taken = input.daemon && takeTold(input.command, input.daemon, { given, secretsDir: nomad.secretsDir });
  for (const [key, texts] of taken?.texts ?? []) {
    const written: Written = { place: "daemon", where: `${input.daemon?.at}: ${flagOf(key)}`, texts };
    given.set(key, written);
    settings[key] = parseWritten(key, written);
  }
  if (settings.consulAuthMethod !== undefined) settings.consulBearerTokenFile ??= nomadJwt(nomad);
  if (settings.consulSsl === true && !namesScheme(given.get("consul"))) {
    settings.consul = String(settings.consul).replace(/^http:/, "https:");
  }
  const config = Object.freeze({
    ...(settings as unknown as Settings),
    nomad,
    given: new Map(Array.from(given, ([key, { texts }]) => [key, texts])),
    told: new Set(taken?.texts.keys()),
    left: new Set(taken?.left),
    leftUrls: new Map(taken?.leftUrls),
  });
  checkCombinations(config, input.command);
  const warnings = [...unknownVariables(input.env), ...doubtfulSettings(config, input.command)];
  return { config, warnings, remarks: unused.remark === undefined ? [] : [unused.remark], taken };
}

/** The value of one option as it was set by hand, or its default. @throws ConfigError as loadConfig */
export function settingByHand<K extends OptionKey>(
  key: K,
  input: ConfigInput,
): { readonly value: Settings[K]; readonly isGiven: boolean } {
  const written = findWritten(key, input, readFileKeys(input.file));
  const value = written ? parseWritten(key, written) : defaultValue(key, input.command);
  return { value: value as Settings[K], isGiven: written !== undefined };
}

/** CONSUL_HTTP_SSL decides for an address without a scheme, and for the default, as in Consul's own commands. */
function namesScheme(consul: Written | undefined): boolean {
  return consul?.texts.every((text) => text.includes("://")) ?? false;
}

function findWritten(key: OptionKey, input: ConfigInput, file: Map<OptionKey, Written>): Written | undefined {
  const option = optionOf(key);
  const flag = input.flags[key];
  if (flag !== undefined)
    return { place: "flag", where: `--${flagOf(key)}`, texts: typeof flag === "string" ? [flag] : flag };
  const own = hasFlag(key) ? input.env[variableOf(key)] : undefined;
  if (own !== undefined && own !== "")
    return { place: "variable", where: variableOf(key), texts: option.list ? splitList(own) : [own] };
  const inFile = file.get(key);
  if (inFile) return inFile;
  const theirs = option.variable === undefined ? undefined : input.env[option.variable];
  if (option.variable === undefined || theirs === undefined || theirs === "") return undefined;
  // ERL_EPMD_ADDRESS is separated by commas and blanks (epmd's manual).
  return {
    place: "ecosystem",
    where: option.variable,
    texts: option.list ? theirs.split(/[\s,]+/).filter((text) => text !== "") : [theirs],
  };
}

function splitList(text: string): string[] {
  return text.split(",").map((item) => item.trim());
}

function parseWritten(key: OptionKey, { where, texts }: Written): unknown {
  const option = optionOf(key);
  if (!option.list && texts.length !== 1) {
    const shown = texts.length > 0 && !option.secret ? ` (${texts.map((text) => shownOf(key, text)).join(", ")})` : "";
    throw new ConfigError("CONFIG_VALUE", `${where} is given ${texts.length} times${shown}; give it once`);
  }
  const parsed = texts.map((text) => {
    try {
      return option.parse(text);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      const shown = option.secret ? "its value" : JSON.stringify(shownOf(key, text));
      throw new ConfigError("CONFIG_VALUE", `${where}: ${shown} ${error.message}`);
    }
  });
  return option.list ? Object.freeze(parsed) : parsed[0];
}

/** Complaints are logged, so a password or a token in a URL is left out. */
function shownOf(key: OptionKey, text: string): string {
  return key === "consul" || key === "nomadAddr"
    ? text.replace(/^([a-z]+:\/\/)?.*@/is, "$1...@").replace(/[?#].*/s, "?...")
    : text;
}

function defaultValue(key: OptionKey, command: Command): unknown {
  const option = optionOf(key);
  if (option.list) return Object.freeze([]);
  const text = defaultOf(key, command) ?? defaultOf(key, "serve");
  return text === undefined ? undefined : option.parse(text);
}

function readFileKeys(file: ConfigInput["file"]): Map<OptionKey, Written> {
  const found = new Map<OptionKey, Written>();
  const contents = file?.contents;
  if (!file || contents === null || contents === undefined) return found;
  if (typeof contents !== "object" || Array.isArray(contents)) {
    throw new ConfigError("CONFIG_FILE", `${file.path}: must hold options by flag name, such as {"port": 4369}`);
  }
  for (const [name, value] of Object.entries(contents)) {
    const where = `${file.path}: ${name}`;
    const named = keyOfFlag(name);
    const key = named !== undefined && isFileKey(named) ? named : undefined;
    if (key === undefined) refuseOldName(where, name, value === false);
    if (key === undefined || key === "config") {
      throw new ConfigError("CONFIG_UNKNOWN", `${where} is not an option${hintFor(name)}`);
    }
    const items: unknown[] = Array.isArray(value) ? value : [value];
    const texts = items.map((item) => {
      if (["string", "number", "boolean"].includes(typeof item)) return String(item);
      throw new ConfigError("CONFIG_VALUE", `${where}: must be text, a number, true or false, or a list of those`);
    });
    found.set(key, { place: "file", where, texts });
  }
  return found;
}

/** @param name a key of the file that is none */
function hintFor(name: string): string {
  const other = keyOfFlag(name);
  if (other === "config") return " of the file itself";
  if (other !== undefined) return `; it is set by the variable ${optionOf(other).variable} alone`;
  const meant = nearest(name, OPTION_KEYS.filter((key) => isFileKey(key) && key !== "config").map(flagOf));
  return meant === undefined ? "" : `; was ${meant} meant?`;
}

function unknownVariables(env: Environment): string[] {
  const known = new Set([...OPTION_KEYS.filter(hasFlag).map(variableOf), ...MODULE_VARIABLES]);
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && !known.has(name))
    .map((name) => {
      // Without the prefix, which is no sign of likeness.
      const [written, ...all] = [name, ...known].map((variable) => variable.slice(PREFIX.length));
      const meant = nearest(written ?? "", all);
      return `${name} is not a variable of srv-epmd; ${meant === undefined ? "is it misspelt?" : `was ${PREFIX}${meant} meant?`}`;
    });
}
