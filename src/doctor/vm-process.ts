import { readFile } from "node:fs/promises";
import { findListener } from "../epmd/port-holder.js";

/** How a VM finds its peers, by what it was started with. */
export interface VmProcess {
  /**
   * It asks this machine's resolver for the host, and the EPMD at that address: it has no EPMD module (an argument, or a
   * kernel parameter since OTP 27) and no inetrc of its own.
   */
  readonly asksResolver: boolean;
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
    asksResolver:
      !args.some((arg) => /^(-?epmd_module|inetrc)$/.test(arg)) && !env.some((pair) => /^ERL_INETRC=/.test(pair)),
  };
}
