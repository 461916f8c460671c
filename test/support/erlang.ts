import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, type Exit, type Place, type RunResult, run, startChild } from "./child.js";
import { cleanEnvironment } from "./environment.js";
import type { Otp } from "./otp.js";
import { removeFolder, temporaryFolder } from "./temporary.js";
import { waitFor } from "./wait-for.js";

export interface NodeOptions {
  /** `-name`: a@host.example; or `sname`; or neither, for a VM without distribution. */
  readonly name?: string;
  readonly sname?: string;
  readonly cookie?: string;
  /** Becomes ERL_EPMD_PORT: the EPMD that is asked and registered with. */
  readonly epmdPort?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Further arguments of `erl` (for an Elixir node too). */
  readonly args?: readonly string[];
  /** Contents of an inetrc file, in Erlang terms: how this VM resolves host names. */
  readonly inetrc?: string;
  readonly netns?: Place;
  /** The release that runs it; the machine's own when not given. */
  readonly otp?: Otp;
}

/** A VM in its own process, driven over its standard input. It ends with the test process. */
export interface ErlangNode {
  readonly child: Child;
  /** Evaluates expressions (`net_adm:ping('b@h')`, no final dot needed) and gives the last value as text. @throws on an exception there */
  readonly eval: (expression: string, timeout?: number) => Promise<string>;
  /** `net_adm:ping/1`: pong or pang. */
  readonly ping: (other: string) => Promise<string>;
  /** Names of the nodes connected now, hidden ones too. */
  readonly nodes: () => Promise<string[]>;
  readonly stop: () => Promise<Exit>;
  readonly kill: (signal?: NodeJS.Signals) => Promise<Exit>;
}

export const DEFAULT_COOKIE = "srv-epmd-test";

/** Reads "<id> <expression in Base64>" lines and answers "@@<id> ok|error <text in Base64>"; ends with its input. */
const ERLANG_LOOP = `
Answer = fun(Id, Tag, Text) ->
  io:format("~n@@~s ~s ~s~n", [Id, Tag, base64:encode_to_string(unicode:characters_to_binary(Text))])
end,
Evaluate = fun(Id, Code) ->
  try
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(base64:decode(Code)) ++ "."),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Expressions, []),
    Answer(Id, "ok", io_lib:format("~0tp", [Value]))
  catch Class:Reason -> Answer(Id, "error", io_lib:format("~0tp:~0tp", [Class, Reason]))
  end
end,
Loop = fun Loop() ->
  case io:get_line("") of
    Line when is_list(Line) ->
      [Id, Code] = string:lexemes(string:trim(Line), " "),
      spawn(fun() -> Evaluate(Id, Code) end),
      Loop();
    _ -> halt(0)
  end
end,
spawn(fun() -> group_leader(whereis(user), self()), Answer("ready", "ok", atom_to_list(node())), Loop() end).
`.replaceAll(/\s*\n\s*/g, " ");

const ELIXIR_LOOP = String.raw`
answer = fn id, tag, text -> IO.puts("\n@@#{id} #{tag} #{Base.encode64(text)}") end
evaluate = fn id, code ->
  try do
    {value, _} = code |> Base.decode64!() |> Code.eval_string()
    answer.(id, "ok", inspect(value, limit: :infinity, printable_limit: :infinity))
  catch
    kind, reason -> answer.(id, "error", "#{kind}:#{inspect(reason)}")
  end
end
answer.("ready", "ok", to_string(node()))
Enum.each(IO.stream(:stdio, :line), fn line ->
  [id, code] = String.split(line)
  spawn(fn -> evaluate.(id, code) end)
end)
System.halt(0)
`;

/** Real `erl`. @throws when the node does not come up, with what it said */
export function startNode(options: NodeOptions): Promise<ErlangNode> {
  const args = [...distribution("-", options), ...VM_ARGS, ...(options.args ?? [])];
  return start(options.otp?.program("erl") ?? "erl", ["-noshell", ...args, "-eval", ERLANG_LOOP], options, {
    ping: (name) => `net_adm:ping('${name}')`,
    nodes: `lists:flatten(lists:join(" ", [atom_to_list(Node) || Node <- nodes(connected)]))`,
  });
}

