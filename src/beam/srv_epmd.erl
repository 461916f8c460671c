%% Nodes find each other through srv-epmd:  erl -start_epmd false -epmd_module srv_epmd ...
%%
%% To find another node, the VM asks the local srv-epmd with the node's full name, and gets addresses and ports.
%% Everything else (registration, names, registering again after a restart of the daemon) is OTP's own erl_epmd.
%%
%%   ERL_DIST_PORT         port to listen on; helpers take another one, and so does a node when a node here has the port
%%   SRV_EPMD_ADDRESS      a srv-epmd on another address than the loopbacks; it must --allow this machine
%%   SRV_EPMD_CONNECT      pattern such as *@svc.service.consul, or several with commas between them: keep connected to
%%                         every node that matches one of them
%%   SRV_EPMD_WAIT         how long a node waits at its start for a srv-epmd that is not up yet: 10s unless given, 0 for not at all
%%   SRV_EPMD_LOG=debug    log each call and its result
%%
%% A value that none of these can have ends the start of the node.
-module(srv_epmd).

-export([start_link/0, names/1, register_node/2, register_node/3, port_please/2, port_please/3, address_please/3,
         listen_port_please/2]).
%% One process holds a registration at SRV_EPMD_ADDRESS, another keeps the node connected, a third says with whom it is
%% linked. They wait in OTP's code, and long work has its own process: a process that runs old code is killed when that
%% code is purged.
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% Milliseconds. net_kernel gives a connection set-up 7 s in all (net_setuptime): a later answer is useless.
-define(ANSWER_TIMEOUT, 6000).
-define(CONNECT_TIMEOUT, 1000).
%% Bytes. An answer to a look-up has two fields of up to 64 KB; a list of nodes has a line for each.
-define(LONGEST_ANSWER, 150000).
-define(LONGEST_LIST, 1000000).
%% Kept for the life of the VM: times of the last log lines, and how many names discovery has made.
-define(LOOK_UP_SAID, 1).
-define(CROWD_SAID, 2).
-define(NAMES_MADE, 3).
%% As in erl_epmd: a node registers again this long after the connection to its EPMD has ended.
-define(RECONNECT_TIME, 2000).
%% Between two requests for the nodes that match SRV_EPMD_CONNECT, on average.
-define(POLL, 1000).
%% A node offers to say with whom it is linked again at the latest after this, where its EPMD does not want to know.
-define(LONGEST_OFFER_PAUSE, 60000).
%% How long a node waits at its start, unless SRV_EPMD_WAIT says else, and the pause between two attempts to register.
-define(WAIT, "10s").
-define(LONGEST_WAIT, 3600000).
-define(ATTEMPT_PAUSE, 100).
%% Characters of a value that are shown: the reason why a start ends is an atom, which has room for 255.
-define(SHOWN, 100).
%% Of SRV_EPMD_LOG, as of OTP's logger; each of them is above debug.
-define(OTHER_LEVELS, ["info", "notice", "warning", "error", "critical", "alert", "emergency", "none"]).

start_link() ->
    persistent_term:get(?MODULE, undefined) =:= undefined andalso persistent_term:put(?MODULE, atomics:new(3, [])),
    case os:getenv("SRV_EPMD_ADDRESS", "") of
        "" -> erl_epmd:start_link();
        _ -> gen_server:start_link({local, ?MODULE}, ?MODULE, registrar, [])
    end.

register_node(Name, Port) ->
    register_node(Name, Port, inet_tcp).

register_node(Name, Port, Driver) ->
    Result = case unfit_variables(text(Name), Driver) of
                 [] -> with_fault_of_ipv6(register_within(longest_wait(text(Name)), Name, Port, Driver), Driver);
                 [First | _] -> {error, {said, First}}
             end,
    case {Result, is_own_helper(text(Name))} of
        {{ok, _}, false} ->
            Connectors = [{connector, Patterns} || Patterns <- [os:getenv("SRV_EPMD_CONNECT", "")], Patterns =/= ""],
            %% Linked to the caller, net_kernel: they end when distribution stops, and start again when distribution
            %% starts again.
            supervisor:start_link(?MODULE, {supervise, [{teller, text(Name)} | Connectors]});
        _ -> ok
    end,
    debug(register_node, [Name, Port, Driver], readable(Result, Driver)).

register_once(Name, Port, Driver) ->
    case whereis(?MODULE) of
        undefined -> erl_epmd:register_node(Name, Port, Driver);
        Pid -> gen_server:call(Pid, {register, text(Name), Port}, infinity)
    end.

