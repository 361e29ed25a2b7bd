-- What the functions in Rust are; the ones in SQL have their comments beside them.

COMMENT ON FUNCTION sync_connect(text, text, jsonb, text, jsonb, boolean) IS
    'Makes a connector, or gives the one of that name other credentials and settings, '
    'and with same_system another address; seals the credentials. Asks nobody: sync_test_connection does. Returns its id.';
COMMENT ON FUNCTION sync_test_connection(text) IS
    'Asks the remote who it is and what the key may read: {ok, syncType, kind, version, authMode, clockSkewSeconds, '
    'latencyMs, entities, warnings}.';
COMMENT ON FUNCTION sync_pull(text, text, text) IS
    'Reads a remote entity type into the ledger through a worker: what changed (incremental), or everything (full). '
    'Local tables stay as they are. {syncId, syncType, entityType, status, pass: full or incremental, resumed, records, '
    'inserted, updated, unchanged, deleted, linked, requests, warnings, durationMs}; '
    'shared: true where it is the answer of another call.';
COMMENT ON FUNCTION sync_all(text, text, boolean) IS
    'Pulls every entity type that a connector is for, up to three at once, each in a worker of its own, '
    'and with apply applies what was pulled, one type after the other, as sync_select says: '
    '{syncType, status: completed, partial or failed, entityTypes: {name: what sync_pull returns, '
    'with what sync_apply returns below apply, or error}, startedAt, durationMs}. '
    'A failure that passes is repeated; one entity type''s failure leaves the others alone and raises nothing.';
COMMENT ON FUNCTION sync_ingest_webhook(text, jsonb, bytea) IS
    'Takes a webhook''s request, headers and raw body, as the app received it. '
    'Checks who sent it (42501 where the signature is wrong), then reads the record it names from the remote into the '
    'ledger: {status: pulled, noted, duplicate, ignored or ping, ...}.';
COMMENT ON FUNCTION sync_known_kinds() IS 'The rows of the view sync_kinds.';
COMMENT ON FUNCTION sync_kind_entities(text) IS 'The entity types that connectors of a kind have, in the order in which they are pulled.';
COMMENT ON FUNCTION sync_connector_entities(text, jsonb) IS
    'The entity types that a connector of that kind with these settings is for (entity_types), '
    'in the order in which they are pulled.';
COMMENT ON FUNCTION sync_refresh_preview(text, text) IS
    'Pulls what changed and computes the preview anew; what sync_preview calls where the cache has none. Returns its meta.';
COMMENT ON FUNCTION sync_fingerprint(text, jsonb) IS
    'Fingerprint of a record''s compared fields (all of its entity type, or those named: customers:email,name), '
    'the same for both sides: equal fingerprints mean equal records. The first byte is the version.';
COMMENT ON FUNCTION sync_match_key(text, jsonb) IS
    'What a record is matched by (e-mail, SKU, number), normalised; NULL where it has none, '
    'or came from another connector than the comparison''s (orders:number:hash), which may stand for the entity type.';
COMMENT ON FUNCTION sync_diff(text, jsonb, jsonb) IS 'The compared fields in which two records differ: {field: {old, new}}.';
COMMENT ON FUNCTION sync_item_entity(text) IS 'The entity type that an item of a sync list is of; 22023 for what is none.';
COMMENT ON FUNCTION sync_item_is_stock(text) IS 'Whether an item of that type is only the stock of a product (inventory).';
COMMENT ON FUNCTION sync_item_fields(text) IS 'The fields that an item of that type carries of its own; NULL: all.';
COMMENT ON FUNCTION sync_item_misfit(text, text[]) IS 'The first of these fields that an item of that type can''t have.';
COMMENT ON FUNCTION sync_delta(uuid[], text) IS
    'Carries out items of the sync list (these, those of one type, or all that are active): '
    'what has changed in its source is written to its target. {syncHistoryId, status, itemsProcessed, itemsCreated, '
    'itemsUpdated, itemsUnchanged, itemsSkipped, itemsFailed, duration (ms), errors: [{itemId, error}], '
    'warnings: [{itemId, warning}]}.';
COMMENT ON FUNCTION sync_full(uuid[], text) IS
    'The same as sync_delta, but writes every item, changed or not. {syncHistoryId, status, ...} as there.';
COMMENT ON FUNCTION sync_scheduled() IS
    'Carries out what is due in the sync lists of all organisations that the role may operate on, '
    'takes up pulls that a crash broke off or a webhook asked for, and does the maintenance: '
    'what pg_cron calls every minute. {status, totalUsers, totalItems, itemsProcessed, itemsSucceeded, itemsFailed, '
    'duration (ms), userResults: [{orgId, userId, ..., errors: ["itemId: error"], errorDetails: [{itemId, error}]}], '
    'pulls, errors, omitted}; {status: skipped} while another call is at it. '
    'It goes on until sync_ext.schedule_time_limit is over; of users, pulls and errors, the first 1,000 are told.';
COMMENT ON FUNCTION sync_maintain() IS
    'Rolls the partitions of the activity log and deletes what is older than sync_ext.activity_retention, '
    'and history older than sync_ext.history_retention; marks what a crash left in progress, '
    'and progress of apps that has been silent for a day. In a worker, which does so after each run as well. '
    '{partitionsMade, partitionsDropped, rowsDeleted, runsDeleted, historyDeleted}.';
COMMENT ON FUNCTION sync_tree(text[], text[], text[]) IS
    'Nodes, given by their ids, the ids of their parents, and their names, in the order of the tree that they are: place, '
    'number in the arrays, path of names, depth. Ends whatever the parents are. For the extension''s own functions.';
