#!/bin/bash
# Two ejabberd nodes on two machines, which are network namespaces here. Nothing in it is needed on real machines.
# EJABBERDCTL is the script to use, that of the PATH by default.
here=$(readlink -f "$(dirname "$0")")
source "$here/../machines.sh"
script=$(command -v "${EJABBERDCTL:-ejabberdctl}" || echo ejabberdctl)
need erl epmd "$script"

# As root: the user of the installed package may not write here.
sed 's/^INSTALLUSER=.*/INSTALLUSER=/' "$script" >/run/ejabberdctl
chmod +x /run/ejabberdctl

# What each node keeps to itself is in a folder of its own, for they share one file system here.
ejabberdctl() {
  local name=$1 dir=/run/$1
  if [[ ! -d $dir ]]; then
    mkdir -p "$dir/config"
    cp "$here/ejabberd.yml" "$here/ejabberdctl.cfg" "$dir/config"
    touch "$dir/config/inetrc"
    (umask 077 && echo -n ejabberd-example >"$dir/.erlang.cookie")
  fi
  on "$name" env HOME="$dir" /run/ejabberdctl -d "$dir/config" -l "$dir/log" -s "$dir/spool" "${@:2}" 2>>"/run/$name.err"
}

ctl() {
  typed "$1" ejabberdctl "${@:2}"
  ejabberdctl "$@" | sort
}

say "two machines, each with a Consul agent and srv-epmd"
for i in 1 2; do
  machine "e$i" "10.90.0.$i" --gateway --domain ej --dns consul=127.0.0.1:8600
done
are_up e1 e2

say "a node on each"
for name in e1 e2; do background "/run/$name.log" ejabberdctl "$name" foreground; done
for name in e1 e2; do ctl "$name" started; done
show e1 srv-epmd names --match '*@ej'

say "e2 joins e1"
ctl e2 join_cluster e1@ej.service.consul
for name in e1 e2; do ctl "$name" list_cluster; done

say "a user registered on e1 is known on e2"
ctl e1 register alice chat.test secret
ctl e2 registered_users chat.test
