%% Nodes find each other through srv-epmd:  erl -start_epmd false -epmd_module srv_epmd ...
%%
%% Where another node is, the local srv-epmd is asked with its full name, and answers with addresses and ports.
%% Everything else (registration, names, coming back when the daemon was restarted) is OTP's own erl_epmd.
%%
%%   ERL_DIST_PORT         port to listen on
%%   SRV_EPMD_ADDRESS      a srv-epmd on another address than the loopbacks; it must --allow this one
%%   SRV_EPMD_CONNECT      pattern such as *@svc.service.consul: keep connected to every node that matches
%%   SRV_EPMD_LOG=debug    log each call and its result
-module(srv_epmd).

-export([start_link/0, names/1, register_node/2, register_node/3, port_please/2, port_please/3, address_please/3,
         listen_port_please/2]).
-export([init_registration/1, init_connector/1]).

%% net_kernel gives a whole connection set-up 7 s (net_setuptime): an answer that comes later is of no use.
-define(ANSWER_TIMEOUT, 6000).
-define(CONNECT_TIMEOUT, 1000).
%% As erl_epmd: how long after its EPMD has gone a node registers again.
-define(RECONNECT_TIME, 2000).

start_link() ->
    case os:getenv("SRV_EPMD_CONNECT", "") of
        "" -> ok;
        Pattern -> spawn(?MODULE, init_connector, [Pattern])
    end,
    case os:getenv("SRV_EPMD_ADDRESS", "") of
        "" -> erl_epmd:start_link();
        _ -> proc_lib:start_link(?MODULE, init_registration, [self()])
    end.

register_node(Name, Port) ->
    register_node(Name, Port, inet_tcp).

register_node(Name, Port, Driver) ->
    Result = case whereis(?MODULE) of
                 undefined -> erl_epmd:register_node(Name, Port, Driver);
                 Pid -> element(2, gen:call(Pid, '$srv_epmd', {register, text(Name), Port}, infinity))
             end,
    case Result of
        {error, duplicate_name} ->
            logger:error("srv_epmd: a node named ~ts is registered already", [text(Name)]);
        {error, Reason} ->
            logger:error("srv_epmd: ~ts cannot be registered, no srv-epmd answers at ~ts (~0p): it must be up before "
                         "this node is", [text(Name), place(sidecar(Driver)), Reason]);
        _ -> ok
    end,
    debug(register_node, [Name, Port, Driver], Result).

names(Host) ->
    debug(names, [Host], erl_epmd:names(Host)).

%% The port of the node itself: helpers (remote consoles, rpc) run beside it with the same environment.
listen_port_please(Name, Host) ->
    Result = case erl_epmd:listen_port_please(Name, Host) of
                 {ok, 0} -> {ok, dist_port(text(Name), os:getenv("ERL_DIST_PORT", ""))};
                 Other -> Other
             end,
    debug(listen_port_please, [Name, Host], Result).

dist_port(Name, Text) ->
    case {is_helper(Name), string:to_integer(Text)} of
        {false, {Port, []}} when Port > 0, Port < 65536 -> Port;
        _ -> 0
    end.

address_please(Name, Host, Family) ->
    case whereis(net_kernel) =:= self() of
        %% The first call of a connection runs inside net_kernel, which must never wait: a silent name server would
        %% cost healthy links. It only looks whether there is an answer; the second call, in the connection's own
        %% process, is the one whose answer is dialled.
        true -> {ok, loopback(Family)};
        false -> debug(address_please, [Name, Host, Family], locate(text(Name), text(Host), Family))
    end.

port_please(Name, Host) ->
    port_please(Name, Host, ?ANSWER_TIMEOUT).

port_please(Name, Host, Timeout) ->
    Family = case Host of
                 {_, _, _, _, _, _, _, _} -> inet6;
                 _ -> inet
             end,
    Result = case ask(full_name(text(Name), text(Host), Family), Family, Timeout) of
                 {ok, [{_Address, Port} | _], Version} -> {port, Port, Version};
                 _ -> noport
             end,
    debug(port_please, [Name, Host], Result).

%% ---- look-up ------------------------------------------------------------------------------------------------------

locate(Name, Host, Family) ->
    case ask(full_name(Name, Host, Family), Family, ?ANSWER_TIMEOUT) of
        {ok, [{Address, Port} | _], Version} ->
            {ok, Address, Port, Version};
        {not_found, Why} ->
            {error, {not_found, Family, Why}};
        {error, Reason} = Error ->
            logger:warning("srv_epmd: ~ts@~ts cannot be looked up, no srv-epmd answers at ~ts (~0p)",
                           [Name, Host, place(sidecar(Family)), Reason]),
            Error
    end.

