-- What can't be run again: columns, types, indexes, data; and drops of what can't be replaced.

-- Counts are int and durations double precision: drivers hand bigint and numeric over as text.
DROP VIEW sync_progress_live;
DROP VIEW sync_state;
DROP FUNCTION sync_list_add_from_pattern(uuid, text, text, text, text, int, interval);

-- What no int holds was nobody's count; parts of it still have to fit into their total.
ALTER TABLE sync_progress DISABLE TRIGGER USER;
UPDATE sync_progress
SET total_items = 2147483647, processed_count = least(processed_count, 700000000), failed_count = least(failed_count, 700000000),
    skipped_count = least(skipped_count, 700000000)
WHERE total_items > 2147483647;
ALTER TABLE sync_progress ENABLE TRIGGER USER;
ALTER TABLE sync_progress
    DROP CONSTRAINT sync_progress_counts,
    ALTER total_items TYPE int,
    ALTER processed_count TYPE int,
    ALTER failed_count TYPE int,
    ALTER skipped_count TYPE int,
    ALTER window_count TYPE int USING least(window_count, 2147483647),
    ALTER next_window_count TYPE int USING least(next_window_count, 2147483647),
    ALTER elapsed_seconds TYPE double precision,
    ALTER speed_items_per_min TYPE double precision,
    ALTER eta_seconds TYPE double precision,
    ALTER percent_complete TYPE double precision,
    ADD CONSTRAINT sync_progress_counts CHECK (processed_count::bigint + failed_count + skipped_count <= total_items);
ALTER TABLE sync_history
    ALTER items_processed TYPE int USING least(items_processed, 2147483647),
    ALTER items_created TYPE int USING least(items_created, 2147483647),
    ALTER items_updated TYPE int USING least(items_updated, 2147483647),
    ALTER items_deleted TYPE int USING least(items_deleted, 2147483647),
    ALTER items_failed TYPE int USING least(items_failed, 2147483647),
    ALTER duration_ms TYPE int USING least(duration_ms, 2147483647);
ALTER TABLE sync_activity_log
    ALTER record_count TYPE int USING greatest(least(record_count, 2147483647), -2147483647),
    -- NaN is above all numbers
    ALTER duration_seconds TYPE double precision USING CASE WHEN abs(duration_seconds) < 1e300 THEN duration_seconds END;
ALTER TABLE sync_metadata
    ALTER last_sync_count TYPE int USING least(last_sync_count, 2147483647),
    ALTER hidden_count TYPE int USING least(hidden_count, 2147483647);

-- What no listing shows is remembered, and what is missing and where windows don't meet is told with more.
ALTER TABLE sync_metadata ADD COLUMN unlisted jsonb NOT NULL DEFAULT '{}';
DROP FUNCTION sync_sweep_gaps(uuid, int, smallint);
DROP FUNCTION sync_missing(uuid, int, smallint, text[]);

-- What a window is of stood as text, name[:parent][@seconds].
DROP FUNCTION sync_live_count(uuid, int, smallint, text);
DROP FUNCTION sync_sweep_seams(uuid, int, smallint, text);
DROP FUNCTION sync_sweep_unshown(uuid, int, smallint, text, boolean);
DROP FUNCTION sync_sweep_childless(uuid, int, smallint, text, text[]);
ALTER TABLE sync_sweep
    DROP CONSTRAINT sync_sweep_pkey,
    ADD COLUMN parent text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN since timestamptz NOT NULL DEFAULT '-infinity';
UPDATE sync_sweep
SET list = substring(list from '^[^:@]*'),
    parent = coalesce(substring(list from ':([^@]*)'), ''),
    since = coalesce(to_timestamp(substring(list from '@(-?[0-9]+)$')::double precision), '-infinity')
WHERE list ~ '[:@]';
ALTER TABLE sync_sweep ADD PRIMARY KEY (org_id, connector, entity, list, parent, since, position);

-- A worker's row of progress is known as that, and not by its phase. An apply was logged a second time by its progress.
ALTER TABLE sync_progress ADD is_run boolean NOT NULL DEFAULT false;
DELETE FROM sync_activity_log l
USING sync_activity_log run
WHERE l.activity_type = 'sync_completed' AND run.org_id = l.org_id AND run.sync_id = l.sync_id
  AND run.activity_type IN ('apply', 'delta', 'full', 'scheduled');

