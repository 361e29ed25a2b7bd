#!/usr/bin/env bash
# Formatting and clippy; a warning is a failure.
source "$(dirname "$0")/lib.sh"
cd "$ROOT"
cargo fmt --all --check
exec scripts/cargo.sh clippy --release --workspace --all-targets -- -D warnings
