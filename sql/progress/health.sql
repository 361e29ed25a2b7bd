-- Health, resets, and the proof that the ledger is right.

-- One row per connector and entity type that it is for. What a crash or a cancel left in progress shows as interrupted.
CREATE VIEW sync_state WITH (security_barrier) AS
SELECT c.org_id, c.name AS sync_type, t.entity_type, c.kind, c.is_active,
       CASE
           WHEN run.pid IS NOT NULL THEN 'in_progress'
           WHEN m.sync_status = 'in_progress' THEN 'interrupted'
           ELSE coalesce(m.sync_status, 'pending')
       END AS status,
       m.last_sync_timestamp AS last_sync_at,
       m.last_full_at,
       m.last_full_at + current_setting('sync_ext.full_pass_interval', true)::interval AS next_full_at,
       coalesce(m.last_sync_count, 0) AS records,
       m.error_message AS error,
       open.new, open.updated, open.deleted, open.ambiguous,
       m.checkpoint IS NOT NULL AS resumable,
       run.pid,
       (SELECT sync_count(count(*)) FROM sync_webhook_delivery w
        WHERE w.org_id = c.org_id AND w.connector = c.number AND w.entity = e.number AND w.status = 'noted') AS hints,
       (SELECT sync_count(count(*)) FROM jsonb_object_keys(m.unreadable)) AS unreadable,
       open.is_estimate AS estimated
FROM integration_connector c
CROSS JOIN LATERAL unnest(sync_connector_entities(c.kind, c.settings)) WITH ORDINALITY AS t (entity_type, place)
JOIN sync_entity e ON e.name = t.entity_type
LEFT JOIN sync_metadata m ON m.org_id = c.org_id AND m.sync_type = c.name AND m.data_type = t.entity_type
LEFT JOIN LATERAL (
    SELECT r.pid FROM sync_run r
    WHERE r.org_id = c.org_id AND r.connector = c.number AND r.entity_type = t.entity_type
      AND r.kind IN ('pull', 'preview') AND r.status = 'running' AND sync_worker_alive(r.pid)
    LIMIT 1) run ON true
CROSS JOIN LATERAL (
    SELECT max(o.n) FILTER (WHERE t.class = 'new') AS new,
           max(o.n) FILTER (WHERE t.class = 'updated') AS updated,
           max(o.n) FILTER (WHERE t.class = 'deleted') AS deleted,
           max(o.n) FILTER (WHERE t.class = 'ambiguous') AS ambiguous,
           bool_or(o.is_estimate) AS is_estimate
    FROM unnest('{new,updated,deleted,ambiguous}'::text[]) t (class)
    CROSS JOIN LATERAL sync_count_open(c.org_id, c.number, e.number, t.class) o) open
WHERE c.org_id = (SELECT sync_current_org())
ORDER BY c.name, t.place;
COMMENT ON VIEW sync_state IS
    'Every entity type that a connector is for, of every connector of the current organisation: how its last pull ended, '
    'when everything is read again, and how many changes are open.';
COMMENT ON COLUMN sync_state.status IS
    'pending (never pulled, or reset), in_progress, interrupted (a crash or a cancel ended it; the next pull goes on), '
    'success, partial (not all could be read: see unreadable, and the pull''s warnings) or failed.';
COMMENT ON COLUMN sync_state.last_sync_at IS
    'The remote''s clock when the last complete pull began: what changed until then has been read.';
COMMENT ON COLUMN sync_state.next_full_at IS
    'From then on, the next pull reads everything and not only what changed; NULL where nothing was read yet.';
COMMENT ON COLUMN sync_state.records IS 'Records that the last complete pull left in the ledger.';
COMMENT ON COLUMN sync_state.new IS 'Open changes, as compute_delta lists them.';
COMMENT ON COLUMN sync_state.estimated IS 'At least one of the four numbers is above 20,000, and an estimate.';
COMMENT ON COLUMN sync_state.resumable IS 'The next pull goes on from a checkpoint.';
COMMENT ON COLUMN sync_state.hints IS 'Records that webhooks have named and no pull has read yet.';
COMMENT ON COLUMN sync_state.unreadable IS
    'Records that the last pull met and could not read: they are kept as they were. sync_health names them.';
