import { readdir, readFile } from "node:fs/promises";
import { isAliveName } from "../config/network-values.js";
import { EPMD_PORT } from "../net/endpoint.js";
import { networkNamespace } from "./machine.js";
import { findListener } from "./sockets.js";

/** How a VM finds its peers, by its command line and environment. */
interface VmProcess {
  /**
   * It asks this machine's resolver for the host, and the EPMD at that address: it has no EPMD module (an argument, or a
   * kernel parameter since OTP 27) and no inetrc of its own.
   */
  readonly asksResolver: boolean;
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
  return { asksResolver: asksResolver(args, env) };
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
