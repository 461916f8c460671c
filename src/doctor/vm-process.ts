import { readFile } from "node:fs/promises";
import { findListener } from "../epmd/port-holder.js";

/** How a VM finds its peers, by what it was started with. */
export interface VmProcess {
  /** `-epmd_module srv_epmd`, or the kernel parameter of OTP 27. */
  readonly hasModule: boolean;
  /** An inetrc of its own: what this machine's resolver says is not what it hears. */
  readonly hasInetrc: boolean;
}

/**
 * The VM that listens on a port; undefined where its process cannot be looked at. erl passes what stands in vm.args,
 * ERL_FLAGS and their like on as arguments.
 */
export async function vmProcess(port: number): Promise<VmProcess | undefined> {
  const listener = findListener(port);
  if (!listener) return undefined;
  const words = async (file: string) => {
    const text = await readFile(`/proc/${listener.pid}/${file}`, "utf8").catch(() => "");
    return text.split("\0");
  };
  const [args, env] = await Promise.all([words("cmdline"), words("environ")]);
  // Another program may pass the port on: a proxy, docker-proxy.
  if (!args.includes("-name") && !args.includes("-sname")) return undefined;
  return {
    hasModule: args.some((arg, index) => /^-?epmd_module$/.test(arg) && args[index + 1] === "srv_epmd"),
    hasInetrc: args.includes("inetrc") || env.some((pair) => pair.startsWith("ERL_INETRC=")),
  };
}
