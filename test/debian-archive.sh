# Sourced by the scripts that install peers: packages of other Debian suites, taken from the machine's own archive
# without touching the machine's own apt.

# "<URI> <keyring or ->" of a suite's main section in the machine's apt configuration, in either form that apt reads.
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

# private_apt <suite> <empty folder>: reads that suite's package lists, and sets the array `apt` to an apt-get that knows
# them: with the machine's proxy settings, but none of its lists, caches or installed packages.
private_apt() {
  local suite=$1 work=$2 codename archive uri keyring
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  archive=$(own_archive "$codename")
  read -r uri keyring <<<"${archive:-- -}"
  if [[ $uri = - ]]; then
    say "no archive of $codename main in the apt configuration, so none to take $suite from"
    return 1
  fi
  [[ $keyring != - ]] || keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p "$work"/{state/lists/partial,cache/archives/partial,empty}
  # Nothing is installed there: packages come with all that they need, libc included.
  : >"$work/status"
  echo "deb [signed-by=$keyring] $uri $suite main" >"$work/sources.list"
  apt=(apt-get -qq -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache"
    -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/empty" -o Dir::Etc::preferences="$work/none"
    -o Dir::Etc::preferencesparts="$work/empty" -o Acquire::Languages=none -o APT::Sandbox::User=root
    -o APT::Install-Recommends=false)
  "${apt[@]}" update
}
