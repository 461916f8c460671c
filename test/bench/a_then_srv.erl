%% The way of discovery modules that ask DNS inside the VM: A, and then SRV. The name server's port: BENCH_DNS_PORT.
-module(a_then_srv).
-export([start_link/0, register_node/3, listen_port_please/2, address_please/3, names/1]).

start_link() -> ignore.
register_node(_, _, _) -> {ok, 1}.
listen_port_please(_, _) -> {ok, 0}.
names(_) -> {error, address}.

address_please(Name, Host, _) ->
    Full = Name ++ "." ++ Host,
    Dns = [{nameservers, [{{127, 0, 0, 1}, list_to_integer(os:getenv("BENCH_DNS_PORT"))}]}],
    [Address] = inet_res:lookup(Full, in, a, Dns, 5000),
    [{_, _, Port, _}] = inet_res:lookup(Full, in, srv, Dns, 5000),
    {ok, Address, Port, 6}.
