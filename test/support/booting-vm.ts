import { type Child, type Place, startChild } from "./child.js";
import { cleanEnvironment } from "./environment.js";
import { DEFAULT_COOKIE } from "./erlang.js";
import { moduleFolder } from "./module-folder.js";
import { findOtp } from "./otp.js";
import { temporaryFolder } from "./temporary.js";

export interface Boot {
  readonly release?: number;
  readonly epmdPort: number;
  readonly name?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly args?: readonly string[];
  readonly netns?: Place;
}

/** A VM with the module, whose start may wait or fail: it prints `up as NAME` when it is up. */
export async function beginVm(options: Boot): Promise<Child> {
  const { release = 25, epmdPort, name = "a@127.0.0.1", env = {}, args = [], netns } = options;
  const otp = findOtp(release);
  const module_ = ["-pa", await moduleFolder(otp), "-start_epmd", "false", "-epmd_module", "srv_epmd"];
  const named = ["-name", name, "-setcookie", DEFAULT_COOKIE];
  const says = ["-eval", `io:format("up as ~p~n", [node()])`];
  return startChild(otp?.program("erl") ?? "erl", ["-noshell", ...named, ...module_, ...says, ...args], {
    env: cleanEnvironment({
      HOME: await temporaryFolder("erl"),
      ERL_CRASH_DUMP: "/dev/null",
      LANG: "C.UTF-8",
      ERL_EPMD_PORT: String(epmdPort),
      ...env,
    }),
    ...(netns && { netns }),
  });
}

/** Such a VM to its end, which it comes to by itself. */
export async function bootVm(options: Boot): Promise<{ code: number | null; ms: number; said: string }> {
  const child = await beginVm({ ...options, args: ["-s", "erlang", "halt", ...(options.args ?? [])] });
  const { code, ms } = await child.exited;
  return { code, ms, said: child.stderr() + child.stdout() };
}
