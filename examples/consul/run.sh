#!/bin/bash
# Three nodes on two machines, which are network namespaces here. Nothing in it is needed on real machines.
here=$(readlink -f "$(dirname "$0")")
source "$here/../machines.sh"
source "$here/../nodes.sh"
hosts one two
host=svc.service.consul
dns=consul=127.0.0.1:8600

say "two machines, each with a Consul agent and srv-epmd"
machine one 10.90.0.1 --domain svc --dns "$dns"
machine two 10.90.0.2 --domain svc --dns "$dns"
are_up one two

say "three nodes, none of which is told a port, an address or the name of another"
srv-epmd module --out /run/ebin >/dev/null
export ERL_FLAGS='-pa /run/ebin -start_epmd false -epmd_module srv_epmd' SRV_EPMD_CONNECT='*@svc'
node one "a@$host"
node one "b@$host"
node two "c@$host"
show one srv-epmd wait c@svc --dns "$dns"
show one srv-epmd names --match '*@svc'
eventually says "a@$host" 'length(nodes())' 2
shell "a@$host" 'lists:sort(nodes())'
show one srv-epmd resolve c@svc --dns "$dns"

say "c is killed, and comes back on the other machine"
kill_node "c@$host"
eventually says "a@$host" 'length(nodes())' 1
node one "c@$host"
eventually says "a@$host" 'length(nodes())' 2
shell "a@$host" 'lists:sort(nodes())'
show two srv-epmd resolve c@svc --dns "$dns"
