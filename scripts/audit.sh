#!/usr/bin/env bash
# Licences, sources and versions of all dependencies, as deny.toml wants them. Works offline once cargo-deny is there.
source "$(dirname "$0")/lib.sh"
DENY_VERSION=0.18.9
cd "$ROOT"
if [ "$(cargo deny --version 2>/dev/null)" != "cargo-deny $DENY_VERSION" ]; then
  say "installing cargo-deny $DENY_VERSION (some minutes, once)"
  private_dir
  # The build folder is a fresh one: inside the project it would be taken for a part of the workspace.
  (cd / && env -u CARGO_TARGET_DIR cargo install --locked --version "$DENY_VERSION" --root "$PGRX_TOOLS" cargo-deny) >&2
fi
cargo fetch --locked >&2
exec cargo deny --offline check bans licenses sources
