#!/bin/bash
# Starts compose.yaml, shows the cluster, and removes its containers and network, also at Ctrl-C and when something fails.
set -euo pipefail
cd "$(dirname "$0")"
docker compose version >/dev/null 2>&1 || { echo "not found: docker compose (Docker with Compose 2.20 or later)" >&2 && exit 1; }
trap 'exit 130' INT TERM
trap '[[ $? =~ ^(0|130)$ ]] || docker compose logs --tail=20; docker compose down' EXIT

docker compose up --build --detach --wait
docker compose exec -T epmd-a node /usr/local/lib/srv-epmd/srv-epmd.cjs names --match '*@svc'
# Nodes see new ones within about 2 s.
sleep 3
docker compose exec -T a erl -name rpc-0-a@svc.service.consul -hidden -noinput \
  -eval "io:format('a is connected to ~p~n', [lists:sort(rpc:call('a@svc.service.consul', erlang, nodes, []))]), halt()."