COMMENT ON COLUMN sync_state.pid IS 'The worker that is at it.';

-- What is no longer under way must not say so. The join on updated_at leaves alone what a new run has taken up
-- since this statement began.
CREATE FUNCTION sync_note_interrupted(org uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    -- who was there when this transaction looked first says nothing of who has come since
    PERFORM pg_stat_clear_snapshot();
    WITH left_over AS (
        UPDATE sync_run r SET status = 'interrupted', finished_at = clock_timestamp()
        WHERE r.org_id = org AND r.status = 'running' AND NOT sync_worker_alive(r.pid)
        RETURNING r.*),
    histories AS (
        UPDATE sync_history h
        SET status = 'failed',
            metadata = h.metadata || '{"error": {"sqlstate": "57P01", "message": "the worker ended before the run was done"}}'
        FROM left_over l
        WHERE h.org_id = l.org_id AND h.created_at >= l.started_at AND h.metadata ->> 'syncId' = l.sync_id
          AND h.status = 'partial_success' AND h.items_processed = 0)
    INSERT INTO sync_activity_log (org_id, sync_id, entity_type, activity_type, status, details, error_message,
                                   record_count, duration_seconds, user_id)
    SELECT l.org_id, l.sync_id, l.entity_type, l.kind, 'failed', '{"interrupted": true}', 'the worker ended before the run was done', 0,
           extract(epoch FROM l.heartbeat_at - l.started_at), l.user_id
    FROM left_over l;

    UPDATE sync_progress p SET status = 'interrupted'
    FROM sync_run r
    WHERE r.org_id = org AND r.status = 'interrupted' AND r.finished_at > now() - interval '1 day'
      AND p.org_id = r.org_id AND p.sync_id = r.sync_id AND p.completed_at IS NULL;

    UPDATE sync_metadata m
    SET sync_status = 'failed', updated_at = clock_timestamp(),
        error_message = 'the last pull ended before it was done; the next one goes on from its checkpoint'
    FROM (SELECT x.sync_type, x.data_type, x.updated_at
          FROM sync_metadata x
          WHERE x.org_id = org AND x.sync_status = 'in_progress'
            AND NOT EXISTS (SELECT FROM sync_run r
                            WHERE r.org_id = org AND r.sync_type = x.sync_type AND r.entity_type = x.data_type
                              AND r.status = 'running')) left_over
    WHERE m.org_id = org AND m.sync_type = left_over.sync_type AND m.data_type = left_over.data_type
      AND m.sync_status = 'in_progress' AND m.updated_at = left_over.updated_at;
END
$$;
COMMENT ON FUNCTION sync_note_interrupted(uuid) IS
    'Marks runs, progress and entity types of an organisation that a crash or a cancel left in progress, '
    'and logs runs of which nobody has noted the end.';

CREATE FUNCTION sync_reset(sync_type text, entity_type text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('operate');
    c integration_connector := sync_connector_of(org, sync_reset.sync_type);
    wanted text[] := sync_kind_entities(c.kind);
    asked text;
    busy text;
BEGIN
    IF sync_reset.entity_type IS NOT NULL THEN
        SELECT e.name INTO asked FROM sync_entity e
        WHERE lower(btrim(sync_reset.entity_type)) IN (e.name, e.singular) AND e.name = ANY (wanted);
        IF asked IS NULL THEN
            RAISE EXCEPTION 'connector "%" has no entity type "%"', c.name, sync_reset.entity_type USING ERRCODE = '22023',
                HINT = format('It has: %s.', array_to_string(wanted, ', '));
        END IF;
        wanted := ARRAY[asked];
    END IF;
    -- a worker would write its checkpoint anew, and remember a pull of which half the proof is gone
    PERFORM pg_stat_clear_snapshot();
    SELECT r.entity_type INTO busy FROM sync_run r
    WHERE r.org_id = org AND r.connector = c.number AND r.entity_type = ANY (wanted)
      AND r.kind IN ('pull', 'preview') AND r.status = 'running' AND sync_worker_alive(r.pid)
    LIMIT 1;
    IF busy IS NOT NULL THEN
        RAISE EXCEPTION 'a pull of % is under way', busy USING ERRCODE = '55006',
            HINT = 'Wait until it has ended (sync_workers shows it), or cancel it, then call sync_reset again.';
    END IF;
    DELETE FROM sync_sweep s USING sync_entity e
    WHERE s.org_id = org AND s.connector = c.number AND s.entity = e.number AND e.name = ANY (wanted);
    DELETE FROM sync_preview_cache p
    WHERE p.org_id = org AND p.sync_type = c.name AND p.entity_type = ANY (wanted) AND p.preview_id IS NOT NULL;
    UPDATE sync_metadata m
    SET sync_status = 'pending', last_sync_timestamp = NULL, last_sync_count = 0, error_message = NULL,
        checkpoint = NULL, last_full_at = NULL, unreadable = '{}', unlisted = '{}', updated_at = now()
    WHERE m.org_id = org AND m.sync_type = c.name AND m.data_type = ANY (wanted);
    PERFORM sync_log(org, 'reset', asked, jsonb_build_object('syncType', c.name, 'entityTypes', wanted));
    RETURN jsonb_build_object('syncType', c.name, 'entityType', coalesce(asked, 'all'), 'entityTypes', to_jsonb(wanted),
                              'status', 'pending');
END
$$;
COMMENT ON FUNCTION sync_reset(text, text) IS
    'Forgets how far pulls of an entity type came, or of all (NULL): the next one reads everything. '
    'Records, links and local tables stay. Refused while such a pull is under way (55006). '
    '{syncType, entityType, entityTypes, status: pending}.';

CREATE FUNCTION sync_health() RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('read');
    connectors jsonb;
    types jsonb;
    unhealthy bigint;
    ill bigint;
    broken jsonb := (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'entityType', b.entity_type, 'relation', b.relation::text, 'reason', b.broken)), '[]')
        FROM sync_bindings b WHERE b.org_id = org AND b.broken IS NOT NULL);