-- Runs of which records failed were logged as completed.
UPDATE sync_activity_log l
SET status = CASE WHEN n.well = 0 THEN 'failed' ELSE 'completed_with_errors' END,
    error_message = CASE l.activity_type WHEN 'pull' THEN format('records that could not be read: %s', n.failed)
                                        ELSE format('%s of %s records failed', n.failed, n.failed + n.well) END
FROM (SELECT x.org_id, x.id,
             coalesce((x.details ->> 'failed')::bigint, (x.details ->> 'itemsFailed')::bigint,
                      (x.details ->> 'unreadable')::bigint) AS failed,
             CASE x.activity_type
                 WHEN 'apply' THEN (x.details ->> 'created')::bigint + (x.details ->> 'updated')::bigint + (x.details ->> 'deleted')::bigint
                 WHEN 'pull' THEN greatest(1, (x.details ->> 'records')::bigint)
                 ELSE (x.details ->> 'itemsProcessed')::bigint - (x.details ->> 'itemsFailed')::bigint END AS well
      FROM sync_activity_log x
      WHERE x.activity_type IN ('apply', 'pull', 'delta', 'full', 'scheduled') AND x.status = 'completed') n
WHERE l.org_id = n.org_id AND l.id = n.id AND n.failed > 0;

-- One spelling of entity types.
ALTER TABLE sync_progress DISABLE TRIGGER USER;
UPDATE sync_progress p SET entity_type = e.name FROM sync_entity e WHERE lower(btrim(p.entity_type)) = e.singular;
ALTER TABLE sync_progress ENABLE TRIGGER USER;
UPDATE sync_activity_log l SET entity_type = e.name FROM sync_entity e WHERE lower(btrim(l.entity_type)) = e.singular;

-- Previews are told from what apps have written by their id, which only a worker can set: those that are there are made anew.
ALTER TABLE sync_preview_cache ADD preview_id uuid;

-- What no apply has understood so far: it went by the defaults. Of two spellings, the one that was written last is kept.
ALTER TABLE sync_selective_config DROP CONSTRAINT config_is_of_booleans;
DELETE FROM sync_selective_config s WHERE NOT EXISTS (SELECT FROM sync_entity e WHERE lower(btrim(s.entity_type)) IN (e.name, e.singular));
DELETE FROM sync_selective_config s
USING sync_selective_config newer, sync_entity e
WHERE newer.org_id = s.org_id AND lower(btrim(s.entity_type)) IN (e.name, e.singular)
  AND lower(btrim(newer.entity_type)) IN (e.name, e.singular)
  AND (newer.updated_at, newer.id) > (s.updated_at, s.id);
UPDATE sync_selective_config s
SET entity_type = e.name,
    config = (SELECT coalesce(jsonb_object_agg(c.key, c.value), '{}') FROM jsonb_each(s.config) c
              WHERE c.key IN ('includeNew', 'includeUpdated', 'includeDeleted'))
FROM sync_entity e
WHERE lower(btrim(s.entity_type)) IN (e.name, e.singular);

-- A total that is left out isn't known yet; 0 is nothing to do.
ALTER TABLE sync_progress ALTER total_items DROP DEFAULT;
CREATE INDEX sync_progress_open ON sync_progress (org_id) WHERE completed_at IS NULL;

-- What a type makes of a value counts as it: the ledger's change looks at one more column. Views and functions that name the
-- change are made again below.
DROP VIEW sync_changes;
DROP FUNCTION sync_pending_change(sync_record, boolean);
DROP FUNCTION sync_is_held(sync_record);
DROP FUNCTION sync_record_state(sync_record);
ALTER TABLE sync_record DROP COLUMN change;
DROP FUNCTION sync_change(boolean, text, uuid, uuid);
CREATE FUNCTION sync_open_change(
    ambiguous boolean, external_id text, remote_fingerprint uuid, local_fingerprint uuid, settled uuid) RETURNS text
    IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'sync_open_change_wrapper';
ALTER TABLE sync_record ADD COLUMN settled uuid;
ALTER TABLE sync_record ADD COLUMN change text COLLATE "C"
    GENERATED ALWAYS AS (sync_open_change(ambiguous, external_id, remote_fingerprint, local_fingerprint, settled)) STORED;
CREATE INDEX sync_record_change ON sync_record (org_id, entity, connector, change, id)
    INCLUDE (external_id, local_id, match_key) WHERE change IS NOT NULL;

