#!/usr/bin/env bash
# The extension at work: a private server, a shop on loopback, and every SQL statement as it is run.
# What it promises is checked on the way; it ends with an error where something is not so.
source "$(dirname "$0")/lib.sh"

CUSTOMERS=3000
ORG=0c8f2f6e-5a51-4f3c-9d3a-7d2b6a1f4e10

"$ROOT/scripts/cluster.sh" install
"$ROOT/scripts/cluster.sh" start
# Built together with the engine, as the tests are: cargo then compiles what they share once.
(cd "$ROOT" && cargo build --quiet --release -p sync_engine -p sync_sandbox --bin sandbox)
private_paths
eval "$("$ROOT/scripts/cluster.sh" env)"

work=$(mktemp -d) shop='' erp='' pull=''
finish() {
  local process
  for process in $pull $shop $erp; do { kill "$process" && wait "$process"; } 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' plain=$'\e[0m'; else bold='' green='' plain=''; fi
heading() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }
ok() { printf '%sok%s  %s\n' "$green" "$plain" "$1"; }

PSQL=(psql -X -q -v ON_ERROR_STOP=1 -P pager=off)
as_superuser() { "${PSQL[@]}" -U postgres "$@"; }
# A backend of an app: no superuser, speaking for one organisation.
as_app() { PGOPTIONS="-c app.current_org_id=$ORG -c app.current_user_id=demo" "${PSQL[@]}" -U sync_ext_demo -d demo "$@"; }
sql() {
  printf '\n%s%s%s\n' "$bold" "$1" "$plain"
  as_app -c "$1"
}
expect() { # what, value, SQL
  local found; found=$(as_app -At -c "$3")
  [ "$found" = "$2" ] || die "the demo failed: $1 should be $2, and is ${found:-nothing} ($3)"
  ok "$1: $found"
}

# Its control calls need nothing but bash.
change_shop() { # JSON
  local answer
  exec 7<>"/dev/tcp/127.0.0.1/$port"
  printf 'POST /_sandbox/mutate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
    "${#1}" "$1" >&7
  answer=$(cat <&7)
  exec 7>&-
  case $answer in "HTTP/1.1 200"*) ;; *) die "the shop did not take the change: $answer" ;; esac
}

sandbox=${CARGO_TARGET_DIR:-$ROOT/target}/release/sandbox
started='' port=''
start_sandbox() { # name, arguments; sets $started and $port
  local name=$1; shift
  "$sandbox" "$@" --port-file "$work/$name.port" >"$work/$name.log" 2>&1 &
  started=$!
  for _ in {1..200}; do
    [ ! -s "$work/$name.port" ] || break
    kill -0 "$started" 2>/dev/null || die "the $name ended: $(cat "$work/$name.log")"
    sleep 0.05
  done
  [ -s "$work/$name.port" ] || die "the $name does not start: $(cat "$work/$name.log")"
  port=$(head -n 1 "$work/$name.port")
}

heading "A shop with $CUSTOMERS customers, and an ERP"
start_sandbox erp --odoo 19 --customers 400
erp=$started erp_url=http://127.0.0.1:$port
start_sandbox shop --customers "$CUSTOMERS"
shop=$started url=http://127.0.0.1:$port
echo "The shop answers at $url as a WooCommerce 11 does, the ERP at $erp_url as an Odoo 19."

heading "A database with the extension, and a role for the app"
key=$RUN/demo.key
# Run by the shell of the server's user: the variables are its own.
# shellcheck disable=SC2016
as_server sh -c 'umask 077; od -An -v -N32 -tx1 /dev/urandom | tr -d " \n" >"$1"' sh "$key"
as_superuser -d postgres -c 'SET client_min_messages = error' -c 'DROP DATABASE IF EXISTS demo WITH (FORCE)' \
  -c 'DROP ROLE IF EXISTS sync_ext_demo' -c 'CREATE ROLE sync_ext_demo LOGIN' -c 'CREATE DATABASE demo'
setup="CREATE SCHEMA sync;
CREATE EXTENSION sync_ext WITH SCHEMA sync;
ALTER DATABASE demo SET search_path = \"\$user\", public, sync;
ALTER DATABASE demo SET sync_ext.key_file = '$key';
ALTER DATABASE demo SET sync_ext.allowed_hosts = '127.0.0.1';
SELECT sync.sync_grant(role => 'sync_ext_demo', org_id => '$ORG', level => 'admin');"
printf '\n%s%s%s\n' "$bold" "$setup" "$plain"
as_superuser -d demo -c "$setup" >/dev/null

