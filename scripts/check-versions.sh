#!/usr/bin/env bash
# Does the extension compile for every Postgres we support? Needs no headers: pgrx brings bindings of its own.
#   scripts/check-versions.sh [VERSION ..]     (default: 14 15 16 17 18)
source "$(dirname "$0")/lib.sh"
cd "$ROOT"
# These artefacts are built from other bindings than the real ones: they must not meet in one folder.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/check-versions
export DOCS_RS=1 RUSTC_WRAPPER=$ROOT/scripts/rustc-own-bindings.sh CARGO_INCREMENTAL=0
failed=()
for version in "${@:-14 15 16 17 18}"; do
  # Unquoted: the default is a list.
  for pg in $version; do
    say "== Postgres $pg"
    cargo check --lib -p sync_ext --no-default-features --features "pg$pg" || failed+=("$pg")
  done
done
[ ${#failed[@]} = 0 ] || die "does not compile for Postgres ${failed[*]}"