full_name(Name, Host, inet) -> [Name, $@, Host, "/4"];
full_name(Name, Host, inet6) -> [Name, $@, Host, "/6"].

%% {ok, Endpoints in order, Version} | {not_found, Why} | {error, Reason}
ask(Query, Family, Timeout) ->
    case exchange(Family, [$z | Query], Timeout) of
        {ok, <<$w, 0, _Port:16, _Type, _Protocol, High:16, Low:16, Length:16, _:Length/binary, ExtraLength:16,
               Extra:ExtraLength/binary, _/binary>>} when Low =< 6 ->
            {ok, endpoints(Extra), min(High, 6)};
        {ok, <<$w, _, Why/binary>>} -> {not_found, Why};
        {ok, Other} -> {error, {unexpected_answer, Other}};
        {error, _} = Error -> Error
    end.

endpoints(<<4, A, B, C, D, Port:16, Rest/binary>>) ->
    [{{A, B, C, D}, Port} | endpoints(Rest)];
endpoints(<<6, A:16, B:16, C:16, D:16, E:16, F:16, G:16, H:16, Port:16, Rest/binary>>) ->
    [{{A, B, C, D, E, F, G, H}, Port} | endpoints(Rest)];
endpoints(_) ->
    [].

%% One request, and all that comes until the server closes.
exchange(Family, Request, Timeout) ->
    Deadline = now_ms() + min(Timeout, ?ANSWER_TIMEOUT),
    case connect(Family) of
        {ok, Socket} ->
            Sent = gen_tcp:send(Socket, [<<(iolist_size(Request)):16>>, Request]),
            Result = case Sent of
                         ok -> receive_all(Socket, [], Deadline);
                         {error, _} -> Sent
                     end,
            gen_tcp:close(Socket),
            Result;
        Error -> Error
    end.

receive_all(Socket, Received, Deadline) ->
    case gen_tcp:recv(Socket, 0, max(0, Deadline - now_ms())) of
        {ok, Bytes} -> receive_all(Socket, [Received, Bytes], Deadline);
        {error, closed} -> {ok, iolist_to_binary(Received)};
        {error, _} = Error -> Error
    end.

connect(Family) ->
    {Address, Port} = sidecar(Family),
    Kind = case tuple_size(Address) of
               4 -> inet;
               8 -> inet6
           end,
    gen_tcp:connect(Address, Port, [Kind, binary, {active, false}, {nodelay, true}], ?CONNECT_TIMEOUT).

sidecar(Family) ->
    Port = case init:get_argument(epmd_port) of
               {ok, [[Text | _] | _]} -> list_to_integer(Text);
               _ -> 4369
           end,
    case inet:parse_address(os:getenv("SRV_EPMD_ADDRESS", "")) of
        {ok, Address} -> {Address, Port};
        {error, _} -> {loopback(Family), Port}
    end.

loopback(Family) when Family =:= inet6; Family =:= inet6_tcp -> {0, 0, 0, 0, 0, 0, 0, 1};
loopback(_) -> {127, 0, 0, 1}.

%% ---- registration with a srv-epmd on another address, where erl_epmd cannot go -------------------------------------

init_registration(Parent) ->
    register(?MODULE, self()),
    proc_lib:init_ack(Parent, {ok, self()}),
    registration(undefined, undefined).

registration(Socket, Node) ->
    receive
        {'$srv_epmd', From, {register, Name, Port}} ->
            {Answer, New} = alive2(Name, Port),
            gen:reply(From, Answer),
            registration(New, {Name, Port});
        {tcp_closed, Socket} ->
            erlang:send_after(?RECONNECT_TIME, self(), reconnect),
            registration(undefined, Node);
        reconnect ->
            {Name, Port} = Node,
            %% The creation stays what it was, as with erl_epmd.
            case alive2(Name, Port) of
                {{ok, _}, New} -> registration(New, Node);
                {{error, _}, _} ->
                    erlang:send_after(?RECONNECT_TIME, self(), reconnect),
                    registration(undefined, Node)
            end;
        _ -> registration(Socket, Node)
    end.

