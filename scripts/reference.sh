#!/usr/bin/env bash
# Writes docs/reference.md from the comments in the catalog of a fresh database.
#   scripts/reference.sh           install, start the private server, write the file
#   scripts/reference.sh --print   print it for the database that PGHOST, PGDATABASE .. name (what the test does)
set -euo pipefail
here=$(dirname "$0")

print_reference() {
  "${SYNC_EXT_PSQL:-psql}" -XAtq -v ON_ERROR_STOP=1 -f "$here/reference.sql"
}

if [ "${1:-}" = --print ]; then print_reference; exit; fi
"$here/cluster.sh" install
"$here/cluster.sh" start
eval "$("$here/cluster.sh" env)"
psql -Xq -c 'SET client_min_messages = error' -c 'DROP DATABASE IF EXISTS sync_ext_reference' -c 'CREATE DATABASE sync_ext_reference'
export PGDATABASE=sync_ext_reference
psql -Xq -c 'CREATE EXTENSION sync_ext'
print_reference >"$here/../docs/reference.md.new"
mv "$here/../docs/reference.md.new" "$here/../docs/reference.md"
PGDATABASE=postgres psql -Xq -c 'DROP DATABASE sync_ext_reference'
