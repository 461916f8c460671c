#!/bin/bash
# Installs the programs that the tests speak to, where they are missing: Erlang in several releases, Elixir, rebar3, Consul,
# RabbitMQ, ejabberd, HAProxy, Chromium, a C compiler, shells and network tools.
#   bash test/install-peers.sh        (npm test runs it first; it takes no time when everything is there)
# On Debian as root it installs packages of the distribution; Consul, which Debian 12 no longer has, comes from the main
# section of Debian 11, further Erlang/OTP releases (test/install-otp.sh) and the brokers and HAProxy (test/install-brokers.sh)
# are unpacked below /opt/srv-epmd-peers and are neither installed nor started. Nothing else is touched.
# With SRV_EPMD_NO_INSTALL set it installs nothing and says what is missing. Elsewhere it says what to install by hand: tests without their peer are skipped, but with CI=true this is a failure.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
peers=/opt/srv-epmd-peers
consul_suite=bullseye

say() { echo "peers: $*"; }

source "$(dirname "${BASH_SOURCE[0]}")/debian-archive.sh"

have() { command -v "$1" >/dev/null; }

have_consul() { have consul || [[ -x $peers/consul/usr/bin/consul ]]; }

# The library ssl belongs to Erlang but is a package of its own in Debian.
have_erlang_ssl() {
  local erl
  have erl && erl=$(readlink -f "$(command -v erl)") && compgen -G "${erl%/bin/erl}/lib/ssl-*" >/dev/null
}

# The library for C nodes, of Debian's erlang-dev or of an Erlang that was built here.
have_ei() {
  local erl
  have erl && erl=$(readlink -f "$(command -v erl)") &&
    compgen -G "${erl%/bin/erl}/lib/erl_interface-*/include/ei.h" >/dev/null
}

# Erlang/OTP releases that the tests run and this machine does not have: its own counts.
missing_otp() {
  local erl release
  erl=$(readlink -f "$(command -v erl || echo none)")
  for release in 23 25 27 29; do
    [[ -d ${erl%/bin/erl}/releases/$release || -e $peers/otp$release/complete ]] || echo "$release"
  done
}

# What test/install-brokers.sh puts there.
missing_brokers() {
  local name
  for name in rabbitmq rabbitmq4 ejabberd haproxy; do
    [[ -d $peers/$name ]] || { [[ $name = haproxy ]] && have haproxy; } || echo "$name"
  done
}

# Debian packages of what is missing and can be installed.
missing_packages() {
  { have erl && have epmd && have erl_call && have erlc; } || echo erlang-base
  have_erlang_ssl || echo erlang-ssl
  have elixir || echo elixir
  have rebar3 || echo rebar3
  have ip || echo iproute2
  have curl || echo curl
  have dig || echo bind9-dnsutils
  have nft || echo nftables
  have openssl || echo openssl
  have tcpdump || echo tcpdump
  have chromium || echo chromium
  have groff || echo groff-base
  have zsh || echo zsh
  have fish || echo fish
  have_ei || echo erlang-dev
  have gcc || echo gcc
  [[ -e /usr/include/stdio.h ]] || echo libc6-dev
}

install_packages() {
  local had_erlang=no
  ! have erl || had_erlang=yes
  say "installing $* from the distribution"
  export DEBIAN_FRONTEND=noninteractive
  local options=(-qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 --no-install-recommends)
  # Package lists may be missing (container images) or too old to name files that still exist.
  if ! apt-get "${options[@]}" install "$@" >/dev/null 2>&1; then
    say "updating the package lists"
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    apt-get "${options[@]}" install "$@" >/dev/null
  fi
  # Debian's package starts a stock epmd, on the port that people expect to be free for srv-epmd.
  if [[ $had_erlang = no && -d /run/systemd/system ]]; then
    systemctl disable --now epmd.socket epmd.service 2>/dev/null || :
  fi
}

