#!/bin/bash
# From plain epmd to srv-epmd, on two machines, which are network namespaces here. Nothing in it is needed on real machines.
here=$(readlink -f "$(dirname "$0")")
source "$here/../machines.sh"
source "$here/../nodes.sh"
need epmd
hosts one two
host=svc.service.consul
dns=consul=127.0.0.1:8600

say "two machines with plain epmd, which the VMs start, and a Consul agent"
agent one 10.90.0.1
agent two 10.90.0.2
eventually on two consul catalog nodes
node one a@10.90.0.1
node two b@10.90.0.2
shell a@10.90.0.1 "net_adm:ping('b@10.90.0.2')"

# take_over MACHINE FLAG...: as soon as the last node of its epmd has gone
take_over() {
  eventually is_idle "$1"
  typed "$1" srv-epmd serve "${@:2}"
  serve "$@"
  eventually grep '"msg":"ready"' "/run/srv-epmd-$1.log"
}

is_idle() { [[ $(on "$1" epmd -names) != *" at port "* ]]; }

say "1. one: when its node is down, srv-epmd takes the place of epmd; the node comes back as it was"
kill_node a@10.90.0.1
take_over one --replace-epmd --listen 0.0.0.0 --domain svc --dns "$dns" --fallback epmd
node one a@10.90.0.1 -start_epmd false
shell a@10.90.0.1 "net_adm:ping('b@10.90.0.2')"
shell b@10.90.0.2 "erlang:disconnect_node('a@10.90.0.1'), net_adm:ping('a@10.90.0.1')"

say "2. one: the node gets the module and a name under the service; --fallback epmd leads to those with plain epmd"
kill_node a@10.90.0.1
srv-epmd module --out /run/ebin >/dev/null
module=(-pa /run/ebin -start_epmd false -epmd_module srv_epmd)
node one "a@$host" "${module[@]}"
shell "a@$host" "net_adm:ping('b@10.90.0.2')"
shell b@10.90.0.2 'nodes()'
show one srv-epmd resolve b@10.90.0.2 --dns "$dns" --fallback epmd

say "3. two: the same, in one step"
kill_node b@10.90.0.2
take_over two --replace-epmd --domain svc --dns "$dns"
node two "b@$host" "${module[@]}"
shell "b@$host" "net_adm:ping('a@$host')"
show two srv-epmd names --match '*@svc'
