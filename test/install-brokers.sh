#!/bin/bash
# Puts software that the tests let cluster below /opt/srv-epmd-peers: RabbitMQ, ejabberd, and HAProxy for comparison.
#   bash test/install-brokers.sh [rabbitmq|ejabberd|haproxy ...]  (test/install-peers.sh calls it; no time when all is there)
# The packages are those of Debian 12, for Erlang/OTP 25. They are unpacked, nothing is installed, configured or started:
# installing them would start brokers. They bring the libraries that the machine's own Erlang may lack. Needs Debian and root.
set -euo pipefail

peers=/opt/srv-epmd-peers
suite=bookworm
# Beside what erlang-base and erlang-ssl have.
erlang=(erlang-ftp erlang-inets erlang-mnesia erlang-os-mon erlang-parsetools erlang-runtime-tools erlang-syntax-tools
  erlang-tools erlang-xmerl)
declare -A packages=(
  [rabbitmq]="rabbitmq-server ${erlang[*]} erlang-eldap"
  [ejabberd]="ejabberd ${erlang[*]} erlang-base64url erlang-idna erlang-jiffy erlang-jose erlang-p1-acme
    erlang-p1-cache-tab erlang-p1-eimp erlang-p1-mqtree erlang-p1-pkix erlang-p1-stringprep erlang-p1-stun erlang-p1-tls
    erlang-p1-utils erlang-p1-xml erlang-p1-xmpp erlang-p1-yaml erlang-p1-yconf erlang-p1-zlib
    erlang-unicode-util-compat libexpat1 libyaml-0-2"
  [haproxy]="haproxy liblua5.3-0 libopentracing1 libopentracing-c-wrapper0 libpcre2-8-0"
)

say() { echo "peers: $*"; }

source "$(dirname "${BASH_SOURCE[0]}")/debian-archive.sh"

# The machine's own when it is release 25, else the one that test/install-otp.sh has put there.
erl_25() {
  local own
  own=$(readlink -f "$(command -v erl || echo none)")
  if [[ -d ${own%/bin/erl}/releases/25 ]]; then erl "$@"; else "$peers/otp25/bin-host/erl" "$@"; fi
}

# loads <tree> <modules>: with their native code, so that a missing library is told here and not by a test.
loads() {
  local tree=$1 modules
  shift
  modules=$(IFS=, && echo "$*")
  ERL_LIBS=$(erl_libs "$tree") LD_LIBRARY_PATH=$(shared_libs "$tree") erl_25 -noinput -boot start_clean -eval "
    Failed = [{M, Why} || M <- [$modules], {error, Why} <- [code:ensure_loaded(M)]],
    Failed =:= [] orelse io:format(standard_error, \"peers: cannot be loaded: ~tp~n\", [Failed]),
    halt(length(Failed))."
}

erl_libs() {
  local folder found=
  for folder in "$1"/usr/lib/erlang/lib "$1"/usr/lib/rabbitmq/lib/*/plugins "$1"/usr/lib/*-linux-gnu*; do
    [[ ! -d $folder ]] || found="${found:+$found:}$folder"
  done
  echo "$found"
}

shared_libs() {
  local folder found=
  for folder in "$1"/{usr/,}lib/*-linux-gnu*; do
    [[ ! -d $folder ]] || found="${found:+$found:}$folder"
  done
  echo "$found"
}

works() {
  local tree=$2
  case $1 in
    rabbitmq) loads "$tree" rabbit ra amqp_connection os_mon mnesia inets xmerl_scan eprof eldap ;;
    ejabberd) loads "$tree" ejabberd fast_yaml fxml fxml_stream fast_tls ezlib jid xmpp_uri stringprep ets_cache mqtree jiffy ;;
    haproxy) LD_LIBRARY_PATH=$(shared_libs "$tree") "$tree/usr/sbin/haproxy" -v >/dev/null ;;
  esac
}

install_tree() {
  local name=$1 file
  rm -rf "$peers/$name" "$peers/$name.part"
  mkdir -p "$peers" "$work/$name"
  # shellcheck disable=SC2086
  (cd "$work/$name" && "${apt[@]}" download ${packages[$name]})
  for file in "$work/$name"/*.deb; do dpkg -x "$file" "$peers/$name.part"; done
  works "$name" "$peers/$name.part"
  mv "$peers/$name.part" "$peers/$name"
  say "$name is in $peers/$name"
}

[[ $# -gt 0 ]] || set -- rabbitmq ejabberd haproxy
missing=()
for name in "$@"; do
  [[ -n ${packages[$name]:-} ]] || { say "$name is not known here" && exit 2; }
  [[ -d $peers/$name ]] || missing+=("$name")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0
say "fetching ${missing[*]} of $suite (the package list first; about 40 MB)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
private_apt "$suite" "$work"
unpacking=()
for name in "${missing[@]}"; do
  (set -e && install_tree "$name") &
  unpacking+=($!)
done
status=0
for pid in "${unpacking[@]}"; do wait "$pid" || status=1; done
exit $status
