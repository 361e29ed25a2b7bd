#!/usr/bin/env bash
# Puts the upgrade scripts to this version into a folder that has its installation script:
#   scripts/upgrade.sh FOLDER [sudo]
# Each is what sql/upgrade/OLD--NEW.sql says, then all functions, views and triggers of the installation script once more.
set -euo pipefail
folder=$1
shift
here=$(cd "$(dirname "$0")/.." && pwd -P)
parts=$here/sql/upgrade
version=$(sed -n 's/^version *= *"\([0-9.]*\)".*/\1/p' "$here/Cargo.toml" | head -n 1)

for part in "$parts"/*--"$version".sql; do
  {
    echo "\\echo Use \"ALTER EXTENSION sync_ext UPDATE\" to load this file. \\quit"
    cat "$parts/first.sql" "$part"
    awk -f "$here/scripts/upgrade.awk" "$folder/sync_ext--$version.sql"
    cat "$parts/last.sql"
  } | "$@" tee "$folder/sync_ext--$(basename "$part")" >/dev/null
done