-- Parts of a preview are of one class now. What was shown before can't be applied as it was shown (40001): it is kept for an hour.
DELETE FROM sync_preview_item;
ALTER TABLE sync_preview_item
    ADD COLUMN change text NOT NULL,
    ALTER states DROP NOT NULL;

-- The delta is made as it is fetched.
CREATE TYPE sync_delta_row AS (
    id bigint,
    change text,
    external_id text,
    local_id text,
    match_key text,
    changed_fields jsonb,
    remote jsonb,
    local jsonb
);

-- what was gathered before would stay
ALTER TABLE sync_record ALTER COLUMN org_id SET STATISTICS 0;
ALTER TABLE sync_list ALTER COLUMN org_id SET STATISTICS 0;
DELETE FROM pg_statistic s USING pg_attribute a
WHERE a.attrelid IN ('@extschema@.sync_record'::regclass, '@extschema@.sync_list'::regclass) AND a.attname = 'org_id'
  AND s.starelid = a.attrelid AND s.staattnum = a.attnum;
CREATE INDEX sync_list_in_order ON sync_list (org_id, (-priority), created_at, id) WHERE is_active;
CREATE INDEX sync_list_due_in_order ON sync_list (org_id, (-priority), next_due_at, id) WHERE is_active AND next_due_at IS NOT NULL;

-- What is nested deeper than is taken now stays as a text.
CREATE FUNCTION sync_depth(value jsonb) RETURNS int
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'sync_depth_wrapper';
UPDATE sync_list SET metadata = to_jsonb(metadata::text) WHERE sync_depth(metadata) > 64;
UPDATE sync_activity_log SET details = to_jsonb(details::text) WHERE sync_depth(details) > 64;
UPDATE sync_history SET metadata = to_jsonb(metadata::text) WHERE sync_depth(metadata) > 64;

-- Bounds that are new: what was said to happen after all times happens now, what was before them long ago.
UPDATE sync_history SET user_id = left(user_id, 255) WHERE length(user_id) > 255;
DO $$
DECLARE
    log regclass;
BEGIN
    FOREACH log IN ARRAY '{sync_history,sync_activity_log}'::regclass[] LOOP
        EXECUTE format('UPDATE %s
                        SET created_at = CASE WHEN created_at < ''0001-01-01 00:00+00'' THEN timestamptz ''0001-01-01 00:00+00''
                                              ELSE now() END
                        WHERE created_at < ''0001-01-01 00:00+00'' OR created_at >= ''10000-01-01 00:00+00''', log);
    END LOOP;
END
$$;
-- what was finite may be out of the years that are taken now
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT k.conrelid::regclass AS relation, k.conname AS bound, a.attname AS name
        FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
        WHERE k.conrelid = ANY ('{sync_preview_cache,sync_selective_config,sync_list,saved_search_patterns}'::regclass[])
          AND k.conname = a.attname || '_is_finite' AND a.atttypid = 'timestamptz'::regtype
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.relation, c.bound);
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', c.relation);
        EXECUTE format('UPDATE %1$s
                        SET %2$I = CASE WHEN %2$I < ''0001-01-01 00:00+00'' THEN timestamptz ''0001-01-01 00:00+00''
                                        ELSE timestamptz ''9999-12-31 00:00+00'' END
                        WHERE %2$I < ''0001-01-01 00:00+00'' OR %2$I >= ''10000-01-01 00:00+00''', c.relation, c.name);
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', c.relation);
    END LOOP;
END
$$;
UPDATE sync_preview_cache
SET expires_at = CASE WHEN expires_at < '0001-01-01 00:00+00' THEN timestamptz '0001-01-01 00:00+00' ELSE 'infinity' END
WHERE expires_at < '0001-01-01 00:00+00' OR expires_at >= '10000-01-01 00:00+00' AND isfinite(expires_at);

-- What an apply is going to do is noted at its beginning, and it is told of many updates; counts may be estimates.
DROP FUNCTION sync_apply(text, text, boolean, boolean, boolean, uuid, boolean, boolean);
DROP FUNCTION sync_apply_batch(uuid, int, smallint, text, bigint, bigint, int, uuid, uuid);
DROP FUNCTION sync_count_pending(uuid, integration_connector, sync_entity, uuid);
DROP FUNCTION sync_delta_class(uuid, integration_connector, sync_entity, text, bigint);
DROP FUNCTION sync_delta_rows(uuid, integration_connector, sync_entity, text, bigint);
DROP FUNCTION sync_delta_summary(uuid, integration_connector, sync_entity, bigint);
DROP FUNCTION sync_keep_preview(uuid, integration_connector, sync_entity, uuid, timestamptz);

