#!/usr/bin/env bash
# cargo with what pgrx needs in the environment, so that no two commands rebuild each other's work:
#   scripts/cargo.sh check    PG=18 scripts/cargo.sh clippy --workspace
# The feature of the chosen version is added where a command builds the extension.
source "$(dirname "$0")/lib.sh"
pgrx_env
cd "$ROOT"
command=${1:?usage: scripts/cargo.sh COMMAND [ARGUMENT..]}
shift
exec cargo "$command" "${PGRX_FEATURES[@]}" "$@"