%% net_kernel prints the reason when the boot fails; other log lines are lost by then. An atom is printed on one line.
readable({error, Reason} = Error, Driver) when Reason =/= duplicate_name, Reason =/= already_registered ->
    Allow = [", and --allow this machine" || os:getenv("SRV_EPMD_ADDRESS", "") =/= ""],
    Said = case Reason of
               {said, Sentence} ->
                   Sentence;
               {absent, Why, Waited} ->
                   Must = "no srv-epmd answered at ~ts within ~ts (~0p): start it~s, or wait longer with SRV_EPMD_WAIT",
                   format(Must, [place(Driver), seconds(Waited), Why, Allow]);
               _ ->
                   Must = "no srv-epmd answers at ~ts (~0p); it must be up before this node is~s",
                   format(Must, [place(Driver), Reason, Allow])
           end,
    try {error, list_to_atom("srv_epmd: " ++ Said)} catch error:_ -> Error end;
readable(Result, _) ->
    Result.

%% For this machine srv-epmd is asked at its own address, not at the one that the machine's name resolves to.
names(Host) ->
    Result = case lists:member(text(Host), ["localhost", net_adm:localhost()]) of
                 true -> erl_epmd:names(element(1, sidecar(inet)));
                 false -> erl_epmd:names(Host)
             end,
    debug(names, [Host], Result).

%% ERL_DIST_PORT is for the node itself. Helpers (remote consoles, rpc) and nodes that it starts (peer, slave) run
%% beside it with the same environment and take any free port.
listen_port_please(Name, Host) ->
    Result = case erl_epmd:listen_port_please(Name, Host) of
                 {ok, 0} -> {ok, dist_port(text(Name), os:getenv("ERL_DIST_PORT", ""))};
                 Other -> Other
             end,
    debug(listen_port_please, [Name, Host], Result).

dist_port(Name, Text) ->
    case not is_own_helper(Name) andalso port(Text) of
        Port when is_integer(Port), Port > 0 ->
            case holder(Port, Name) of
                none ->
                    Port;
                Other ->
                    Message = "srv_epmd: ~ts takes any free port: ERL_DIST_PORT=~b is that of ~ts, which is registered here",
                    logger:notice(format(Message, [Name, Port, Other])),
                    0
            end;
        %% register_node refuses what is no port.
        _ -> 0
    end.

%% The other node that is registered here with the port, if the port is in use on this machine: nodes of other machines
%% may be registered here with the same port. A port in use by another program is a mistake: the start has to fail.
holder(Port, Name) ->
    Interface = [{ip, Address} || {ok, Address} <- [application:get_env(kernel, inet_dist_use_interface)]],
    case try gen_tcp:listen(Port, [{reuseaddr, true} | Interface]) catch exit:_ -> {error, einval} end of
        {ok, Socket} ->
            gen_tcp:close(Socket),
            none;
        {error, eaddrinuse} ->
            Number = integer_to_binary(Port),
            Own = unicode:characters_to_binary(Name),
            Lines = lines(exchange(inet, [$n], ?CONNECT_TIMEOUT, ?LONGEST_LIST), "(.+)", "([0-9]+)"),
            case [Other || [Other, Its] <- Lines, Its =:= Number, Other =/= Own] of
                [Other | _] -> Other;
                [] -> none
            end;
        {error, _} ->
            none
    end.

address_please(Name, Host, Family) ->
    case whereis(net_kernel) =:= self() of
        %% On OTP 25 and 27 the first call of a connection runs inside net_kernel, which must not wait: a silent name
        %% server would break healthy links. net_kernel only checks that there is an answer. The second call runs in the
        %% connection's own process, and its answer is dialled.
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

%% ---- variables ----------------------------------------------------------------------------------------------------