-- A role may be granted its user's rows alone.
ALTER TABLE sync_access ADD COLUMN own_rows boolean NOT NULL DEFAULT false;
DROP FUNCTION sync_role_has(oid, uuid, text);
DROP FUNCTION sync_grant(regrole, uuid, text);
DROP FUNCTION sync_pattern_of(uuid, uuid);
DROP FUNCTION sync_all(text, text);

-- Items keep their type as it was written, and say what they are of; how the last attempt went is one of three words, and what
-- it was stands beside.
DROP FUNCTION sync_list_page(uuid, uuid[], text, timestamptz, int, timestamptz, uuid, int);
DROP FUNCTION sync_item_type(text);
DROP FUNCTION sync_list_check_platform(uuid, text);
DROP FUNCTION sync_list_apply(uuid, int, smallint, text[], text[], boolean, uuid);
DROP FUNCTION sync_apply_ids(sync_comparison, text, bigint[], uuid);
DROP FUNCTION sync_apply_chunk(sync_comparison, text, bigint[], uuid);
CREATE FUNCTION sync_item_entity(item_type text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'sync_item_entity_wrapper';
CREATE FUNCTION sync_item_is_stock(item_type text) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'sync_item_is_stock_wrapper';
DROP INDEX sync_list_item;
DROP TRIGGER sync_list_check_update ON sync_list;
ALTER TABLE sync_list DISABLE TRIGGER USER;
ALTER TABLE sync_list
    ADD COLUMN entity_type text GENERATED ALWAYS AS (sync_item_entity(item_type)) STORED,
    ADD COLUMN is_stock boolean GENERATED ALWAYS AS (sync_item_is_stock(item_type)) STORED,
    ADD COLUMN fields text[] CHECK (cardinality(fields) > 0),
    ADD COLUMN planned_at timestamptz,
    ADD COLUMN last_outcome text,
    ALTER last_sync_status SET DEFAULT 'pending';
UPDATE sync_list
SET last_outcome = last_sync_status,
    last_sync_status = CASE WHEN last_sync_status = 'failed' THEN 'failed'
                            WHEN last_sync_status IN ('created', 'updated', 'unchanged') THEN 'success'
                            ELSE 'pending' END;
ALTER TABLE sync_list
    ENABLE TRIGGER USER,
    ADD CONSTRAINT sync_list_last_sync_status_check CHECK (last_sync_status IN ('pending', 'success', 'failed'));
CREATE UNIQUE INDEX sync_list_item ON sync_list
    (org_id, entity_type, source_platform, source_id, target_platform, is_stock, coalesce(user_id, ''));

-- Contacts have tags.
ALTER TABLE sync_customers ADD COLUMN tags jsonb;

-- Organisations stand in line for a place among the workers.
-- What is written while the binder may not read it is missed, and noted.
CREATE TABLE sync_layout_loss (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    layout int NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now()
);
SELECT pg_extension_config_dump('sync_layout_loss', '');

CREATE TABLE sync_waiting (
    org_id uuid PRIMARY KEY,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL
);

-- Whose rows are locked, and which relation is read, is another argument; why to wait is told as well.
DROP FUNCTION sync_take_tokens(uuid, int, int, double precision);
DROP FUNCTION sync_list_targets(uuid, uuid[]);
DROP FUNCTION sync_lock_local(int);
DROP FUNCTION sync_rows_as(oid, text, uuid, text, text[]);
DROP FUNCTION sync_scan_as(oid, text, boolean, uuid, text, text);

-- Links that an apply ends can be undone.
ALTER TABLE sync_apply_image
    DROP CONSTRAINT sync_apply_image_operation_check,
    ADD CONSTRAINT sync_apply_image_operation_check CHECK (operation IN ('insert', 'update', 'delete', 'unlink'));

-- A relation may go with anything that is dropped, not only by the commands that were named.
DROP EVENT TRIGGER sync_after_drop;
CREATE EVENT TRIGGER sync_after_drop ON sql_drop EXECUTE FUNCTION sync_after_drop();

-- What it was told, and nobody has understood, had no effect.
UPDATE integration_connector SET settings = settings - 'deleted_scope'
WHERE (settings ->> 'deleted_scope' IN ('linked', 'all')) IS NOT TRUE AND settings ? 'deleted_scope';
