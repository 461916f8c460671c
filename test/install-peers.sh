#!/bin/bash
# Installs the programs that the tests speak to, where they are missing: Erlang, Elixir, Consul and network tools.
#   bash test/install-peers.sh        (npm test runs it first; it takes no time when everything is there)
# On Debian as root it installs packages of the distribution; Consul, which Debian 12 no longer has, comes from the main
# section of Debian 11, is unpacked below /opt/srv-epmd-peers and is not installed nor started. Nothing else is touched.
# Elsewhere it says what to install by hand: tests without their peer are skipped, but with CI=true this is a failure.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
peers=/opt/srv-epmd-peers
consul_suite=bullseye

say() { echo "peers: $*"; }

have() { command -v "$1" >/dev/null; }

have_consul() { have consul || [[ -x $peers/consul/usr/bin/consul ]]; }

# The library ssl belongs to Erlang but is a package of its own in Debian.
have_erlang_ssl() {
  local erl
  have erl && erl=$(readlink -f "$(command -v erl)") && compgen -G "${erl%/bin/erl}/lib/ssl-*" >/dev/null
}

# Debian packages of what is missing, Consul apart.
missing_packages() {
  { have erl && have epmd && have erl_call && have erlc; } || echo erlang-base
  have_erlang_ssl || echo erlang-ssl
  have elixir || echo elixir
  have ip || echo iproute2
  have dig || echo bind9-dnsutils
  have nft || echo nftables
  have openssl || echo openssl
}

# "<URI> <keyring or ->" of the machine's own archive, in either form that apt reads.
own_archive() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    # A blank line ends the last stanza of each file.
    [[ ! -e $file ]] || { cat "$file" && echo; }
  done | awk -v suite="$1" '
    function finish() {
      if (!found && uri != "" && hit && main) { print uri, (key ~ /^\// ? key : "-"); found = 1 }
      uri = key = ""; hit = main = 0
    }
    /^[ \t]*#/ { next }
    /^[ \t]*$/ { finish(); next }
    /^URIs:/ { uri = $2 }
    /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == suite) hit = 1 }
    /^Components:/ { for (i = 2; i <= NF; i++) if ($i == "main") main = 1 }
    /^Signed-By:/ { key = $2 }
    /^deb[ \t]/ {
      if (match($0, /\[[^]]*\]/)) {
        options = substr($0, RSTART + 1, RLENGTH - 2)
        sub(/\[[^]]*\]/, "")
        if (match(options, /signed-by=[^ ,]+/)) key = substr(options, RSTART + 10, RLENGTH - 10)
      }
      uri = $2; hit = $3 == suite
      for (i = 4; i <= NF; i++) if ($i == "main") main = 1
      finish()
    }
    END { finish() }'
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
  local codename archive uri keyring work
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  archive=$(own_archive "$codename")
  read -r uri keyring <<<"${archive:-- -}"
  if [[ $uri = - ]]; then
    say "no archive of $codename main in the apt configuration, so none to take Consul from"
    exit 1
  fi
  [[ $keyring != - ]] || keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  say "fetching consul of $consul_suite (its package list first, about 8 MB)"
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work"/{state/lists/partial,cache/archives/partial,empty}
  : >"$work/status"
  echo "deb [signed-by=$keyring] $uri $consul_suite main" >"$work/sources.list"
  # A private apt: the machine's proxy settings, but none of its lists, caches or installed packages.
  local apt=(apt-get -qq -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache"
    -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/empty" -o Dir::Etc::preferences="$work/none"
    -o Dir::Etc::preferencesparts="$work/empty" -o Acquire::Languages=none -o APT::Sandbox::User=root)
  "${apt[@]}" update
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
  say "Install them by hand (Erlang/OTP 25 or later with ssl, Elixir, Consul, and on Linux ip, dig, nft, openssl);"
  say "on Debian this script does it as root: sudo bash test/install-peers.sh"
  if [[ ${CI:-} = true ]]; then
    say "CI=true: every peer has to be there"
    exit 1
  fi
  say "tests without their peer are skipped, with the reason."
  exit 0
}

mapfile -t packages < <(missing_packages)
missing="${packages[*]}"
have_consul || missing="${missing:+$missing }consul"
[[ -n $missing ]] || exit 0
[[ $(uname -s) = Linux ]] && have apt-get && have dpkg || by_hand "This is not Debian" "$missing"
[[ $EUID -eq 0 ]] || by_hand "Only root can install packages" "$missing"

# Each step is a subshell outside of any condition: within one, bash would go on after a failed command.
status=0
set +e
if [[ ${#packages[@]} -gt 0 ]]; then
  (set -e && install_packages "${packages[@]}")
  status=$?
fi
if [[ $status -eq 0 ]] && ! have_consul; then
  (set -e && fetch_consul)
  status=$?
fi
set -e
[[ $status -eq 0 ]] || by_hand "Installing failed" "$missing"
say "done"