/** Real `elixir`; `eval` takes Elixir. */
export function startElixirNode(options: NodeOptions): Promise<ErlangNode> {
  const erl = [...VM_ARGS, ...(options.args ?? [])].join(" ");
  const args = [...distribution("--", options), "--erl", erl, "-e", ELIXIR_LOOP];
  return start("elixir", args, options, {
    ping: (name) => `Node.ping(:"${name}")`,
    nodes: `Enum.join(Node.list(:connected), " ")`,
  });
}

/** No second EPMD; and no busy waiting, which costs the other tests their processor time. */
const VM_ARGS = ["-start_epmd", "false", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"];

function distribution(dash: "-" | "--", { name, sname, cookie = DEFAULT_COOKIE }: NodeOptions): string[] {
  if (name === undefined && sname === undefined) return [];
  const named = name === undefined ? [`${dash}sname`, sname ?? ""] : [`${dash}name`, name];
  return [...named, dash === "-" ? "-setcookie" : "--cookie", cookie];
}

async function start(
  command: string,
  args: readonly string[],
  options: NodeOptions,
  expressions: { readonly ping: (other: string) => string; readonly nodes: string },
): Promise<ErlangNode> {
  // A home of its own: a cookie file there would be shared, and written by whoever comes first.
  const home = await temporaryFolder("erl");
  const env = cleanEnvironment({ HOME: home, ERL_CRASH_DUMP: "/dev/null", LANG: "C.UTF-8", ...options.env });
  if (options.epmdPort !== undefined) env.ERL_EPMD_PORT = String(options.epmdPort);
  if (options.inetrc !== undefined) {
    env.ERL_INETRC = join(home, "inetrc");
    await writeFile(env.ERL_INETRC, options.inetrc);
  }
  const child = startChild(command, args, { env, cwd: home, ...(options.netns && { netns: options.netns }) });
  const leave = async (exit: Promise<Exit>) => {
    const how = await exit;
    await removeFolder(home);
    return how;
  };
  void leave(child.exited).catch(() => undefined);
  try {
    await child.waitForOutput(/^@@ready ok /m, 20_000);
  } catch (error) {
    await child.kill();
    throw error;
  }
  const evaluate = async (expression: string, timeout = 15_000) => {
    const id = randomUUID();
    child.write(`${id} ${Buffer.from(expression.trim().replace(/\.$/, "")).toString("base64")}\n`);
    const [, tag, text = ""] = await child.waitForOutput(new RegExp(`^@@${id} (ok|error) (.*)$`, "m"), timeout);
    const value = Buffer.from(text, "base64").toString();
    if (tag === "error") throw new Error(`${expression}: ${value}`);
    return value;
  };
  return {
    child,
    eval: evaluate,
    ping: async (other) => (await evaluate(expressions.ping(other))).replace(/^:/, ""),
    nodes: async () =>
      (await evaluate(expressions.nodes))
        .replaceAll(/[["\]]/g, "")
        .split(" ")
        .filter((name) => name !== ""),
    stop: () => leave(child.stop("SIGTERM")),
    kill: (signal = "SIGKILL") => leave(child.stop(signal)),
  };
}

export interface ErlCallOptions {
  /** The node to speak to, by long name; or `sname`. */
  readonly name?: string;
  readonly sname?: string;
  readonly cookie?: string;
  readonly epmdPort?: number;
  /** Such as `["-a", "erlang node"]`. */
  readonly args?: readonly string[];
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly netns?: Place;
}

export function erlCall({ name, sname, cookie = DEFAULT_COOKIE, ...options }: ErlCallOptions): Promise<RunResult> {
  const target = name === undefined ? ["-sname", sname ?? ""] : ["-name", name];
  const env = cleanEnvironment({ HOME: tmpdir(), ...options.env });
  if (options.epmdPort !== undefined) env.ERL_EPMD_PORT = String(options.epmdPort);
  return run("erl_call", ["-c", cookie, ...target, ...(options.args ?? [])], {
    env,
    input: options.input ?? "",
    ...(options.netns && { netns: options.netns }),
  });
}

/** Waits until a node is connected to all of the others. */
export async function waitForNodes(node: ErlangNode, ...others: readonly string[]): Promise<void> {
  const connected = async () => {
    const nodes = await node.nodes();
    return others.every((other) => nodes.includes(other));
  };
  await waitFor(connected, { what: `a connection to ${others.join(" and ")}` });
}
