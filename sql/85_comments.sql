-- What the functions in Rust are; the ones in SQL have their comments beside them.

COMMENT ON FUNCTION sync_connect(text, text, jsonb, text, jsonb) IS 'Makes a connector, or gives the one of that name another address, other credentials and settings; seals the credentials. Asks nobody: sync_test_connection does. Returns its id.';
COMMENT ON FUNCTION sync_test_connection(text) IS 'Asks the remote who it is and what the key may read: {ok, syncType, kind, version, authMode, clockSkewSeconds, latencyMs, entities, warnings}.';
COMMENT ON FUNCTION sync_pull(text, text, text) IS 'Reads a remote entity type into the ledger through a worker: what changed (incremental), or everything (full). Local tables stay as they are. Returns counts.';
COMMENT ON FUNCTION sync_all(text, text) IS 'Pulls every entity type of a connector, up to three at once, each in a worker of its own: {syncType, status: completed, partial or failed, entityTypes: {name: what sync_pull returns, or error}, startedAt, durationMs}. A failure that passes is repeated; one entity type''s failure leaves the others alone and raises nothing.';
COMMENT ON FUNCTION sync_ingest_webhook(text, jsonb, bytea) IS 'Takes a webhook''s request, headers and raw body, as the app received it. Checks who sent it (42501 where the signature is wrong), then reads the record it names from the remote into the ledger: {status: pulled, noted, duplicate, ignored or ping, ...}.';
COMMENT ON FUNCTION sync_kind_entities(text) IS 'The entity types that connectors of a kind have, in the order in which they are pulled.';
COMMENT ON FUNCTION sync_refresh_preview(text, text) IS 'Pulls what changed and computes the preview anew; what sync_preview calls where the cache has none. Returns its meta.';
COMMENT ON FUNCTION sync_fingerprint(text, jsonb) IS 'Fingerprint of a record''s compared fields (all of its entity type, or those named: customers:email,name), the same for both sides: equal fingerprints mean equal records. The first byte is the version.';
COMMENT ON FUNCTION sync_match_key(text, jsonb) IS 'What a record is matched by (e-mail, SKU, number), normalised; NULL where it has none.';
COMMENT ON FUNCTION sync_diff(text, jsonb, jsonb) IS 'The compared fields in which two records differ: {field: {old, new}}.';
COMMENT ON FUNCTION sync_delta(uuid[], text) IS 'Carries out items of the sync list (these, those of one type, or all that are active): what has changed in its source is written to its target. {syncHistoryId, status, itemsProcessed, itemsCreated, itemsUpdated, itemsUnchanged, itemsSkipped, itemsFailed, duration (ms), errors: [{itemId, error}]}.';
COMMENT ON FUNCTION sync_full(uuid[], text) IS 'The same as sync_delta, but writes every item, changed or not.';
COMMENT ON FUNCTION sync_scheduled() IS 'Carries out what is due in the sync lists of all organisations that the role may operate on, takes up pulls that a crash broke off or a webhook asked for, and does the maintenance: what pg_cron calls every minute. {status, totalUsers, totalItems, itemsProcessed, itemsSucceeded, itemsFailed, duration (ms), userResults, pulls, errors}; {status: skipped} while another call is at it.';
COMMENT ON FUNCTION sync_plain(text) IS 'A text as it is compared and searched: trimmed, entities decoded, Unicode NFC, in lower case.';
COMMENT ON FUNCTION sync_row_fingerprint(text, text, text[]) IS 'sync_fingerprint of a table''s row, given as the texts of its columns in the order of a layout''s names.';
COMMENT ON FUNCTION sync_row_match_key(text, text, text[]) IS 'sync_match_key of a table''s row, given as sync_row_fingerprint takes it.';
COMMENT ON FUNCTION sync_rows_as(oid, text, boolean, uuid, text, text[]) IS 'Runs a query of three columns with the rights of that role, and nothing that could run later with others. For the extension''s own functions only.';
COMMENT ON FUNCTION sync_fields(text) IS 'The fields of an entity type: name, kind, and whether a difference in it is a change.';
COMMENT ON FUNCTION sync_kind_fields(text, text) IS 'The compared fields that connectors of a kind deliver; NULL where they have no such records.';
COMMENT ON FUNCTION sync_spec(text) IS 'Version and fields of a comparison in short: differs where fingerprints have to be made anew.';
COMMENT ON FUNCTION sync_mapped(text, jsonb, jsonb) IS 'A remote record with the mapped fields of sync_mappings set.';
COMMENT ON FUNCTION sync_apply(text, text, boolean, boolean, boolean, uuid, boolean, boolean) IS 'Writes the delta of an entity type (or all of them, in the order of their dependencies) to the local relation, a thousand records at a time, through a worker. What the relation refuses stays out with its reason, and is tried again next time. preview_id binds it to exactly what that preview showed; dry_run writes, reports, and rolls back.';
COMMENT ON FUNCTION sync_caller() IS 'The role that the session acts as: SET ROLE counts, SECURITY DEFINER functions around the call don''t.';
