#!/bin/bash
# Types what README.md shows. Nothing in it is needed elsewhere.
here=$(readlink -f "$(dirname "$0")")
source "$here/../typed.sh"
need mix
type_readme