COMMENT ON FUNCTION sync_plain(text) IS 'A text as it is compared and searched: trimmed, entities decoded, Unicode NFC, in lower case.';
COMMENT ON FUNCTION sync_row_fingerprint(text, text, text[]) IS
    'sync_fingerprint of a table''s row, given as the texts of its columns in the order of a layout''s names.';
COMMENT ON FUNCTION sync_row_match_key(text, text, text[]) IS 'sync_match_key of a table''s row, given as sync_row_fingerprint takes it.';
COMMENT ON FUNCTION sync_match_fields(text) IS 'The fields that the match key of an entity type can come from, best first.';
COMMENT ON FUNCTION sync_emptied(text, jsonb, jsonb) IS
    'The compared fields that hold something in the first record and nothing in the second; flags are left out.';
COMMENT ON FUNCTION sync_depth(jsonb) IS 'How deep JSON is nested; 0 for a scalar.';
COMMENT ON FUNCTION sync_pair(uuid, uuid) IS 'A remote and a local fingerprint in one: another one where either is.';
COMMENT ON FUNCTION sync_open_change(boolean, text, uuid, uuid, uuid) IS
    'What a record''s two sides come to (new, updated, deleted, ambiguous), NULL where they agree or are settled: '
    'sync_record.change.';
COMMENT ON FUNCTION sync_share_rules(int) IS
    'Keeps what rows are compared by as it is until the transaction ends, for the organisations whose rows the statement '
    'probably writes. For tracking triggers only.';
COMMENT ON FUNCTION sync_share_rules_of(int, uuid[]) IS
    'The same for organisations whose rows a statement has written. For tracking triggers only.';
COMMENT ON FUNCTION sync_shares_rules_of(uuid) IS
    'Whether sync_share_rules had the rules of this row''s organisation before this statement began. '
    'For tracking triggers only.';
COMMENT ON FUNCTION sync_claim_rules(int, uuid) IS
    'Keeps those who write an organisation''s rows of a shared relation waiting until the transaction ends, '
    'and nobody else. For the extension''s own functions.';
COMMENT ON FUNCTION sync_track_print(text, text, text[]) IS
    'sync_row_fingerprint of a row that counts as open from now on; NULL where nothing compares it. '
    'For tracking triggers only.';
COMMENT ON FUNCTION sync_track_stale(uuid, uuid) IS
    'Whether the ledger holds another fingerprint of a row than the one just made; '
    'where it holds the same, the row isn''t open any more. For tracking triggers only.';
COMMENT ON FUNCTION sync_track_open() IS 'How many rows are open; they are counted from zero again. For tracking triggers only.';
COMMENT ON FUNCTION sync_rows_of(oid, oid, text, uuid, text, text[]) IS
    'Runs a query of three columns of a relation with the rights of that role, and nothing that could run later with '
    'others. For the extension''s own functions only.';
COMMENT ON FUNCTION sync_scan_of(oid, oid, text, boolean, uuid, text, text) IS
    'Match keys and fingerprints of what a query of keys and texts of a relation returns, '
    'run with the rights of that role. For the extension''s own functions only.';
COMMENT ON FUNCTION sync_write_as(oid, text, text, uuid, text[], anyarray, text[], text[], bigint[]) IS
    'Calls a layout''s writing function with the rights of that role, and fires what is deferred before those end. '
    'For the extension''s own functions only.';
COMMENT ON FUNCTION sync_fields(text) IS 'The fields of an entity type: name, kind, and whether a difference in it is a change.';
COMMENT ON FUNCTION sync_kind_fields(text, text) IS
    'The compared fields that connectors of a kind deliver; NULL where they have no such records.';
COMMENT ON FUNCTION sync_kind_carried(text, text) IS
    'The fields that connectors of a kind bring along without their being compared: written with the others.';
COMMENT ON FUNCTION sync_spec(text) IS 'Version and fields of a comparison in short: differs where fingerprints have to be made anew.';
COMMENT ON FUNCTION sync_mapped(text, jsonb, jsonb) IS 'A remote record with the mapped fields of sync_mappings set.';
COMMENT ON FUNCTION sync_apply(text, text, boolean, boolean, boolean, uuid, boolean, boolean, boolean) IS
    'Writes the delta of an entity type (or all of them, in the order of their dependencies) to the local relation, '
    'a thousand records at a time, through a worker. What the relation refuses stays out with its reason, '
    'and is tried again next time. preview_id binds it to exactly what that preview showed; '
    'dry_run writes, reports, and rolls back. Many deletions or updates at once are refused (23514) unless '
    'allow_mass_delete, allow_mass_update. {syncId, historyId, syncType, entityType, status: completed, '
    'partial_success or failed, dryRun, include, created, updated, deleted, failed, unequal, kept, errors, warnings, '
    'durationMs}; of all: {syncType, status, entityTypes: {name: such a reply}}.';
COMMENT ON FUNCTION sync_undo(uuid) IS
    'Takes back what one sync_apply wrote, in one transaction, through a worker: new rows are removed, '
    'updated and deleted ones are as they were, and so are links that ended. '
    'Rows that changed since are left, and listed in refusals. '
    '{historyId, undoes, syncType, entityType, status: completed or partial_success, removed, restored, relinked, '
    'refused, refusals: [{localId, externalId, operation, reason}]}.';
COMMENT ON FUNCTION sync_caller() IS
    'The role that the session acts as: SET ROLE counts, SECURITY DEFINER functions around the call don''t. '
    'While code of a bound relation runs, the role that bound it.';
