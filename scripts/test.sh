#!/usr/bin/env bash
# Everything that has to pass; the last line is "N passed, N failed".
#   scripts/test.sh           set up, lint, all tests
#   scripts/test.sh NAME ..   only the tests whose names contain NAME (further words go to the test binaries)
source "$(dirname "$0")/lib.sh"
cd "$ROOT"

passed=0 failed=0
finish() {
  if [ -s "$SYNC_EXT_SKIPPED" ]; then
    printf '\nskipped:\n'
    sort "$SYNC_EXT_SKIPPED" | uniq -c
    passed=$((passed - $(wc -l <"$SYNC_EXT_SKIPPED")))
  fi
  printf '\n%s passed, %s failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}
output=$(mktemp)
SYNC_EXT_SKIPPED=$(mktemp)
export SYNC_EXT_SKIPPED
trap 'rm -f "$output" "$SYNC_EXT_SKIPPED"' EXIT

# A step that breaks counts as one failure: nothing after it can be judged.
must() {
  say "== $*"
  "$@" </dev/null || { failed=$((failed + 1)); finish; exit 1; }
}

must scripts/setup.sh
if [ $# = 0 ]; then
  say "== scripts/lint.sh"
  scripts/lint.sh </dev/null || failed=1
fi
must scripts/cluster.sh install

# One command for all, in the extension's profile: cargo then builds what they share once.
say "== cargo test"
status=0
private_paths
export SYNC_EXT_PG_TREE=$TREE
run() { cargo test --release --no-fail-fast "$@" </dev/null 2>&1 | tee -a "$output" || status=$?; }
run -p sync_engine -p sync_sandbox -p sync_ext_tests -- "$@"
# Where the extension is, is the reader's choice: what depends on names is run in another schema as well,
# with the same packages as before, so that nothing is compiled anew.
if [ $# = 0 ]; then
  say "== cargo test, in the schema public"
  SYNC_EXT_SCHEMA=public run -p sync_engine -p sync_sandbox -p sync_ext_tests --test suite -- security_ bind_ dump_ contract readme upgrade
fi
counts=$(sed -n 's/^test result: [a-zA-Z]*\. \([0-9]*\) passed; \([0-9]*\) failed;.*/\1 \2/p' "$output")
broken=0
while read -r good bad; do
  passed=$((passed + ${good:-0})) broken=$((broken + ${bad:-0}))
done <<<"$counts"
# A test binary that doesn't compile, or dies, has no line of its own.
if [ "$status" != 0 ] && [ "$broken" = 0 ]; then broken=1; fi
failed=$((failed + broken))
if [ "$passed" = 0 ] && [ "$failed" = 0 ]; then
  say "no test ran"
  failed=1
fi
finish