%% Type 77 (normal), protocol 0 (TCP), versions 6 and 5: what erl_epmd says.
alive2(Name, Port) ->
    Bytes = unicode:characters_to_binary(Name),
    Request = <<120, Port:16, 77, 0, 6:16, 5:16, (byte_size(Bytes)):16, Bytes/binary, 0:16>>,
    case connect(inet) of
        {ok, Socket} ->
            ok = inet:setopts(Socket, [{packet, raw}]),
            _ = gen_tcp:send(Socket, [<<(byte_size(Request)):16>>, Request]),
            case gen_tcp:recv(Socket, 6, ?ANSWER_TIMEOUT) of
                {ok, <<118, 0, Creation:32>>} ->
                    ok = inet:setopts(Socket, [{active, true}]),
                    {{ok, Creation}, Socket};
                {ok, _} -> {{error, duplicate_name}, undefined};
                {error, _} = Error -> {Error, undefined}
            end;
        Error -> {Error, undefined}
    end.

%% ---- auto discovery -----------------------------------------------------------------------------------------------

-define(POLL, 1000).
%% First and longest pause before a node is tried again whose link was lost (global may have cut it on purpose) or that
%% could not be reached, and how long all has to be well until the pause is short again.
-define(FIRST_PAUSE, 1000).
-define(LONGEST_PAUSE, 60000).
-define(WELL, 60000).

init_connector(Pattern) ->
    case is_alive() of
        true ->
            ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
            [Name | _] = string:split(atom_to_list(node()), "@"),
            is_helper(Name) orelse connector(Pattern, #{});
        false ->
            timer:sleep(?POLL div 10),
            init_connector(Pattern)
    end.

%% Paused: the nodes that went down, each with the time until which it is left alone and the length of that pause.
connector(Pattern, Paused) ->
    Self = self(),
    Missing = matching(Pattern) -- [node() | nodes(connected)],
    [spawn(fun() -> net_kernel:connect_node(Node) =:= true orelse (Self ! {nodedown, Node, []}) end)
     || Node <- Missing, now_ms() >= element(1, maps:get(Node, Paused, {now_ms(), 0}))],
    connector(Pattern, pauses(now_ms() + ?POLL div 2 + rand:uniform(?POLL), Paused)).

pauses(Until, Paused) ->
    receive
        {nodedown, Node, _} ->
            {Before, Last} = maps:get(Node, Paused, {now_ms() - ?WELL - 1, 0}),
            Pause = case now_ms() - Before > ?WELL of
                        true -> ?FIRST_PAUSE;
                        false -> min(2 * Last, ?LONGEST_PAUSE)
                    end,
            pauses(Until, Paused#{Node => {now_ms() + Pause, Pause}});
        _ -> pauses(Until, Paused)
    after max(0, Until - now_ms()) -> Paused
    end.

%% Full names only: a stock EPMD does not know patterns and lists what lives beside it.
matching(Pattern) ->
    case exchange(inet, [$n | Pattern], ?ANSWER_TIMEOUT) of
        {ok, <<_:32, Lines/binary>>} ->
            Options = [global, {capture, all_but_first, list}],
            case re:run(Lines, "^name (([^@ ]+)@[^ ]+) at port [0-9]+$", [multiline | Options]) of
                {match, Found} -> [list_to_atom(Full) || [Full, Name] <- Found, not is_helper(Name)];
                nomatch -> []
            end;
        _ -> []
    end.

%% ---- names --------------------------------------------------------------------------------------------------------

%% Names of short-lived nodes: Mix releases, RabbitMQ, relx, ejabberd.
is_helper(Name) ->
    re:run(Name, "^(rpc|rem)-[0-9a-f]{1,8}-|^rabbitmqcli-[0-9]+-|_prelaunch_[0-9]+$|_ctl_[0-9]+$"
                 "|^epmd-starter-[0-9]+$|^(remsh|maint|longname)[0-9a-f]+-|^[0-9a-f]{3}-(ctl|debug|ping)(-|$)"
                 "|^[0-9]+-[0-9]+-(ctl|debug|ping)(-|$)",
           [caseless, {capture, none}]) =:= match.

text(Name) when is_atom(Name) -> atom_to_list(Name);
text(Address) when is_tuple(Address) -> inet:ntoa(Address);
text(Text) -> Text.

place({Address, Port}) -> [inet:ntoa(Address), " port ", integer_to_list(Port)].

now_ms() -> erlang:monotonic_time(millisecond).

debug(Function, Arguments, Result) ->
    case os:getenv("SRV_EPMD_LOG") of
        "debug" -> logger:notice("srv_epmd:~ts~0p -> ~0p", [Function, Arguments, Result]);
        _ -> ok
    end,
    Result.