BEGIN
    SELECT coalesce(jsonb_agg(jsonb_build_object('syncType', c.name, 'kind', c.kind, 'isActive', c.is_active,
                                                 'lastOkAt', c.last_ok_at, 'lastError', c.last_error) ORDER BY c.name), '[]'),
           count(*) FILTER (WHERE c.last_error IS NOT NULL)
    INTO connectors, unhealthy
    FROM integration_connector c WHERE c.org_id = org;

    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'syncType', s.sync_type, 'entityType', s.entity_type, 'status', s.status,
               'lastSync', s.last_sync_at, 'lastFull', s.last_full_at, 'nextFull', s.next_full_at,
               'records', s.records, 'error', s.error, 'resumable', s.resumable, 'hints', s.hints,
               'unreadable', jsonb_build_object('count', s.unreadable, 'records', (
                   SELECT coalesce(jsonb_agg(jsonb_build_object('id', u.key, 'reason', u.value -> 'reason')), '[]')
                   FROM (SELECT * FROM jsonb_each(m.unreadable) LIMIT 20) u)),
               'changes', jsonb_build_object('new', s.new, 'updated', s.updated, 'deleted', s.deleted,
                                             'ambiguous', s.ambiguous)
                          || CASE WHEN s.estimated THEN '{"estimated": true}' ELSE '{}' END::jsonb)), '[]'),
           count(*) FILTER (WHERE s.status IN ('failed', 'interrupted', 'partial'))
    INTO types, ill
    FROM sync_state s
    LEFT JOIN sync_metadata m ON m.org_id = s.org_id AND m.sync_type = s.sync_type AND m.data_type = s.entity_type
    WHERE s.org_id = org;

    RETURN jsonb_build_object(
        'status', CASE WHEN unhealthy + ill = 0 AND broken = '[]' THEN 'ok' ELSE 'degraded' END,
        'connectors', connectors,
        'entityTypes', types,
        'brokenBindings', broken,
        'workers', (SELECT count(*) FROM sync_run r WHERE r.org_id = org AND r.status = 'running' AND sync_worker_alive(r.pid)),
        'interrupted', (SELECT count(*) FROM sync_run r WHERE r.org_id = org AND r.status = 'running' AND NOT sync_worker_alive(r.pid)),
        'checkedAt', now());