fetch_consul() {
  local work
  say "fetching consul of $consul_suite (its package list first, about 8 MB)"
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  private_apt "$consul_suite" "$work"
  (cd "$work" && "${apt[@]}" download consul)
  mkdir -p "$peers"
  rm -rf "$peers/consul" "$peers/consul.part"
  dpkg -x "$work"/consul_*.deb "$peers/consul.part"
  "$peers/consul.part/usr/bin/consul" version >/dev/null
  mv "$peers/consul.part" "$peers/consul"
  say "consul is in $peers/consul/usr/bin"
}

by_hand() {
  say "$1. Missing here: $2."
  say "Install them by hand (Erlang/OTP 25 or later with ssl, Elixir, rebar3, Consul, HAProxy, Chromium, gcc, and on Linux ip, curl, dig,"
  say "nft, openssl, tcpdump, groff, zsh, fish); on Debian this script does it as root, and RabbitMQ and ejabberd too: sudo bash test/install-peers.sh"
  if [[ ${CI:-} = true ]]; then
    say "CI=true: every peer has to be there"
    exit 1
  fi
  say "tests without their peer are skipped, with the reason."
  exit 0
}

mapfile -t packages < <(missing_packages)
mapfile -t releases < <(missing_otp)
mapfile -t brokers < <(missing_brokers)
missing="${packages[*]}"
have_consul || missing="${missing:+$missing }consul"
[[ ${#releases[@]} -eq 0 ]] || missing="${missing:+$missing }${releases[*]/#/Erlang/OTP }"
[[ ${#brokers[@]} -eq 0 ]] || missing="${missing:+$missing }${brokers[*]}"
[[ -n $missing ]] || exit 0
[[ -z ${SRV_EPMD_NO_INSTALL:-} ]] || by_hand "SRV_EPMD_NO_INSTALL is set, so nothing is installed" "$missing"
[[ $(uname -s) = Linux ]] && have apt-get && have dpkg || by_hand "This is not Debian" "$missing"
[[ $EUID -eq 0 ]] || by_hand "Only root can install packages" "$missing"

[[ ${#packages[@]} -eq 0 ]] || say "to be installed from the distribution: ${packages[*]}"
beside=("${releases[@]/#/Erlang/OTP }" "${brokers[@]}")
have_consul || beside+=(consul)
[[ ${#beside[@]} -eq 0 ]] || say "to be unpacked in $peers: $(printf '%s, ' "${beside[@]}" | sed 's/, $//')"
say "to test without them: SRV_EPMD_NO_INSTALL=1 npm test, or npm run test:fast, which needs none"

# Each step is a subshell outside of any condition: within one, bash would go on after a failed command.
status=0
set +e
if [[ ${#packages[@]} -gt 0 ]]; then
  (set -e && install_packages "${packages[@]}")
  status=$?
fi
if [[ $status -eq 0 ]]; then
  here=$(dirname "${BASH_SOURCE[0]}")
  # Asked for anew: a package may have brought one of them.
  mapfile -t releases < <(missing_otp)
  mapfile -t brokers < <(missing_brokers)
  # First the releases that the brokers run on, then everything at once.
  for release in 25 27; do
    [[ " ${releases[*]} " != *" $release "* ]] || bash "$here/install-otp.sh" "$release" || status=1
  done
  fetching=()
  if ! have_consul; then
    (set -e && fetch_consul) &
    fetching+=($!)
  fi
  if [[ ${#brokers[@]} -gt 0 ]]; then
    bash "$here/install-brokers.sh" "${brokers[@]}" &
    fetching+=($!)
  fi
  [[ ${#releases[@]} -eq 0 ]] || bash "$here/install-otp.sh" "${releases[@]}" || status=1
  for pid in "${fetching[@]}"; do wait "$pid" || status=1; done
fi
set -e
[[ $status -eq 0 ]] || by_hand "Installing failed" "$missing"
say "done"
