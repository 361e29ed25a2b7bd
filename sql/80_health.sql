-- Health, resets, and the proof that the ledger is right.

CREATE FUNCTION sync_reset(sync_type text, entity_type text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('operate');
    c integration_connector := sync_connector_of(org, sync_reset.sync_type);
    e sync_entity := sync_entity_of(sync_reset.entity_type);
BEGIN
    DELETE FROM sync_sweep s WHERE s.org_id = org AND s.connector = c.number AND s.entity = e.number;
    DELETE FROM sync_preview_cache p WHERE p.org_id = org AND p.sync_type = c.name AND p.entity_type IN (e.name, 'all');
    UPDATE sync_metadata m
    SET sync_status = 'pending', last_sync_timestamp = NULL, last_sync_count = 0, error_message = NULL,
        checkpoint = NULL, last_full_at = NULL, updated_at = now()
    WHERE m.org_id = org AND m.sync_type = c.name AND m.data_type = e.name;
    RETURN jsonb_build_object('syncType', c.name, 'entityType', e.name, 'status', 'pending');
END
$$;
COMMENT ON FUNCTION sync_reset(text, text) IS 'Forgets how far pulls came: the next one reads everything. Records, links and local tables stay.';

CREATE FUNCTION sync_health() RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('read');
    connectors jsonb;
    types jsonb;
    unhealthy bigint;
BEGIN
    SELECT coalesce(jsonb_agg(jsonb_build_object('syncType', c.name, 'kind', c.kind, 'isActive', c.is_active,
                                                 'lastOkAt', c.last_ok_at, 'lastError', c.last_error) ORDER BY c.name), '[]'),
           count(*) FILTER (WHERE c.last_error IS NOT NULL)
    INTO connectors, unhealthy
    FROM integration_connector c WHERE c.org_id = org;

    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'syncType', m.sync_type, 'entityType', m.data_type, 'status', m.sync_status,
               'lastSync', m.last_sync_timestamp, 'lastFull', m.last_full_at, 'records', m.last_sync_count,
               'error', m.error_message, 'resumable', m.checkpoint IS NOT NULL) ORDER BY m.sync_type, m.data_type), '[]'),
           unhealthy + count(*) FILTER (WHERE m.sync_status = 'failed')
    INTO types, unhealthy
    FROM sync_metadata m WHERE m.org_id = org;

    RETURN jsonb_build_object(
        'status', CASE WHEN unhealthy = 0 THEN 'ok' ELSE 'degraded' END,
        'connectors', connectors,
        'entityTypes', types,
        'workers', (SELECT count(*) FROM sync_run r WHERE r.org_id = org AND r.status = 'running' AND sync_worker_alive(r.pid)),
        'interrupted', (SELECT count(*) FROM sync_run r WHERE r.org_id = org AND r.status = 'running' AND NOT sync_worker_alive(r.pid)),
        'checkedAt', now());
END
$$;
COMMENT ON FUNCTION sync_health() IS 'State of the connectors, the pulls and the workers of the organisation: ok or degraded, with the reasons.';

-- Everything is computed anew from the records themselves and compared with what the ledger says.
CREATE FUNCTION sync_verify(sync_type text, entity_type text)
    RETURNS TABLE (problem text, external_id text, local_id text, stored uuid, actual uuid)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('read');
    c integration_connector := sync_connector_of(org, sync_verify.sync_type);
    e sync_entity := sync_entity_of(sync_verify.entity_type);
BEGIN
    RETURN QUERY EXECUTE format($query$
        WITH ledger AS (
            SELECT r.* FROM sync_record r WHERE r.org_id = $1 AND r.connector = $2 AND r.entity = $3),
        actual AS (
            SELECT l.id::text COLLATE "C" AS local_id, sync_fingerprint($4, to_jsonb(l)) AS fingerprint,
                   sync_match_key($4, to_jsonb(l)) COLLATE "C" AS key
            FROM %s.%I l WHERE l.org_id = $1)
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
        FULL JOIN actual a ON a.local_id = r.local_id
        WHERE r.local_fingerprint IS DISTINCT FROM a.fingerprint OR r.local_match_key IS DISTINCT FROM a.key
        UNION ALL
        SELECT 'agreed fingerprint is missing although both sides are equal', r.external_id::text, r.local_id::text,
               r.agreed_fingerprint, r.remote_fingerprint
        FROM ledger r
        WHERE r.remote_fingerprint = r.local_fingerprint AND r.agreed_fingerprint IS DISTINCT FROM r.remote_fingerprint
        UNION ALL
        SELECT 'a row that stands for neither side', r.external_id::text, r.local_id::text, NULL, NULL
        FROM ledger r
        WHERE r.remote_fingerprint IS NULL AND r.local_fingerprint IS NULL
        $query$, '@extschema@', e.local_table)
    USING org, c.number, e.number, e.name;
END
$$;
COMMENT ON FUNCTION sync_verify(text, text) IS 'Recomputes the ledger from the records and the local table and returns every difference. No row: the ledger is right.';

-- A new version of the fingerprint, or another field list, must not look like a change of every record.
CREATE FUNCTION sync_refingerprint(org uuid, connector_no int, e sync_entity) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format($query$
        WITH fresh AS (
            SELECT r.id, CASE WHEN r.remote_fingerprint IS NOT NULL THEN sync_fingerprint($4, r.remote) END AS remote_fingerprint,
                   CASE WHEN l.id IS NOT NULL THEN sync_fingerprint($4, to_jsonb(l)) END AS local_fingerprint
            FROM sync_record r
            LEFT JOIN %s.%I l ON l.org_id = r.org_id AND l.id = r.local_id::uuid
            WHERE r.org_id = $1 AND r.connector = $2 AND r.entity = $3)
        UPDATE sync_record r
        SET remote_fingerprint = f.remote_fingerprint,
            local_fingerprint = f.local_fingerprint,
            agreed_fingerprint = CASE WHEN f.remote_fingerprint = f.local_fingerprint THEN f.remote_fingerprint END
        FROM fresh f
        WHERE r.org_id = $1 AND r.id = f.id
          AND (r.remote_fingerprint, r.local_fingerprint) IS DISTINCT FROM (f.remote_fingerprint, f.local_fingerprint)
        $query$, '@extschema@', e.local_table)
    USING org, connector_no, e.number, e.name;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$$;
COMMENT ON FUNCTION sync_refingerprint(uuid, int, sync_entity) IS 'Makes all fingerprints of an entity type anew from the records, without asking the remote.';
