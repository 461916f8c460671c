defmodule Demo do
  @moduledoc "Nothing but a node."
  use Application

  @impl true
  def start(_type, _args), do: Supervisor.start_link([], strategy: :one_for_one)
end
