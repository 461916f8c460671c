#!/bin/bash
# Puts software that the tests let cluster below /opt/srv-epmd-peers: RabbitMQ, ejabberd, and HAProxy for comparison.
#   bash test/install-brokers.sh [rabbitmq|rabbitmq4|ejabberd|haproxy ...]
# (test/install-peers.sh calls it; no time when all is there.) The packages are those of Debian 12, for Erlang/OTP 25;
# rabbitmq4 is that of Debian 13, for the Erlang/OTP 27 of test/install-otp.sh. They are unpacked, nothing is installed,
# configured or started: installing them would start brokers. They bring the libraries that their Erlang may lack. Needs
# Debian and root.
set -euo pipefail

peers=/opt/srv-epmd-peers
declare -A suites=([rabbitmq]=bookworm [rabbitmq4]=trixie [ejabberd]=bookworm [haproxy]=bookworm)
declare -A releases=([rabbitmq]=25 [rabbitmq4]=27 [ejabberd]=25)
# Beside what erlang-base and erlang-ssl have.
erlang=(erlang-ftp erlang-inets erlang-mnesia erlang-os-mon erlang-parsetools erlang-runtime-tools erlang-syntax-tools
  erlang-tools erlang-xmerl)
declare -A packages=(
  [rabbitmq]="rabbitmq-server ${erlang[*]} erlang-eldap"
  [rabbitmq4]="rabbitmq-server ${erlang[*]} erlang-eldap"
  [ejabberd]="ejabberd ${erlang[*]} erlang-base64url erlang-idna erlang-jiffy erlang-jose erlang-p1-acme
    erlang-p1-cache-tab erlang-p1-eimp erlang-p1-mqtree erlang-p1-pkix erlang-p1-stringprep erlang-p1-stun erlang-p1-tls
    erlang-p1-utils erlang-p1-xml erlang-p1-xmpp erlang-p1-yaml erlang-p1-yconf erlang-p1-zlib
    erlang-unicode-util-compat libexpat1 libyaml-0-2"
  [haproxy]="haproxy liblua5.3-0 libopentracing1 libopentracing-c-wrapper0 libpcre2-8-0"
)

say() { echo "peers: $*"; }

source "$(dirname "${BASH_SOURCE[0]}")/debian-archive.sh"

# erl_of <release> <arguments>: the machine's own when it is that release, else what test/install-otp.sh has put there.
erl_of() {
  local release=$1 own
  shift
  own=$(readlink -f "$(command -v erl || echo none)")
  if [[ -d ${own%/bin/erl}/releases/$release ]]; then erl "$@"; else "$peers/otp$release/bin-host/erl" "$@"; fi
}

# loads <release> <tree> <modules>: with their native code, so that a missing library is told here and not by a test.
loads() {
  local release=$1 tree=$2 modules
  shift 2
  modules=$(IFS=, && echo "$*")
  ERL_LIBS=$(erl_libs "$tree") LD_LIBRARY_PATH=$(shared_libs "$tree") erl_of "$release" -noinput -boot start_clean -eval "
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
  local tree=$2 release=${releases[$1]:-}
  case $1 in
    rabbitmq) loads "$release" "$tree" rabbit ra amqp_connection os_mon mnesia inets xmerl_scan eprof eldap ;;
    rabbitmq4) loads "$release" "$tree" rabbit ra osiris khepri amqp_connection cpu_sup mnesia inets xmerl_scan eldap ;;
    ejabberd) loads "$release" "$tree" ejabberd fast_yaml fxml fxml_stream fast_tls ezlib jid xmpp_uri stringprep ets_cache mqtree jiffy ;;
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

[[ $# -gt 0 ]] || set -- rabbitmq rabbitmq4 ejabberd haproxy
missing=()
for name in "$@"; do
  [[ -n ${packages[$name]:-} ]] || { say "$name is not known here" && exit 2; }
  [[ -d $peers/$name ]] || missing+=("$name")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unpacking=()
for suite in $(for name in "${missing[@]}"; do echo "${suites[$name]}"; done | sort -u); do
  wanted=()
  for name in "${missing[@]}"; do [[ ${suites[$name]} != "$suite" ]] || wanted+=("$name"); done
  say "fetching ${wanted[*]} of $suite (the package list first; about 40 MB)"
  mkdir "$work/$suite"
  private_apt "$suite" "$work/$suite"
  for name in "${wanted[@]}"; do
    (set -e && install_tree "$name") &
    unpacking+=($!)
  done
done
status=0
for pid in "${unpacking[@]}"; do wait "$pid" || status=1; done
exit $status
