defmodule Svc.MixProject do
  use Mix.Project

  # SVC_VERSION: an update is a change of the release. SVC_MODULE: the folder of the srv_epmd application, for the release that has it.
  def project do
    [
      app: :svc,
      version: System.get_env("SVC_VERSION", "1.0.0"),
      deps: for(path <- List.wrap(System.get_env("SVC_MODULE")), do: {:srv_epmd, path: path}),
      releases: [svc: [include_executables_for: [:unix], cookie: "the-cookie-of-svc", strip_beams: false]]
    ]
  end

  def application, do: [extra_applications: [:logger], mod: {Svc, []}]
end