END
$$;
COMMENT ON FUNCTION sync_health() IS
    'State of the connectors, of every entity type of theirs (as sync_state shows it) and of the bindings and workers of '
    'the organisation: ok or degraded, with the reasons. {status, connectors: [...], entityTypes: [...], '
    'brokenBindings: [{entityType, relation, reason}], workers, interrupted, checkedAt}.';

-- Everything is computed anew from the records themselves and compared with what the ledger says.
CREATE FUNCTION sync_verify(sync_type text, entity_type text, repair boolean DEFAULT false)
    RETURNS TABLE (problem text, external_id text, local_id text, stored uuid, actual uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
    org uuid := sync_require(CASE WHEN repair THEN 'operate' ELSE 'read' END);
    c integration_connector := sync_connector_of(org, sync_verify.sync_type);
    e sync_entity := sync_entity_of(sync_verify.entity_type);
    k sync_comparison;
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = c.number AND x.entity = e.number;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM sync_layout_usable(k.layout);
    RETURN QUERY EXECUTE format($query$
        WITH ledger AS (
            SELECT r.* FROM sync_record r WHERE r.org_id = $1 AND r.connector = $2 AND r.entity = $3)
        SELECT 'remote fingerprint differs from the stored record', r.external_id::text, r.local_id::text,
               r.remote_fingerprint, sync_fingerprint($4, r.remote)
        FROM ledger r
        WHERE r.remote_fingerprint IS NOT NULL
          AND r.remote_fingerprint IS DISTINCT FROM sync_fingerprint($4, r.remote)
        UNION ALL
        SELECT CASE WHEN r.id IS NULL THEN 'local row is missing from the ledger'
                    WHEN a.local_id IS NULL THEN 'local row of the ledger does not exist'
                    WHEN r.local_fingerprint IS DISTINCT FROM a.fingerprint THEN 'local fingerprint differs from the local row'
                    ELSE 'local match key differs from the local row' END,
               r.external_id::text, coalesce(r.local_id, a.local_id)::text, r.local_fingerprint, a.fingerprint
        FROM (SELECT * FROM ledger WHERE ledger.local_id IS NOT NULL) r
        FULL JOIN %s a ON a.local_id = r.local_id
        WHERE r.local_fingerprint IS DISTINCT FROM a.fingerprint OR r.local_match_key IS DISTINCT FROM a.match_key
        UNION ALL
        SELECT 'agreed fingerprint is missing although both sides are equal', r.external_id::text, r.local_id::text,
               r.agreed_fingerprint, r.remote_fingerprint
        FROM ledger r
        WHERE r.remote_fingerprint = r.local_fingerprint AND r.agreed_fingerprint IS DISTINCT FROM r.remote_fingerprint
        UNION ALL
        SELECT 'a row that stands for neither side', r.external_id::text, r.local_id::text, NULL, NULL
        FROM ledger r
        WHERE r.remote_fingerprint IS NULL AND r.local_fingerprint IS NULL
        $query$, sync_scan_source(k.layout))
    USING org, c.number, e.number, k.spec;
    IF repair AND FOUND THEN
        PERFORM sync_hold_runs(org, c, e);
        DELETE FROM sync_record r
        WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number
          AND r.remote_fingerprint IS NULL AND r.local_fingerprint IS NULL;
        PERFORM sync_refingerprint(org, c.number, e.number);
        DELETE FROM sync_preview_cache p
        WHERE p.org_id = org AND p.sync_type = c.name AND p.entity_type = e.name AND p.preview_id IS NOT NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION sync_verify(text, text, boolean) IS
    'Recomputes the ledger from the records and the local relation and returns every difference, '
    'and mends it where told to. No row: the ledger is right.';
