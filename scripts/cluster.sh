#!/usr/bin/env bash
# A private Postgres to try and test the extension in. It listens on a unix socket only, lives in .pg/ and
# leaves the machine's own servers alone. PG=18 chooses another version.
#   install   build the extension and put it into a private copy of Postgres
#   start     start the server (creates it the first time)
#   psql ..   psql on it, with any arguments (database: postgres)
#   env       print what other programs need to connect (export PGHOST=..)
#   status    is it running?
#   stop      stop it
#   destroy   stop it and remove its data
source "$(dirname "$0")/lib.sh"

# Postgres finds its lib and share folders relative to its own binary. So the binaries are copied, the rest is
# linked at the same distance from them, and what is installed there never reaches the real installation.
make_tree() {
  local pc=$PGRX_PG_CONFIG_PATH bin lib share include stamp
  bin=$("$pc" --bindir) lib=$("$pc" --pkglibdir) share=$("$pc" --sharedir) include=$("$pc" --includedir-server)
  stamp="$pc $("$pc" --version) $(stat -c %Y "$bin/postgres" "$lib" "$share/extension" | tr '\n' ' ')"
  [ "$(cat "$TREE/stamp" 2>/dev/null)" != "$stamp" ] || return 0

  stop
  local new=$STATE/tree.new
  rm -rf "$new"
  mkdir -p "$new$bin" "$new$lib" "$new$share/extension" "$new${include%/*}"
  cp -L "$bin"/* "$new$bin/"
  link_all "$lib" "$new$lib"
  link_all "$share" "$new$share"
  link_all "$share/extension" "$new$share/extension"
  ln -s "$include" "$new$include"
  # The bundled copies find their libraries three folders up.
  local libs
  for libs in "$bin"/../../../*.libs; do
    [ ! -d "$libs" ] || ln -s "$(realpath "$libs")" "$(realpath "$new$bin/../../..")/"
  done
  ln -s ".$bin" "$new/bin"
  echo "$stamp" >"$new/stamp"
  rm -rf "$TREE"
  mv "$new" "$TREE"
}

# Never ours: a copy installed by hand in the real one would be written through the link.
link_all() { # from to
  local file
  for file in "$1"/*; do
    case ${file##*/} in extension | sync_ext*) ;; *) ln -s "$file" "$2/" ;; esac
  done
}

bindir() { (cd "$TREE/bin" && pwd -P); }

install() {
  pgrx_env
  (
    flock 9
    make_tree
    local extensions; extensions=$("$TREE/bin/pg_config" --sharedir)/extension
    # An upgrade script that the project no longer has must not stay.
    rm -f "$extensions/sync_ext"[-.]*
    cd "$ROOT"
    cargo pgrx install --release "${PGRX_FEATURES[@]}" --pg-config "$(bindir)/pg_config"
    scripts/upgrade.sh "$extensions"
    # Earlier versions, which only the tests of upgrades create.
    cp tests/upgrade/sync_ext--*.sql "$extensions/"
  ) 9>"$STATE/lock"
}

# A unix socket's path has 107 bytes at most, a project's path may have more.
socket_dir() {
  local dir=$RUN/socket
  if [ ${#dir} -gt 85 ]; then
    dir=$(cat "$RUN/socket_dir" 2>/dev/null || true)
    if [ ! -d "$dir" ]; then
      dir=$(as_server mktemp -d /tmp/sync_ext.XXXXXX)
      echo "$dir" >"$RUN/socket_dir"
    fi
  fi
  printf '%s' "$dir"
}

running() { [ -d "$RUN/data" ] && in_server "$(bindir)/pg_ctl" -D "$RUN/data" status >/dev/null; }

# From a folder that the server's user can enter, and without RUST_BACKTRACE: every ERROR would print one.
in_server() { (cd / && unset RUST_BACKTRACE && as_server "$@"); }

create() {
  mkdir -p "$RUN/socket"
  touch "$RUN/log"
  if [ "$(id -u)" = 0 ]; then chown "$(server_user)" "$RUN" "$RUN/socket" "$RUN/log"; fi
  chmod 700 "$RUN/socket"
  in_server "$(bindir)/initdb" -D "$RUN/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
  in_server tee -a "$RUN/data/postgresql.conf" >/dev/null <<END
listen_addresses = ''
unix_socket_directories = '$(socket_dir)'
max_worker_processes = 64
END
}

start() {
  [ -x "$TREE/bin/postgres" ] || die "there is nothing to start: run scripts/cluster.sh install"
  [ -s "$RUN/data/PG_VERSION" ] || create
  running || in_server "$(bindir)/pg_ctl" -D "$RUN/data" -l "$RUN/log" -w start >/dev/null || {
    in_server tail -n 20 "$RUN/log" >&2
    die "the server does not start, see $RUN/log"
  }
}

stop() {
  if [ -x "$TREE/bin/pg_ctl" ] && running; then in_server "$(bindir)/pg_ctl" -D "$RUN/data" -m fast -w stop >/dev/null; fi
}

# Whatever the caller's own environment says about a server is about another one.
print_env() {
  local name
  for name in "${!PG@}"; do
    case $name in PG | PG_* | PGRX_*) ;; *) printf 'unset %s\n' "$name" ;; esac
  done
  printf 'export PG=%q PGHOST=%q PGUSER=postgres PGDATABASE=postgres PATH=%q:"$PATH"\n' \
    "$PG" "$(socket_dir)" "$(bindir)"
}

run_psql() {
  eval "$(print_env)"
  exec psql "$@"
}

private_paths
command=${1:-help}
[ $# = 0 ] || shift
case $command in
  install | start | stop) "$command" ;;
  psql) run_psql "$@" ;;
  env) print_env ;;
  status) if running; then echo "Postgres $PG is running in $RUN"; else echo "Postgres $PG is not running"; exit 3; fi ;;
  destroy)
    stop
    [ ! -f "$RUN/socket_dir" ] || rm -rf "$(socket_dir)"
    rm -rf "$RUN" ;;
  *) sed -n '2,/^source/s/^# \{0,1\}//p' "$0"; [ "$command" = help ] ;;
esac
