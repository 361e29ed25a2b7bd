#!/usr/bin/env bash
# Removes everything built and the private servers with their data. What setup.sh installed stays.
source "$(dirname "$0")/lib.sh"
for data in "$ROOT"/.pg/*/run; do
  [ ! -d "$data" ] || PG=$(basename "${data%/run}") "$ROOT/scripts/cluster.sh" destroy
done
if [ -L "$ROOT/.pg" ]; then rm -rf "$(realpath "$ROOT/.pg")"; fi
rm -rf "$ROOT/.pg"
cd "$ROOT"
cargo clean --quiet
