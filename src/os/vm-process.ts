import { readdir, readFile } from "node:fs/promises";
import { isAliveName } from "../config/network-values.js";
import { EPMD_PORT } from "../net/endpoint.js";
import { MEBIBYTE, readBounded } from "./files.js";
import { networkNamespace } from "./machine.js";
import { findListener } from "./sockets.js";

/** A VM's process, and how it finds its peers, by its command line and environment. */
export interface VmProcess {
  readonly pid: number;
  /**
   * It asks this machine's resolver for the host, and the EPMD at that address: it has no EPMD module (an argument, or a
   * kernel parameter since OTP 27) and no inetrc of its own.
   */
  readonly asksResolver: boolean;
  /** It has the module that asks srv-epmd. */
  readonly hasModule: boolean;
  /** `R`, `S`, `T`, ...: proc_pid_stat(5). `T` is stopped by a signal, `t` by a debugger. */
  readonly state: string | undefined;
  /** kernel(6): `never` dials no node by itself, `once` none whose link was lost. */
  readonly autoConnect: "never" | "once" | undefined;
  /** `25.2.3`; undefined where its root folder has no OTP_VERSION, as a release has none. */
  readonly otpVersion: string | undefined;
}

/**
 * The VM that listens on a port; undefined when its process may not be read. erl makes arguments of vm.args, ERL_FLAGS and
 * the like.
 */
export async function vmProcess(port: number): Promise<VmProcess | undefined> {
  const listener = findListener(port);
  if (!listener) return undefined;
  const pid = String(listener.pid);
  const [args, env] = await Promise.all([words(pid, "cmdline"), words(pid, "environ")]);
  // Another program may forward the port, such as docker-proxy.
  if (!args.includes("-name") && !args.includes("-sname")) return undefined;
  const [state, autoConnect, otpVersion] = await Promise.all([
    stateOf(pid),
    autoConnectOf(pid, args),
    otpVersionOf(pid, args),
  ]);
  const hasModule = wordAfter(args, "-epmd_module") === "srv_epmd" || wordAfter(args, "epmd_module") === "srv_epmd";
  return { ...{ pid: listener.pid, asksResolver: asksResolver(args, env), hasModule }, state, autoConnect, otpVersion };
}

/** The word after an argument; undefined where there is no such argument. */
function wordAfter(args: readonly string[], flag: string): string | undefined {
  const at = args.indexOf(flag);
  return at < 0 ? undefined : args[at + 1];
}

/** The command's name may hold blanks and brackets, so the state is what follows the last bracket. */
async function stateOf(pid: string): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return /\) (\S)/.exec(text.slice(text.lastIndexOf(")")))?.[1];
}

/** An argument comes before the files of `-config`. */
async function autoConnectOf(pid: string, args: readonly string[]): Promise<VmProcess["autoConnect"]> {
  const named = wordAfter(args, "dist_auto_connect");
  const found = named === undefined ? autoConnectIn(await configTexts(pid, args)) : named;
  return found === "never" || found === "once" ? found : undefined;
}

function autoConnectIn(texts: readonly string[]): string | undefined {
  const settings = texts.flatMap((text) => {
    const terms = text.replaceAll(/%.*$/gm, "");
    return /\{\s*dist_auto_connect\s*,\s*([a-z]+)\s*\}/.exec(terms)?.[1] ?? [];
  });
  return settings.at(-1);
}

/** The files of `-config`, which may be named without their ending (init(3)). */
async function configTexts(pid: string, args: readonly string[]): Promise<string[]> {
  const names = args.flatMap((arg, index) => (arg === "-config" ? (args[index + 1] ?? []) : []));
  const texts = names.map(async (name) => {
    const path = `/proc/${pid}/${name.startsWith("/") ? "root" : "cwd/"}${name.replace(/\.config$/, "")}.config`;
    return readBounded(path, { limit: MEBIBYTE }).catch(() => "");
  });
  return Promise.all(texts);
}

