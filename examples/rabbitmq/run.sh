#!/bin/bash
# Three brokers on three machines, which are network namespaces here. Nothing in it is needed on real machines.
# With the word connect all links go by mutual TLS of Consul Connect.
# RABBITMQ_SCRIPTS_DIR is the folder of rabbitmq-server and rabbitmqctl, that of the Debian package by default.
flags=(--gateway --domain rmq --dns consul=127.0.0.1:8600 --helpers ask)
case ${1-} in
  '') flags+=(--listen 0.0.0.0) ;;
  connect)
    flags+=(--connect-native)
    # Nothing of a VM is reached from another machine but by the relay processes.
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
    export RABBITMQ_CTL_ERL_ARGS=$RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS
    ;;
  *) echo "usage: $0 [connect]" >&2 && exit 2 ;;
esac
here=$(readlink -f "$(dirname "$0")")
source "$here/../machines.sh"
scripts=${RABBITMQ_SCRIPTS_DIR:-/usr/lib/rabbitmq/bin}
need erl "$scripts/rabbitmq-server" "$scripts/rabbitmqctl"

# rabbitmq MACHINE PROGRAM...: what each broker keeps to itself is in a folder of its own, for they share one file system here
rabbitmq() {
  local name=$1 program=$2 dir=/run/$1
  shift 2
  mkdir -p "$dir"
  [[ -f $dir/.erlang.cookie ]] || (umask 077 && echo -n rabbitmq-example >"$dir/.erlang.cookie")
  on "$name" env HOME="$dir" \
    RABBITMQ_CONF_ENV_FILE="$here/rabbitmq-env.conf" RABBITMQ_CONFIG_FILE="$here/rabbitmq.conf" \
    RABBITMQ_MNESIA_BASE="$dir/mnesia" RABBITMQ_LOG_BASE="$dir/log" RABBITMQ_PID_FILE="$dir/pid" \
    RABBITMQ_GENERATED_CONFIG_DIR="$dir/generated" RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" \
    "$scripts/$program" "$@"
}

# Any port will do; the others learn it from Consul.
broker() {
  RABBITMQ_DIST_PORT=$(shuf -i 20000-29999 -n 1) background "/run/$1.log" rabbitmq "$1" rabbitmq-server
}

rabbitmqctl() {
  typed "$1" rabbitmqctl "${@:2}"
  rabbitmq "$1" rabbitmqctl --silent "${@:2}" | expand | sort
}

# The members of a stream dial each other at what the machines' own names stand for.
printf '10.90.0.%s n%s\n' 1 1 2 2 3 3 | cat /etc/hosts - >/run/hosts
mount --bind /run/hosts /etc/hosts

say "three machines, each with a Consul agent and srv-epmd"
for i in 1 2 3; do
  machine "n$i" "10.90.0.$i" "${flags[@]}"
done
are_up n1 n2 n3

say "a broker on each, all at once"
for name in n1 n2 n3; do broker "$name"; done
for name in n1 n2 n3; do show n1 srv-epmd wait "$name@rmq" --dns consul=127.0.0.1:8600; done
for name in n1 n2 n3; do rabbitmqctl "$name" await_startup; done
rabbitmqctl n1 await_online_nodes 3 --timeout 30
show n1 srv-epmd names --match 'n*@rmq'

say "a queue and a stream declared on n1 are seen on all, and have a member on each"
(cd "$here" && rabbitmqctl n1 import_definitions queues.json)
for name in n1 n2 n3; do rabbitmqctl "$name" list_queues name type state; done
for _ in {1..20}; do
  members=$(rabbitmq n1 rabbitmqctl --silent list_queues online | grep -o @ | wc -l)
  [[ $members -lt 6 ]] || break
  sleep 0.5
done
rabbitmqctl n1 list_queues name online

say "the broker of n3 is killed, and comes back on another port"
kill -9 "$(cat /run/n3/pid)"
while on n1 srv-epmd resolve n3@rmq --dns consul=127.0.0.1:8600 >/dev/null; do sleep 0.1; done
broker n3
show n1 srv-epmd wait n3@rmq --dns consul=127.0.0.1:8600
rabbitmqctl n3 await_startup
show n1 srv-epmd names --match 'n3@rmq'
rabbitmqctl n3 list_queues name type state
