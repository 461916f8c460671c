import { createHash } from "node:crypto";

/** Text of each file, by its path in a folder. */
export type Files = Readonly<Record<string, string>>;

/** The line that a written file begins with, without the sign of a comment. */
const MARK = /^(?:%%|#) Written by srv-epmd [^ ]+, sha256 of the lines below ([0-9a-f]{64})\n/;

/**
 * A file with a first line by which a later run knows that it was written here, and that nobody has changed it since.
 * @param path decides the sign of a comment: Elixir's `#`, Erlang's `%%`
 */
function marked(path: string, body: string, version: string): string {
  return `${path.endsWith(".exs") ? "#" : "%%"} Written by srv-epmd ${version}, sha256 of the lines below ${digest(body)}\n${body}`;
}

const digest = (text: string) => createHash("sha256").update(text).digest("hex");

/** Whether a file may be replaced: it was written by a srv-epmd of any version and is unchanged, or has what is to be written. */
export function isReplaceable(held: string, wanted: string): boolean {
  const body = held.replace(MARK, "");
  return MARK.exec(held)?.[1] === digest(body) || body === wanted.replace(MARK, "");
}

/** The module alone. */
export function moduleFiles(source: string, version: string): Files {
  return { "srv_epmd.erl": marked("srv_epmd.erl", source, version) };
}

/** An OTP application with the module, for releases: rebar3 uses the app.src and Mix the mix.exs, as a path dependency. */
export function applicationFiles(source: string, version: string): Files {
  const bodies: Files = {
    "src/srv_epmd.erl": source,
    "src/srv_epmd.app.src": `{application, srv_epmd,
 [{description, "Nodes find each other through srv-epmd"},
  {vsn, "${version}"},
  {registered, []},
  {modules, [srv_epmd]},
  {applications, [kernel, stdlib]},
  {licenses, ["Apache-2.0"]}]}.
`,
    "rebar.config": "{erl_opts, [debug_info]}.\n",
    "mix.exs": `defmodule SrvEpmd.MixProject do
  use Mix.Project

  def project do
    [app: :srv_epmd, version: "${version}", language: :erlang, erlc_options: [:debug_info], deps: []]
  end

  def application, do: []
end
`,
  };
  return Object.fromEntries(Object.entries(bodies).map(([path, body]) => [path, marked(path, body, version)]));
}
