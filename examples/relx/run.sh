#!/bin/bash
# Types what README.md shows. Nothing in it is needed elsewhere.
here=$(readlink -f "$(dirname "$0")")
source "$here/../typed.sh"
need erl rebar3
type_readme