%% A sentence for each variable that this node uses and whose value it cannot have. To go on without it would look as if
%% it were not given: a node on any port, that connects to no other.
unfit_variables(Name, Driver) ->
    IsNode = not is_own_helper(Name),
    Family = maps:get(tuple_size(loopback(Driver)), #{4 => "IPv4", 8 => "IPv6"}),
    %% A registration over IPv4 is published with an IPv4 address, where an IPv6 node does not listen.
    Rules = [{"ERL_DIST_PORT", IsNode, fun(Text) -> port(Text) =/= none end,
              "a port from 1 to 65535, or 0 for any free one"},
             {"ERL_EPMD_PORT", true, fun(Text) -> not lists:member(port(Text), [none, 0]) end,
              "a port from 1 to 65535"},
             {"SRV_EPMD_ADDRESS", true, fun(Text) -> address_size(Text) =:= tuple_size(loopback(Driver)) end,
              ["an IP address, without a port, of the family of -proto_dist, ", Family, " here"]},
             {"SRV_EPMD_CONNECT", IsNode, fun(Text) -> lists:all(fun is_pattern/1, patterns(Text)) end,
              "a pattern such as *@svc.service.consul, or several with commas between them"},
             {"SRV_EPMD_WAIT", not is_asking(Name), fun(Text) -> milliseconds(Text) =< ?LONGEST_WAIT end,
              "a time such as 500ms, 10s or 2m, at most 1h, or 0 for no wait"},
             {"SRV_EPMD_LOG", true, fun(Text) -> lists:member(Text, ["debug" | ?OTHER_LEVELS]) end,
              "debug, to log each call, or a higher level of the logger, to log none"}],
    [format("~s must be ~s; it is \"~ts\"", [Variable, Must, string:slice(Text, 0, ?SHOWN)])
     || {Variable, true, IsFit, Must} <- Rules, Text <- [os:getenv(Variable, "")], Text =/= "", not IsFit(Text)].

%% none for what is no port. 0 is any free port.
port(Text) ->
    case fits(Text, "[0-9]{1,5}") andalso list_to_integer(Text) of
        Port when is_integer(Port), Port < 65536 -> Port;
        _ -> none
    end.

address_size(Text) ->
    case inet:parse_strict_address(Text) of
        {ok, Address} -> tuple_size(Address);
        {error, _} -> 0
    end.

patterns(Text) ->
    [string:trim(Pattern) || Pattern <- string:split(Text, ",", all)].

%% As srv-epmd takes them: only the part before the @ has * and ?.
is_pattern(Text) ->
    case string:split(Text, "@") of
        [Name, Host] -> fits(Name, "[^@\\s]{1,255}") andalso (address_size(Host) > 0 orelse is_host(Host));
        _ -> false
    end.

%% RFC 1035. A name whose last label is a number is a mistyped address.
is_host(Text) ->
    Label = "[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?",
    fits(Text, ["(?:", Label, "\\.)*", Label, "\\.?"]) andalso not fits(Text, ".*\\.[0-9]+\\.?").

%% Whether an expression matches the whole text.
fits(Text, Expression) ->
    re:run(Text, ["^(?:", Expression, ")$"], [unicode, dollar_endonly, {capture, none}]) =:= match.

%% ---- the wait at the start of a node ------------------------------------------------------------------------------

%% Milliseconds. Who asks a running node for something wants to know at once that nothing answers.
longest_wait(Name) ->
    case {is_asking(Name), os:getenv("SRV_EPMD_WAIT", "")} of
        {true, _} -> 0;
        {false, ""} -> milliseconds(?WAIT);
        {false, Text} -> milliseconds(Text)
    end.

%% Helpers and remote shells. RabbitMQ's prelaunch is the start of the broker.
is_asking(Name) ->
    (is_own_helper(Name) andalso re:run(Name, "_prelaunch_[0-9]+$", [{capture, none}]) =:= nomatch)
        orelse init:get_argument(remsh) =/= error
        orelse init:get_plain_arguments() -- ["--remsh", "--rpc-eval"] =/= init:get_plain_arguments().

%% As srv-epmd takes them: a bare number is seconds. An atom, which is greater than any number, for what is no time.
milliseconds(Text) ->
    Time = "^([0-9]{1,7}(?:\\.[0-9]{1,3})?)(ms|s|m|h|)$",
    case re:run(Text, Time, [unicode, dollar_endonly, {capture, all_but_first, list}]) of
        {match, [Number, Unit]} ->
            {Value, _} = case lists:member($., Number) of
                             true -> string:to_float(Number);
                             false -> string:to_integer(Number)
                         end,
            round(Value * maps:get(Unit, #{"ms" => 1, "s" => 1000, "" => 1000, "m" => 60000, "h" => 3600000}));
        nomatch -> none
    end.

%% Only for a srv-epmd that is not there yet: whatever one answers is the result.
register_within(Longest, Name, Port, Driver) ->
    case register_once(Name, Port, Driver) of
        {error, Reason} = Error when Longest > 0 ->
            case is_absence(Reason) of
                true -> register_later(Longest, Name, Port, Driver, Reason);
                false -> Error
            end;
        Result -> Result
    end.

register_later(Longest, Name, Port, Driver, Reason) ->
    But = ["; an EPMD answers at 127.0.0.1" || is_at_ipv4_alone(Driver)],
    Message = "srv_epmd: no srv-epmd answers at ~ts yet (~0p)~s; ~ts waits for it, at most ~ts (SRV_EPMD_WAIT)",
    logger:notice(format(Message, [place(Driver), Reason, But, Name, seconds(Longest)])),
    Since = now_ms(),
    Signals = take_signals(),
    Result = register_until(Since + Longest, Name, Port, Driver),
    leave_signals(Signals),
    Waited = now_ms() - Since,
    case Result of
        {ok, _} ->
            logger:notice(format("srv_epmd: ~ts is registered after a wait of ~ts", [Name, seconds(Waited)])),
            Result;
        {error, {absent, Last}} -> {error, {absent, Last, Waited}};
        _ -> Result
    end.

register_until(End, Name, Port, Driver) ->
    receive after ?ATTEMPT_PAUSE -> ok end,
    case register_once(Name, Port, Driver) of
        {error, Reason} = Error ->
            case {is_absence(Reason), now_ms() < End} of
                {true, true} -> register_until(End, Name, Port, Driver);
                {true, false} -> {error, {absent, Reason}};
                {false, _} -> Error
            end;
        Result -> Result
    end.

%% What a connection to an address ends with where nothing listens, or where the machine is not up.
is_absence(Reason) ->
    lists:member(Reason, [econnrefused, timeout, etimedout, ehostunreach, enetunreach, ehostdown, enetdown]).

%% kernel starts erl_signal_server after distribution. Until then OTP drops SIGTERM, and a VM that was told to stop
%% during the wait would boot when the wait is over.
take_signals() ->
    case whereis(erl_signal_server) of
        undefined ->
            Pid = spawn(fun await_sigterm/0),
            register(erl_signal_server, Pid),
            Pid;
        _ -> none
    end.

await_sigterm() ->
    receive
        %% Not halt: heart would take it for a crash and start the VM again. This process lives until the VM stops it, and
        %% may be told again.
        {notify, sigterm} -> init:stop(), await_sigterm();
        leave -> ok;
        _ -> await_sigterm()
    end.

leave_signals(none) -> ok;
leave_signals(Pid) ->
    unregister(erl_signal_server),
    Pid ! leave.

%% A node with -proto_dist inet6_tcp registers at ::1 and nowhere else, where an EPMD that is up may not listen.
with_fault_of_ipv6({error, Reason} = Error, Driver) ->
    Why = case Reason of
              {absent, Last, _} -> Last;
              _ -> Reason
          end,
    HasNone = is_at_ipv6(Driver) andalso lists:member(Why, [eaddrnotavail, eafnosupport]),
    case HasNone orelse (is_absence(Why) andalso is_at_ipv4_alone(Driver)) of
        false -> Error;
        true when HasNone ->
            Message = "this machine has no ::1 (~0p), where a node with inet6_tcp registers: switch IPv6 on there "
                      "(sysctl net.ipv6.conf.lo.disable_ipv6=0), or start the node with inet_tcp",
            {error, {said, format(Message, [Why])}};
        true ->
            Message = "the EPMD at ~ts does not listen on ::1 (~0p), where a node with inet6_tcp registers: "
                      "see that this machine has ::1, and restart srv-epmd",
            {error, {said, format(Message, [place(inet), Why])}}
    end;
with_fault_of_ipv6(Result, _) ->
    Result.

is_at_ipv6(Driver) ->
    loopback(Driver) =:= loopback(inet6) andalso os:getenv("SRV_EPMD_ADDRESS", "") =:= "".

%% Called where nothing answers at ::1.
is_at_ipv4_alone(Driver) ->
    is_at_ipv6(Driver) andalso case exchange(inet, [$n], ?CONNECT_TIMEOUT, ?LONGEST_LIST) of
                                   {error, _} -> false;
                                   {_, Answer} -> byte_size(Answer) >= 4
                               end.

seconds(Time) ->
    format("~.1f s", [Time / 1000]).

%% ---- look-up ------------------------------------------------------------------------------------------------------

locate(Name, Host, Family) ->
    case ask(full_name(Name, Host, Family), Family, ?ANSWER_TIMEOUT) of
        {ok, [{Address, Port} | _], Version} ->
            {ok, Address, Port, Version};
        {ok, [], _} ->
            {error, {not_found, Family, <<"no endpoint in the answer">>}};
        {not_found, Why} ->
            {error, {not_found, Family, Why}};
        {error, Reason} = Error ->
            Message = "srv_epmd: ~ts@~ts cannot be looked up, no srv-epmd answers at ~ts (~0p)",
            seldom(?LOOK_UP_SAID, 5000) andalso logger:warning(format(Message, [Name, Host, place(Family), Reason])),
            Error
    end.

%% Many look-ups fail at the same time: one line is enough. Silence: milliseconds between two lines.
seldom(What, Silence) ->
    case persistent_term:get(?MODULE, undefined) of
        undefined -> true;
        Kept ->
            Before = atomics:get(Kept, What),
            Now = now_ms(),
            %% 0: nothing was logged yet. Monotonic time may be negative.
            (Before =:= 0 orelse Now - Before > Silence)
                andalso atomics:compare_exchange(Kept, What, Before, Now) =:= ok
    end.

full_name(Name, Host, inet) -> unicode:characters_to_binary([Name, $@, Host, "/4"]);
full_name(Name, Host, inet6) -> unicode:characters_to_binary([Name, $@, Host, "/6"]).

%% {ok, Endpoints in order, Version} | {not_found, Why} | {error, Reason}
ask(Query, Family, Timeout) ->
    case exchange(Family, [$z, Query], Timeout, ?LONGEST_ANSWER) of
        {ok, <<$w, 0, _Port:16, _Type, _Protocol, High:16, Low:16, Length:16, _:Length/binary, ExtraLength:16,
               Extra:ExtraLength/binary, _/binary>>} when Low =< 6 ->
            {ok, endpoints(Extra), min(High, 6)};
        {ok, <<$w, Result, Why/binary>>} when Result =/= 0 -> {not_found, Why};
        {ok, Other} -> {error, {unexpected_answer, Other}};
        {cut, _} -> {error, answer_too_long};
        {error, _} = Error -> Error
    end.

endpoints(<<4, A, B, C, D, Port:16, Rest/binary>>) ->
    [{{A, B, C, D}, Port} | endpoints(Rest)];
endpoints(<<6, A:16, B:16, C:16, D:16, E:16, F:16, G:16, H:16, Port:16, Rest/binary>>) ->
    [{{A, B, C, D, E, F, G, H}, Port} | endpoints(Rest)];
endpoints(_) ->
    [].

%% Sends one request and reads until the server closes; {cut, Bytes} when there is more than the limit.
exchange(Family, Request, Timeout, Limit) ->
    Deadline = now_ms() + min(Timeout, ?ANSWER_TIMEOUT),
    case connect(Family) of
        {ok, Socket} ->
            Sent = gen_tcp:send(Socket, [<<(iolist_size(Request)):16>>, Request]),
            Result = case Sent of
                         ok -> receive_all(Socket, [], Limit, Deadline);
                         {error, _} -> Sent
                     end,
            gen_tcp:close(Socket),
            Result;
        Error -> Error
    end.

receive_all(Socket, Received, Left, Deadline) ->
    case gen_tcp:recv(Socket, 0, max(0, Deadline - now_ms())) of
        {ok, Bytes} when byte_size(Bytes) > Left -> {cut, iolist_to_binary(Received)};
        {ok, Bytes} -> receive_all(Socket, [Received, Bytes], Left - byte_size(Bytes), Deadline);
        {error, closed} -> {ok, iolist_to_binary(Received)};
        {error, _} = Error -> Error
    end.

connect(Family) ->
    case sidecar(Family) of
        {Address, Port} when is_tuple(Address) ->
            Kind = case tuple_size(Address) of
                       4 -> inet;
                       8 -> inet6
                   end,
            Options = [Kind, binary, {active, false}, {nodelay, true}],
            %% gen_tcp exits when the system calls an address invalid (a link-local one without its interface).
            try gen_tcp:connect(Address, Port, Options, ?CONNECT_TIMEOUT) catch exit:_ -> {error, einval} end;
        %% A host name cannot be resolved while the node boots.
        _ -> {error, not_an_ip_address}
    end.

sidecar(Family) ->
    Port = case init:get_argument(epmd_port) of
               {ok, [[Text | _] | _]} -> list_to_integer(Text);
               _ -> 4369
           end,
    Address = os:getenv("SRV_EPMD_ADDRESS", ""),
    case inet:parse_address(Address) of
        {ok, Parsed} -> {Parsed, Port};
        {error, _} when Address =:= "" -> {loopback(Family), Port};
        {error, _} -> {Address, Port}
    end.

loopback(Family) when Family =:= inet6; Family =:= inet6_tcp -> {0, 0, 0, 0, 0, 0, 0, 1};
loopback(_) -> {127, 0, 0, 1}.

%% ---- registration with a srv-epmd on another address, which erl_epmd cannot do -------------------------------------

init(registrar) ->
    {ok, {undefined, undefined}};
init({supervise, Parts}) ->
    Children = [#{id => Id, start => {gen_server, start_link, [?MODULE, Part, []]}} || {Id, _} = Part <- Parts],
    {ok, {#{intensity => 10, period => 60}, Children}};
init({teller, Name}) ->
    self() ! offer,
    {ok, #{name => Name, socket => none, pause => ?RECONNECT_TIME}};
init({connector, Patterns}) ->
    ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
    erlang:send_after(?POLL div 10, self(), look),
    {ok, {Patterns, #{}, #{}, []}}.

%% State: the socket of the registration, and the name and port that were registered.
handle_call({register, Name, Port}, _From, {undefined, _}) ->
    {Answer, Socket} = alive2(Name, Port),
    {reply, Answer, {hold(Socket), {Name, Port}}};
handle_call({register, _, _}, _From, State) ->
    {reply, {error, already_registered}, State}.

handle_cast(_, State) ->
    {noreply, State}.

%% State of the teller: the name, the connection on which srv-epmd asks, and the pause before the next one. An EPMD that does
%% not know the offer closes the connection.
handle_info(offer, #{name := Name} = State) ->
    {noreply, offered(connect(inet), Name, State)};
handle_info({tcp, Socket, _Question}, #{socket := Socket} = State) ->
    Linked = unicode:characters_to_binary(lists:join($\n, [text(Node) || Node <- [node() | nodes(connected)]])),
    {noreply, case gen_tcp:send(Socket, [<<(byte_size(Linked)):32>>, Linked]) of
                  ok ->
                      State#{pause := ?RECONNECT_TIME};
                  {error, _} ->
                      gen_tcp:close(Socket),
                      offer_later(State)
              end};
handle_info({tcp_closed, Socket}, #{socket := Socket} = State) ->
    {noreply, offer_later(State)};
handle_info({tcp_closed, Socket}, {Socket, Node}) ->
    erlang:send_after(?RECONNECT_TIME, self(), reconnect),
    {noreply, {undefined, Node}};
handle_info(reconnect, {undefined, {Name, Port}} = State) ->
    Holder = self(),
    spawn_monitor(fun() -> exit(alive2_for(Holder, Name, Port)) end),
    {noreply, State};
%% The node keeps its creation, as with erl_epmd.
handle_info({'DOWN', _, process, _, {{ok, _}, Socket}}, {undefined, Node}) ->
    {noreply, {hold(Socket), Node}};
handle_info({'DOWN', _, process, _, _}, {undefined, _} = State) ->
    erlang:send_after(?RECONNECT_TIME, self(), reconnect),
    {noreply, State};
%% State of the connector: the patterns as they were given, the paused nodes, the attempts, and the nodes that come
%% next. Nodes are kept by their names as text: only an attempt needs an atom.
handle_info(look, {Patterns, _, _, _} = State) ->
    spawn_monitor(fun() -> exit({found, matching(Patterns)}) end),
    {noreply, State};
%% An attempt or a request for the list has ended, or was killed.
handle_info({'DOWN', Ended, process, _, Reason}, {Patterns, Paused, Attempts, Next} = State) ->
    case maps:take(Ended, Attempts) of
        {{Name, _, _}, Others} ->
            {noreply, attempt({Patterns, tried(Name, Paused), Others, Next})};
        error ->
            erlang:send_after(?POLL div 2 + rand:uniform(?POLL), self(), look),
            {noreply, attempt(due([Name || {found, Names} <- [Reason], Name <- Names], State))}
    end;
%% The node or its machine may have stopped, or global may have cut the link on purpose.
handle_info({nodedown, Node, _}, {Patterns, Paused, Attempts, Next}) ->
    {noreply, {Patterns, delay(text(Node), Paused), Attempts, Next}};
handle_info(_, State) ->
    {noreply, State}.

offered({ok, Socket}, Name, State) ->
    Offer = [$l, unicode:characters_to_binary(Name)],
    _ = gen_tcp:send(Socket, [<<(iolist_size(Offer)):16>>, Offer]),
    _ = inet:setopts(Socket, [{send_timeout, ?CONNECT_TIMEOUT}]),
    State#{socket := hold(Socket)};
%% Nothing listens, as while srv-epmd restarts: that says nothing of what it knows.
offered({error, _}, _, State) ->
    erlang:send_after(?RECONNECT_TIME, self(), offer),
    State#{socket := none}.

offer_later(#{pause := Pause} = State) ->
    erlang:send_after(Pause, self(), offer),
    State#{socket := none, pause := min(2 * Pause, ?LONGEST_OFFER_PAUSE)}.

alive2_for(Holder, Name, Port) ->
    {Answer, Socket} = alive2(Name, Port),
    Socket =:= undefined orelse gen_tcp:controlling_process(Socket, Holder),
    {Answer, Socket}.

hold(Socket) ->
    _ = Socket =:= undefined orelse inet:setopts(Socket, [{active, true}]),
    Socket.

%% Type 77 (normal), protocol 0 (TCP), versions 6 and 5: as erl_epmd registers.
alive2(Name, Port) ->
    Bytes = unicode:characters_to_binary(Name),
    Request = <<120, Port:16, 77, 0, 6:16, 5:16, (byte_size(Bytes)):16, Bytes/binary, 0:16>>,
    case connect(inet) of
        {ok, Socket} ->
            _ = gen_tcp:send(Socket, [<<(byte_size(Request)):16>>, Request]),
            case gen_tcp:recv(Socket, 6, ?ANSWER_TIMEOUT) of
                {ok, <<118, 0, Creation:32>>} ->
                    {{ok, Creation}, Socket};
                Refused ->
                    gen_tcp:close(Socket),
                    {refusal(Refused), undefined}
            end;
        Error -> {Error, undefined}
    end.

refusal({ok, <<118, _/binary>>}) -> {error, duplicate_name};
%% Not the reason of a connection that nobody takes.
refusal({error, timeout}) -> {error, no_answer};
refusal({ok, Other}) -> {error, {unexpected_answer, Other}};
refusal(Error) -> Error.

%% ---- auto discovery -----------------------------------------------------------------------------------------------

%% Milliseconds: the first and the longest pause before another attempt at a node whose link was lost (global may have
%% cut it on purpose) or that was not reached; and how long a link has to last until the pause is short again.
-define(FIRST_PAUSE, 1000).
-define(LONGEST_PAUSE, 60000).
-define(WELL, 60000).
%% A user who can write into the catalogue chooses the names in the list. So there are limits: attempts at once, names
%% of one list, and new names in the life of a VM. A name is an atom; atoms are never freed, and a VM has room for
%% 1,048,576.
-define(MOST_ATTEMPTS, 16).
-define(MOST_LISTED, 256).
-define(MOST_NAMES, 65536).
%% Between two log lines about a list that is too long, milliseconds.
-define(CROWD_SILENCE, 3600000).

%% Paused: each node that is not tried for now, with the end and the length of its pause.
due(Matching, {Patterns, Before, Attempts, _}) ->
    Now = now_ms(),
    %% net_kernel ends a set-up after 7 s; an attempt that is older hangs. Its end is handled like any other.
    _ = [exit(Pid, kill) || {_, Pid, Since} <- maps:values(Attempts), Now - Since > ?LONGEST_PAUSE],
    %% Helpers come and go: nodes without trouble for long are forgotten here.
    Paused = maps:filter(fun(_, {Until, _}) -> Now - Until =< ?WELL end, Before),
    Running = [Name || {Name, _, _} <- maps:values(Attempts)],
    Due = [Name || Name <- Matching -- Running, element(1, paused(Name, Paused)) =< now_ms()],
    %% Nodes that failed least come first: a healthy node does not wait behind many dead ones.
    Order = lists:sort([{element(2, paused(Name, Paused)), rand:uniform(), Name} || Name <- Due]),
    {Patterns, Paused, Attempts, [Name || {_, _, Name} <- Order]}.

attempt({Patterns, Paused, Attempts, [Name | Next]}) when map_size(Attempts) < ?MOST_ATTEMPTS ->
    case node_of(Name, Patterns) of
        undefined ->
            attempt({Patterns, Paused, Attempts, Next});
        Node ->
            {Pid, Monitor} = spawn_monitor(net_kernel, connect_node, [Node]),
            attempt({Patterns, Paused, Attempts#{Monitor => {Name, Pid, now_ms()}}, Next})
    end;
attempt(State) ->
    State.

%% The atom of a name; undefined for a new name when there were too many.
node_of(Name, Patterns) ->
    try list_to_existing_atom(Name)
    catch error:badarg ->
        case atomics:add_get(persistent_term:get(?MODULE), ?NAMES_MADE, 1) of
            Made when Made =< ?MOST_NAMES ->
                list_to_atom(Name);
            Made ->
                Message = "srv_epmd: SRV_EPMD_CONNECT (~ts) has given this VM ~b new names, which stay in its memory: "
                          "until it is started again it connects to no further new one, such as ~ts. "
                          "Does an entry of the service have ever new tags?",
                Made =:= ?MOST_NAMES + 1 andalso logger:warning(format(Message, [Patterns, ?MOST_NAMES, Name])),
                undefined
        end
    end.

paused(Name, Paused) ->
    maps:get(Name, Paused, {now_ms(), 0}).

tried(Name, Paused) ->
    case lists:member(Name, [text(Node) || Node <- nodes(connected)]) of
        true -> Paused#{Name => {now_ms(), element(2, paused(Name, Paused))}};
        false -> delay(Name, Paused)
    end.

%% Each pause is twice as long as the one before, unless the node had no trouble for a while.
delay(Name, Paused) ->
    {_, Last} = paused(Name, Paused),
    Pause = min(max(?FIRST_PAUSE, 2 * Last), ?LONGEST_PAUSE),
    Paused#{Name => {now_ms() + Pause, Pause}}.

%% Full names of the nodes that match and are not connected. A stock EPMD does not know patterns: it lists its own
%% nodes, without hosts.
matching(Patterns) ->
    Answers = answers(lists:usort(patterns(Patterns))),
    Listed = [Line || Answer <- Answers, Line <- lines(Answer, "([0-9A-Za-z_-]+)@([0-9A-Za-z._:-]+)", "[0-9]+")],
    All = maps:from_list([{{Name, Host}, []} || [Name, Host] <- Listed]),
    Known = maps:from_list([{text(Node), []} || Node <- [node() | nodes(connected)]]),
    New = [Full || {Name, Host} <- maps:keys(All),
                   not is_helper(Name), not maps:is_key({origin(Name), Host}, All),
                   Full <- [binary_to_list(<<Name/binary, $@, Host/binary>>)],
                   length(Full) < 256, not maps:is_key(Full, Known)],
    Message = "srv_epmd: ~b nodes~ts match SRV_EPMD_CONNECT (~ts) and are not connected: each look takes ~b of them",
    More = [" or more" || lists:any(fun is_cut/1, Answers)],
    length(New) > ?MOST_LISTED andalso seldom(?CROWD_SAID, ?CROWD_SILENCE) andalso
        logger:warning(format(Message, [length(New), More, Patterns, ?MOST_LISTED])),
    Shuffled = lists:sort([{rand:uniform(), Full} || Full <- New]),
    [Full || {_, Full} <- lists:sublist(Shuffled, ?MOST_LISTED)].

%% Asked for at the same time: several catalogues that do not answer take no longer than one.
answers([Pattern]) ->
    [answer(Pattern)];
answers(Patterns) ->
    Asking = self(),
    Pids = [spawn_link(fun() -> Asking ! {self(), answer(Pattern)} end) || Pattern <- Patterns],
    [receive {Pid, Answer} -> Answer end || Pid <- Pids].

answer(Pattern) ->
    exchange(inet, [$n, unicode:characters_to_binary(Pattern)], ?ANSWER_TIMEOUT, ?LONGEST_LIST).

is_cut(Answer) -> element(1, Answer) =:= cut.

%% For each line of a NAMES answer: what the groups of the two expressions have matched.
lines({Whole, <<_:32, Lines/binary>>}, Name, Port) when Whole =:= ok; Whole =:= cut ->
    Line = ["^name ", Name, " at port ", Port, "$"],
    case re:run(Lines, Line, [multiline, global, {capture, all_but_first, binary}]) of
        {match, Found} -> Found;
        nomatch -> []
    end;
lines(_, _, _) ->
    [].

%% ---- names --------------------------------------------------------------------------------------------------------

%% Names of short-lived nodes: of Mix releases (without the hexadecimal digits in an image without awk), RabbitMQ, relx,
%% ejabberd and OTP's peer. RabbitMQ 4 looks for its peers with a peer that has the broker's name: rabbit.
is_helper(Name) ->
    re:run(Name, "(?i:^(rpc|rem)-[0-9a-f]{0,8}-)|^rabbitmqcli-[0-9]+-|_prelaunch_[0-9]+$|_ctl_[0-9]+$"
                 "|^epmd-starter-[0-9]+$|(?i:^(remsh|maint|longname)[0-9a-f]+-|^[0-9a-f]{3}-(ctl|debug|ping|top)(-|$))"
                 "|^[0-9]+-[0-9]+-(ctl|debug|ping)(-|$)|^(peer|rabbit)-[1-9][0-9]*-[1-9][0-9]*$",
           [{capture, none}]) =:= match.

%% peer:random_name makes <name>-<unique integer>-<process id> of any <name>. An ordinary node may have such a name too.
%% It is a helper when its VM was started by peer, or when there is a node <name> beside it.
origin(Name) ->
    case re:run(Name, "^(.+)-[1-9][0-9]*-[1-9][0-9]*$", [{capture, all_but_first, binary}]) of
        {match, [Origin]} -> Origin;
        nomatch -> none
    end.

is_own_helper(Name) ->
    IsPeer = case init:get_argument(user) of
                 {ok, Given} -> lists:member(["peer"], Given);
                 error -> false
             end,
    is_helper(Name) orelse (IsPeer andalso origin(Name) =/= none).

text(Name) when is_atom(Name) -> atom_to_list(Name);
text(Address) when is_tuple(Address) -> inet:ntoa(Address);
text(Text) -> Text.

place(Family) ->
    {Address, Port} = sidecar(Family),
    [text(Address), " port ", integer_to_list(Port)].

now_ms() -> erlang:monotonic_time(millisecond).

debug(Function, Arguments, Result) ->
    case os:getenv("SRV_EPMD_LOG") of
        "debug" -> logger:notice(format("srv_epmd:~ts~0tp -> ~0tp", [Function, Arguments, Result]));
        _ -> ok
    end,
    Result.

%% Formatted here: at boot the logger prints a message as it is, without formatting it.
format(Format, Arguments) ->
    lists:flatten(io_lib:format(Format, Arguments)).
