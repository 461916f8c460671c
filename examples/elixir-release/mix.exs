defmodule Demo.MixProject do
  use Mix.Project

  def project do
    [
      app: :demo,
      version: "0.1.0",
      deps: [{:srv_epmd, path: "vendor/srv_epmd"}],
      releases: [demo: [include_executables_for: [:unix]]]
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {Demo, []}]
  end
end