heading "Connect, and ask the shop what the key may read"
sql "SELECT sync_connect(
    kind        => 'woocommerce',
    base_url    => '$url',
    credentials => '{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}',
    settings    => '{\"requests_per_second\": 4}');"
sql "SELECT e.key AS entity_type, e.value ->> 'readable' AS readable, e.value ->> 'count' AS records
FROM sync_test_connection('woocommerce') t, jsonb_each(t -> 'entities') e;"

heading "The first preview reads all customers (4 requests a second, so that there is something to see)"
first="SELECT sync_preview('woocommerce', 'customers') #> '{delta,new,count}' AS new_customers;"
printf '\n%s%s\n-- meanwhile, in another session:\nSELECT progress, items, eta FROM sync_progress_live;%s\n' "$bold" "$first" "$plain"
as_app -At -c "$first" >"$work/first" 2>"$work/first.err" &
pull=$!
seen=0
while kill -0 "$pull" 2>/dev/null; do
  bar=$(as_app -At -F '  ' -c "SELECT progress, items, 'ETA ' || coalesce(eta::text, '?') FROM sync_progress_live WHERE status = 'running'")
  if [ -n "$bar" ]; then
    seen=$((seen + 1))
    if [ -t 1 ]; then printf '\r%-72s' "$bar"; else printf '%s\n' "$bar"; fi
  fi
  sleep 0.4
done
[ ! -t 1 ] || echo
wait "$pull" || die "the demo failed: $(cat "$work/first.err")"
pull=
[ "$seen" -ge 3 ] || die "the demo failed: its progress was seen $seen times"
expect "customers known" "$CUSTOMERS" "SELECT count(*) FROM compute_delta('woocommerce', 'customers')"
[ "$(cat "$work/first")" = "$CUSTOMERS" ] || die "the demo failed: the preview counts $(cat "$work/first") new customers"
ok "the first preview counts $(cat "$work/first") new ones"

heading "The local table gets most of them, forty with other data, and one that the shop doesn't have"
sql "INSERT INTO sync_customers
SELECT c.*
FROM compute_delta('woocommerce', 'customers') d,
     jsonb_populate_record(NULL::sync_customers, d.remote
         || jsonb_build_object('id', gen_random_uuid(), 'org_id', sync_current_org(), 'updated_at', now())) c
WHERE d.change = 'new'
ORDER BY d.external_id::bigint
LIMIT 2400;"
sql "UPDATE sync_customers SET billing_city = 'Old Town', phone = '000'
WHERE id IN (SELECT id FROM sync_customers ORDER BY email LIMIT 40);"
sql "INSERT INTO sync_customers (email, name) VALUES ('only.here@example.com', 'Only Here');"
sql "SELECT change, count(*) FROM sync_changes GROUP BY change ORDER BY change; -- the ledger has followed"

heading "A fresh preview: what would change, before anything changes"
sql "SELECT p #>> '{delta,new,count}' AS new, p #>> '{delta,updated,count}' AS updated, p #>> '{delta,deleted,count}' AS deleted,
       p ->> 'unlinked' AS unlinked, p ->> 'cacheHit' AS cache_hit, p #>> '{meta,pull,requests}' AS requests
