#!/usr/bin/env bash
# Builds the extension and installs it into a Postgres of your own:
#   scripts/install.sh                                the chosen version's (PG, default 15)
#   PG_CONFIG=/path/to/pg_config scripts/install.sh   the one this belongs to
source "$(dirname "$0")/lib.sh"
if [ -n "${PG_CONFIG:-}" ]; then
  usable "$PG_CONFIG" || die "$PG_CONFIG is not a Postgres $PG with headers and server"
fi
pgrx_env
cd "$ROOT"
sudo=()
[ -w "$("$PGRX_PG_CONFIG_PATH" --pkglibdir)" ] || sudo=(--sudo)
cargo pgrx install --release "${PGRX_FEATURES[@]}" "${sudo[@]}" --pg-config "$PGRX_PG_CONFIG_PATH"
scripts/upgrade.sh "$("$PGRX_PG_CONFIG_PATH" --sharedir)/extension" "${sudo[@]/--/}"
