# shellcheck shell=bash
# What the lints share. A lint takes the tree to look at (by default: this one), prints each offence as FILE:LINE: TEXT,
# and fails if there was one.
set -euo pipefail

cd "${1:-$(dirname "$(realpath "$0")")/../..}"
offences=$(mktemp)
trap 'rm -f "$offences"' EXIT

# Sorted C files: those of the programs, and all. A folder may be missing.
product_files() {
  { find lib compose images runner loader executor examples -name '*.[ch]' 2>/dev/null || true; } | LC_ALL=C sort
}

c_files() {
  product_files
  { find tests -name '*.[ch]' 2>/dev/null || true; } | LC_ALL=C sort
}

# The lines of a table without comments and empty ones.
table() {
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "tests/lint/$1"
}

offence() {
  echo "$*" >>"$offences"
}

# The last command of each lint.
verdict() {
  cat "$offences" >&2
  [ ! -s "$offences" ]
}