FROM sync_preview('woocommerce', 'customers', force_refresh => true) p;"
sql "SELECT r ->> 'externalId' AS id, r #>> '{record,name}' AS name, r ->> 'matchKey' AS match_key
FROM sync_preview('woocommerce', 'customers') p, jsonb_array_elements(p #> '{delta,new,records}') r LIMIT 3;"
sql "SELECT r ->> 'matchKey' AS customer, f.key AS field, f.value ->> 'old' AS old, f.value ->> 'new' AS new
FROM sync_preview('woocommerce', 'customers') p, jsonb_array_elements(p #> '{delta,updated,records}') r,
     jsonb_each(r -> 'changedFields') f
ORDER BY 1, 2 LIMIT 6;"
preview="sync_preview('woocommerce', 'customers')"
expect "new" $((CUSTOMERS - 2400)) "SELECT $preview #> '{delta,new,count}'"
expect "updated" 40 "SELECT $preview #> '{delta,updated,count}'"
expect "deleted" 0 "SELECT $preview #> '{delta,deleted,count}'"
expect "unlinked" 1 "SELECT $preview -> 'unlinked'"
expect "every updated sample says which fields" t "SELECT bool_and(r -> 'changedFields' ?& '{billing_city,phone}' OR r #>> '{changedFields,billing_city,old}' = 'Old Town')
  FROM jsonb_array_elements($preview #> '{delta,updated,records}') r"

heading "Asked again, it comes from the cache"
printf '\n%s%s%s\n' "$bold" "SELECT sync_preview('woocommerce', 'customers') -> 'cacheHit' AS cache_hit;" "$plain"
as_app -c '\timing on' -c "SELECT $preview -> 'cacheHit' AS cache_hit;"
expect "cacheHit" true "SELECT $preview -> 'cacheHit'"

heading "A trial: what would the table itself refuse?"
sql "SELECT t ->> 'created' AS would_create, t ->> 'updated' AS would_update, t ->> 'failed' AS would_fail
FROM sync_apply('woocommerce', 'customers', dry_run => true) t;"

heading "Apply exactly what the preview showed"
sql "SELECT a ->> 'status' AS status, a ->> 'created' AS created, a ->> 'updated' AS updated, a ->> 'deleted' AS deleted, a ->> 'failed' AS failed
FROM sync_preview('woocommerce', 'customers') p,
     sync_apply('woocommerce', 'customers', preview_id => (p ->> 'previewId')::uuid) a;"
expect "what differs" 0 "SELECT count(*) FROM sync_changes"
expect "differences between the ledger and the records" 0 "SELECT count(*) FROM sync_verify('woocommerce', 'customers')"

heading "Somebody edits a customer in the shop"
edited=$(as_app -At -c "SELECT external_id FROM sync_record WHERE external_id IS NOT NULL ORDER BY external_id::bigint OFFSET 1234 LIMIT 1")
change='{"op": "edit", "entity": "customers", "id": '$edited', "set": {"billing.city": "New Harbour"}}'
printf '\n%sPOST %s/_sandbox/mutate %s%s\n' "$bold" "$url" "$change" "$plain"
change_shop "$change"
# A connector is changed by connecting again under its name: no need to go slowly any more.
sql "SELECT sync_connect('woocommerce', '$url', '{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}');"
sql "SELECT p #>> '{delta,new,count}' AS new, p #>> '{delta,updated,count}' AS updated, p #>> '{delta,deleted,count}' AS deleted,
       jsonb_pretty(p #> '{delta,updated,records,0,changedFields}') AS changed_fields
FROM sync_preview('woocommerce', 'customers', true) p;"
expect "changes" "0,1,0" "SELECT concat_ws(',', $preview #> '{delta,new,count}', $preview #> '{delta,updated,count}', $preview #> '{delta,deleted,count}')"
expect "the edited customer" "$edited" "SELECT $preview #>> '{delta,updated,records,0,externalId}'"
expect "its new city" "New Harbour" "SELECT $preview #>> '{delta,updated,records,0,changedFields,billing_city,new}'"
expect "fields that changed" billing_city "SELECT string_agg(f, ',') FROM jsonb_object_keys($preview #> '{delta,updated,records,0,changedFields}') f"

heading "Apply that too, and take it back"
sql "SELECT a ->> 'updated' AS updated FROM sync_apply('woocommerce', 'customers') a;"
expect "what differs" 0 "SELECT count(*) FROM sync_changes"
sql "SELECT u ->> 'restored' AS restored, u ->> 'refused' AS refused
FROM (SELECT id FROM sync_history WHERE metadata ->> 'operation' = 'apply' ORDER BY created_at DESC LIMIT 1) h, sync_undo(h.id) u;"
expect "what differs" 1 "SELECT count(*) FROM sync_changes"

heading "The ERP: all that it has, in one call"
sql "SELECT sync_connect('odoo', '$erp_url', '{\"database\": \"lab\", \"login\": \"admin\", \"api_key\": \"key_admin\"}');"
sql "SELECT e.key AS entity_type, e.value ->> 'status' AS status, e.value ->> 'inserted' AS records
FROM sync_all('odoo') a, jsonb_each(a -> 'entityTypes') e ORDER BY 1;"
sql "SELECT a ->> 'status' AS status, e.key AS entity_type, e.value ->> 'created' AS created, e.value ->> 'failed' AS failed
FROM sync_apply('odoo', 'all') a, jsonb_each(a -> 'entityTypes') e ORDER BY 2;"
sql "SELECT sync_type, entity_type, status, records FROM sync_state ORDER BY 1, 2;"
expect "entity types of the ERP that are in sync" 8 "SELECT count(*) FROM sync_state WHERE sync_type = 'odoo' AND status = 'success'"

heading "What happened is in the log"
sql "SELECT activity_type, entity_type, status, record_count, round(duration_seconds::numeric, 1) AS seconds
FROM sync_activity_log ORDER BY created_at;"

heading "Done"
echo "Read $CUSTOMERS customers from a shop and everything from an ERP, showed what would change and why, applied it, and found one edit among them."
echo "The server is still up: make psql, then \\c demo. make stop ends it."