async function otpVersionOf(pid: string, args: readonly string[]): Promise<string | undefined> {
  const folder = `/proc/${pid}/root${wordAfter(args, "-root") ?? ""}/releases`;
  const [release] = (await readdir(folder).catch(() => [])).filter((name) => /^[0-9]+$/.test(name));
  if (release === undefined) return undefined;
  const text = await readBounded(`${folder}/${release}/OTP_VERSION`, { limit: MEBIBYTE }).catch(() => "");
  return /^[0-9][0-9.]*(?=\s*$)/.exec(text)?.[0];
}

function asksResolver(args: readonly string[], env: readonly string[]): boolean {
  return !args.some((arg) => /^(-?epmd_module|inetrc)$/.test(arg)) && !env.some((pair) => /^ERL_INETRC=/.test(pair));
}

/** Whether the VM that listens on a port is a RabbitMQ broker, by its `-s rabbit boot`; false when its process may not be read. */
export async function isBroker(port: number): Promise<boolean> {
  const listener = findListener(port);
  const args = listener ? await words(String(listener.pid), "cmdline") : [];
  return args.some((arg, index) => arg === "-s" && args[index + 1] === "rabbit" && args[index + 2] === "boot");
}

async function words(pid: string, file: "cmdline" | "environ"): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
  return text.split("\0");
}

/** A VM in this network namespace, by its command line. */
export interface RunningVm {
  readonly pid: number;
  readonly aliveName: string;
  /** Host part of `-name`; undefined when it has none, as with `-sname`. */
  readonly host: string | undefined;
  /** It has a short name, by `-sname`: it dials no node with a long one. */
  readonly isShort: boolean;
  /** It asks for its peers at the addresses of their host parts: it has no EPMD module and no inetrc. */
  readonly asksResolver: boolean;
  /** Of the EPMD that it asks. */
  readonly epmdPort: number;
}

/** Arguments of a VM that registers with no EPMD of this machine. */
const ASKS_NONE = /^-(erl_epmd_port|no_epmd)$/;

/** VMs of this network namespace that register with an EPMD of this machine, as far as their processes may be read. */
export async function runningVms(): Promise<RunningVm[]> {
  const entries = await readdir("/proc").catch(() => []);
  const here = await networkNamespace();
  const found = await Promise.all(
    entries
      .filter((entry) => /^[0-9]+$/.test(entry))
      .map(async (pid): Promise<RunningVm[]> => {
        const args = await words(pid, "cmdline");
        if (!/(^|\/)beam(\.[a-z.]+)?$/.test(args[0] ?? "") || (await networkNamespace(Number(pid))) !== here) return [];
        const after = (...flags: readonly string[]) => args[args.findIndex((arg) => flags.includes(arg)) + 1];
        const name = args.some((arg) => /^-s?name$/.test(arg)) ? after("-name", "-sname") : undefined;
        const module = args.some((arg) => /^-?epmd_module$/.test(arg))
          ? after("-epmd_module", "epmd_module")
          : "srv_epmd";
        const isSilent = args.some(
          (arg, index) => ASKS_NONE.test(arg) || (arg === "-dist_listen" && args[index + 1] === "false"),
        );
        const env = await words(pid, "environ");
        const value = (variable: string) => env.find((pair) => pair.startsWith(`${variable}=`))?.split("=")[1];
        const [aliveName = "", host] = name?.split("@") ?? [];
        if (!isAliveName(aliveName) || aliveName === "undefined" || module !== "srv_epmd" || isSilent) return [];
        if (env.length < 2 || value("SRV_EPMD_ADDRESS") !== undefined) return [];
        const epmdPort = Number(value("ERL_EPMD_PORT") ?? EPMD_PORT);
        const isShort = args.includes("-sname");
        return [{ pid: Number(pid), aliveName, host, isShort, asksResolver: asksResolver(args, env), epmdPort }];
      }),
  );
  return found.flat();
}
