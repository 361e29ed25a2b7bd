#!/bin/sh
# For check-versions.sh: makes pgrx-pg-sys, and nothing else, use the bindings that it was published with.
rustc=$1
shift
if [ "$CARGO_PKG_NAME" = pgrx-pg-sys ]; then set -- "$@" --cfg docsrs; fi
exec "$rustc" "$@"
