/** The files of an OTP application with the module, for releases: rebar3 uses the app.src and Mix the mix.exs, as a path dependency. */
export function applicationFiles(source: string, version: string): Record<string, string> {
  return {
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
}
