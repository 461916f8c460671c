defmodule Svc do
  @moduledoc """
  A node that tells whom it is connected to, over HTTP at $PORT: `/` has its name, its version and `nodes()`,
  `/connect/<node>` what `Node.connect/1` returns and after how many milliseconds.
  """
  use Application

  @impl true
  def start(_type, _args), do: Supervisor.start_link([{Task, &listen/0}], strategy: :one_for_one)

  defp listen do
    port = String.to_integer(System.get_env("PORT", "8080"))
    {:ok, listener} = :gen_tcp.listen(port, [:binary, packet: :http_bin, active: false, reuseaddr: true])
    accept(listener)
  end

  defp accept(listener) do
    {:ok, socket} = :gen_tcp.accept(listener)
    {:ok, pid} = Task.start(fn -> receive(do: (:yours -> answer(socket))) end)
    :ok = :gen_tcp.controlling_process(socket, pid)
    send(pid, :yours)
    accept(listener)
  end

  defp answer(socket) do
    # Nomad's check of the port connects, and sends nothing.
    with {:ok, {:http_request, _, {:abs_path, path}, _}} <- :gen_tcp.recv(socket, 0, 5_000) do
      body = body(path)
      :inet.setopts(socket, packet: :raw)
      :gen_tcp.send(socket, "HTTP/1.1 200 OK\r\ncontent-length: #{byte_size(body)}\r\nconnection: close\r\n\r\n#{body}")
      :gen_tcp.shutdown(socket, :write)
      :gen_tcp.recv(socket, 0, 1_000)
    end

    :gen_tcp.close(socket)
  end

  defp body("/connect/" <> other) do
    {microseconds, result} = :timer.tc(fn -> Node.connect(String.to_atom(other)) end)
    ~s({"result": "#{result}", "ms": #{div(microseconds, 1000)}})
  end

  defp body(_) do
    nodes = Enum.map_join(Node.list(), ", ", &~s("#{&1}"))
    version = Application.spec(:svc, :vsn)
    ~s({"node": "#{node()}", "version": "#{version}", "nodes": [#{nodes}]})
  end
end
