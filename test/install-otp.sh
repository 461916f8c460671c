#!/bin/bash
# Puts other Erlang/OTP releases beside the machine's own, for the tests of the module:
#   bash test/install-otp.sh [RELEASE ...]        (test/install-peers.sh calls it; no time when all is there)
# Each is a small tree of a Debian suite with Erlang and Elixir in /opt/srv-epmd-peers/otpNN: its packages are unpacked,
# nothing is installed, configured or started. The programs are called through otpNN/bin-host/: the wrapper enters
# the tree in a mount namespace of its own, with the machine's folders and /etc/hosts and /etc/resolv.conf in it; network
# namespace, pid, environment, current folder, standard input and exit status are the caller's. Needs Debian and root.
set -euo pipefail

peers=/opt/srv-epmd-peers
declare -A suites=([23]=bullseye [25]=bookworm [27]=trixie [29]=sid)
base=(base-files dash bash coreutils sed grep libc-bin netbase hostname procps)
erlang=(erlang-base erlang-dev erlang-asn1 erlang-crypto erlang-public-key erlang-ssl erlang-inets erlang-mnesia
  erlang-parsetools erlang-runtime-tools erlang-syntax-tools erlang-tools elixir)
programs=(erl erlc escript erl_call elixir elixirc iex mix)

say() { echo "peers: $*"; }

source "$(dirname "${BASH_SOURCE[0]}")/debian-archive.sh"

unpack() {
  local suite=$1 tree=$2 file
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  private_apt "$suite" "$work"
  "${apt[@]}" --download-only -y install "${base[@]}" "${erlang[@]}" >/dev/null
  mkdir -p "$tree"
  # First of all what makes /bin a link to usr/bin, where the suite has it so.
  dpkg -x "$work"/cache/archives/base-files_*.deb "$tree"
  for file in "$work"/cache/archives/*.deb; do
    dpkg --fsys-tarfile "$file" | tar -x -C "$tree" --keep-directory-symlink
  done
  # What the packages' scripts would have done.
  [[ -e $tree/bin/sh ]] || ln -s dash "$tree/bin/sh"
  cp /etc/passwd /etc/group "$tree/etc/"
  printf 'passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n' >"$tree/etc/nsswitch.conf"
  for file in hosts resolv.conf hostname; do : >"$tree/etc/$file"; done
}

write_wrappers() {
  local tree=$1 home=$2 program inside
  cat >"$tree/enter" <<'END'
#!/bin/sh
# enter <tree> <program in it> <arguments>, in a mount namespace of its own already.
tree=$1 program=$2
shift 2
for folder in /*; do
  case $folder in /bin | /sbin | /lib* | /usr | /etc | /boot | /lost+found | '/*') continue ;; esac
  [ -d "$folder" ] && [ ! -L "$folder" ] || continue
  [ -d "$tree$folder" ] || mkdir -p "$tree$folder"
  mount --rbind "$folder" "$tree$folder" || exit 125
done
for file in hosts resolv.conf hostname; do
  [ ! -e "/etc/$file" ] || mount --bind "/etc/$file" "$tree/etc/$file" || exit 125
done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec unshare --root="$tree" --wd="$PWD" -- "$program" "$@"
END
  chmod +x "$tree/enter"
  mkdir "$tree/bin-host"
  for program in "${programs[@]}"; do
    inside=/usr/bin/$program
    # Where erl_call has no link in /usr/bin, it is with its library.
    [[ -e $tree$inside || -L $tree$inside ]] ||
      inside=/$(cd "$tree" && echo usr/lib/erlang/lib/erl_interface-*/bin/"$program")
    printf '#!/bin/sh\nexec unshare --mount --propagation private -- %s/enter %s %s "$@"\n' \
      "$home" "$home" "$inside" >"$tree/bin-host/$program"
    chmod +x "$tree/bin-host/$program"
  done
}

install_otp() {
  local release=$1 home=$peers/otp$1 suite=${suites[$1]} found
  say "fetching Erlang/OTP $release of $suite (about 150 MB with its package list)"
  rm -rf "$home.part"
  unpack "$suite" "$home.part"
  write_wrappers "$home.part" "$home"
  rm -rf "$home"
  mv "$home.part" "$home"
  found=$("$home/bin-host/erl" -noshell -eval 'io:format("~s", [erlang:system_info(otp_release)]), halt().')
  if [[ $found != "$release" ]]; then
    say "$suite has Erlang/OTP $found, not $release"
    return 1
  fi
  touch "$home/complete"
  say "Erlang/OTP $release is in $home/bin-host"
}

[[ $# -gt 0 ]] || set -- 23 27 29
status=0
for release in "$@"; do
  [[ ! -e $peers/otp$release/complete ]] || continue
  if [[ -z ${suites[$release]:-} ]]; then
    say "no Debian suite is known for Erlang/OTP $release"
    exit 2
  fi
  # A subshell outside of any condition: within one, bash would go on after a failed command.
  set +e
  (set -e && install_otp "$release")
  [[ $? -eq 0 ]] || status=1
  set -e
done
exit $status
