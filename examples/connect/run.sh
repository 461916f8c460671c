#!/bin/bash
# Three machines, which are network namespaces here, in Consul's mesh. Nothing in it is needed on real machines.
here=$(readlink -f "$(dirname "$0")")
source "$here/../machines.sh"
source "$here/../nodes.sh"
need ss
hosts a b c
names=(a b c)
host=svc.service.consul

# registration INDEX: the service of one node, whose sidecar proxy has an upstream for each of the others
registration() {
  local index upstreams=()
  for index in "${!names[@]}"; do
    [[ $index = "$1" ]] || upstreams+=("{ destination_name = \"svc-${names[index]}\", local_bind_port = $((21001 + index)) },")
  done
  cat <<END
service {
  name = "svc-${names[$1]}"
  port = 4370
  connect {
    sidecar_service {
      port = 21000
      check {
        name     = "the proxy listens"
        tcp      = "10.90.0.$(($1 + 1)):21000"
        interval = "1s"
      }
      proxy {
        upstreams = [
          ${upstreams[*]}
        ]
      }
    }
  }
}
END
}

say "three machines, each with a Consul agent, srv-epmd, and a proxy with an upstream for each of the others"
for i in 0 1 2; do machine "${names[i]}" "10.90.0.$((i + 1))" --mesh --register none --domain svc; done
are_up "${names[@]}"
for i in 0 1 2; do
  registration "$i" >"/run/svc-${names[i]}.hcl"
  on "${names[i]}" consul services register "/run/svc-${names[i]}.hcl" >/dev/null
  background "/run/proxy-${names[i]}.log" on "${names[i]}" consul connect proxy -sidecar-for "svc-${names[i]}"
done
for name in b c; do on a srv-epmd wait "$name@svc" --mesh --domain svc >/dev/null; done
show a srv-epmd resolve b@svc c@svc --mesh --domain svc

say "a node on each, which listens on 127.0.0.1 only"
srv-epmd module --out /run/ebin >/dev/null
export ERL_FLAGS='-pa /run/ebin -start_epmd false -epmd_module srv_epmd -kernel inet_dist_use_interface {127,0,0,1}'
export ERL_DIST_PORT=4370
for name in "${names[@]}"; do node "$name" "$name@$host"; done
# A proxy lets nobody in until Consul knows that it listens.
for name in b c; do eventually says a@$host "net_adm:ping('$name@$host')" pong; done
for name in b c; do shell a@$host "net_adm:ping('$name@$host')"; done
eventually says b@$host 'length(nodes())' 2
shell "b@$host" 'lists:sort(nodes())'

say "where the traffic goes: to the proxy of b, whose node listens on 127.0.0.1 only"
show b ss -Htln sport = :4370 | tr -s ' '
show b ss -Htn state established dst 10.90.0.1 and sport = :21000 | tr -s ' '

say "a may not reach b: the link that stands lives on, and no new one is made"
show a consul intention create -deny svc-a svc-b
shell a@$host "net_adm:ping('b@$host')"
again="erlang:disconnect_node('b@$host'), net_adm:ping('b@$host')"
eventually says a@$host "$again" pang
shell a@$host "$again"

say "it may again"
show a consul intention delete svc-a svc-b
eventually says a@$host "$again" pong
shell a@$host "$again"
