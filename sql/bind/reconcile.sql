-- Reconciling: the ledger's local side made to agree with the local relation as it is now. What binding, scanning,
-- repairing and a change of the compared fields have in common.

-- Where the rule changes by which fingerprints are made, nobody may write any by the old one meanwhile: so the relation is locked
-- against writing, before anything of the ledger is; of a relation that organisations share, the rows of this one
-- only, as nobody knows when the calling transaction ends. What is scanned needs no lock, nor can a view have one.
CREATE FUNCTION sync_lock_local(layout_id int, org uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    l sync_layout;
BEGIN
    SELECT * INTO l FROM sync_layout x WHERE x.id = layout_id;
    IF l.tracking <> 'trigger' THEN
        RETURN;
    ELSIF sync_has_org(layout_id) THEN
        PERFORM sync_claim_rules(layout_id, org);
    ELSIF EXISTS (SELECT FROM pg_class c WHERE c.oid = l.relation) THEN
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', sync_relation_name(l.relation));
    END IF;
END
$$;
COMMENT ON FUNCTION sync_lock_local(int, uuid) IS
    'Keeps others from writing an organisation''s rows of a tracked local relation until the transaction ends.';

-- Local rows are compared in one pass; only what differs is written. What a trigger has written since this statement
-- began is newer than what it read: hence the comparison with what was seen.
CREATE FUNCTION sync_reconcile(org uuid, connector_no int, entity_no smallint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET extra_float_digits = 1 SET enable_nestloop = off SET jit = off
AS $$
DECLARE
    k sync_comparison;
    gone text[];
    keys text[];
    n bigint;
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    PERFORM sync_layout_usable(k.layout);
    EXECUTE format($query$
        WITH differing AS MATERIALIZED (
            SELECT r.id, r.local_id AS known, r.local_fingerprint AS seen, r.local_match_key AS seen_key,
                   a.local_id, a.fingerprint, a.match_key
            FROM (SELECT x.id, x.local_id, x.local_fingerprint, x.local_match_key FROM sync_record x
                  WHERE x.org_id = $1 AND x.connector = $2 AND x.entity = $3 AND x.local_id IS NOT NULL) r
            FULL JOIN %s a ON a.local_id = r.local_id
            WHERE r.local_fingerprint IS DISTINCT FROM a.fingerprint OR r.local_match_key IS DISTINCT FROM a.match_key),
        added AS (
            INSERT INTO sync_record (org_id, connector, entity, local_id, local_match_key, local_fingerprint)
            SELECT $1, $2, $3, d.local_id, d.match_key, d.fingerprint
            FROM differing d WHERE d.known IS NULL AND d.local_id IS NOT NULL
            ON CONFLICT (org_id, connector, entity, local_id) WHERE local_id IS NOT NULL DO NOTHING
            RETURNING local_match_key AS key),
        changed AS (
            UPDATE sync_record r
            SET local_match_key = d.match_key,
                local_fingerprint = d.fingerprint,
                agreed_fingerprint = CASE WHEN d.fingerprint = r.remote_fingerprint THEN r.remote_fingerprint ELSE r.agreed_fingerprint END
            FROM differing d
            WHERE r.org_id = $1 AND r.id = d.id AND d.local_id IS NOT NULL
              AND r.local_fingerprint IS NOT DISTINCT FROM d.seen AND r.local_match_key IS NOT DISTINCT FROM d.seen_key
            RETURNING CASE WHEN r.external_id IS NULL THEN r.local_match_key END AS key)
        SELECT (SELECT array_agg(d.known) FROM differing d WHERE d.local_id IS NULL), count(*),
               CASE WHEN count(*) <= 10000 THEN array_agg(DISTINCT w.key) FILTER (WHERE w.key IS NOT NULL) END
        FROM (SELECT key FROM added UNION ALL SELECT key FROM changed) w$query$, sync_scan_source(k.layout))
    INTO gone, n, keys USING org, connector_no, entity_no, k.spec;
    IF gone IS NOT NULL THEN
        PERFORM sync_drop_local(k.layout, org, gone);
    END IF;
    IF n > 10000 THEN
        PERFORM sync_match(org, connector_no, entity_no);
    ELSIF keys IS NOT NULL THEN
        PERFORM sync_match_keys(org, connector_no, entity_no, keys);
    END IF;
    RETURN n + coalesce(cardinality(gone), 0);
END
$$;
COMMENT ON FUNCTION sync_reconcile(uuid, int, smallint) IS
    'Makes the local side of the ledger agree with the local relation; returns how many rows differed.';

CREATE FUNCTION sync_rescan(layout_id int) RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(sum(sync_reconcile(k.org_id, k.connector, k.entity)), 0)::bigint FROM sync_comparison k WHERE k.layout = layout_id
$$;
COMMENT ON FUNCTION sync_rescan(int) IS 'Reconciles every ledger that a local relation is the local side of.';

-- For statements of the app (DDL, TRUNCATE of a partition): they go on, whatever keeps us from reading. The binding is
-- then marked, and the next call tells.
CREATE FUNCTION sync_rescan_safely(layout_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM sync_rescan(layout_id);
EXCEPTION WHEN OTHERS THEN
    PERFORM sync_break_layout(layout_id, format('it could not be read: %s', SQLERRM));
END
$$;
COMMENT ON FUNCTION sync_rescan_safely(int) IS 'Reconciles, or marks the layout as broken where that fails.';

-- What no trigger can follow is scanned before a preview is made of it.
CREATE FUNCTION sync_scan_local(org uuid, connector_no int, entity_no smallint) RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT sync_reconcile(org, connector_no, entity_no)
    FROM sync_layout l WHERE l.id = sync_layout_of(org, entity_no) AND l.tracking = 'scan'
$$;
COMMENT ON FUNCTION sync_scan_local(uuid, int, smallint) IS
    'Reconciles where the local side is tracked by scanning; NULL where triggers do it.';

-- Another version, field list or mapping must not look like a change of every record.
CREATE FUNCTION sync_refingerprint(org uuid, connector_no int, entity_no smallint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    k sync_comparison;
    entity_name text := (SELECT e.name FROM sync_entity e WHERE e.number = entity_no);
    mappings jsonb := sync_mappings(org, connector_no, entity_no);
    n bigint;
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no;
    PERFORM sync_layout_usable(k.layout);
    WITH fresh AS (
        SELECT r.id, m.record, sync_fingerprint(k.spec, m.record) AS fingerprint
        FROM sync_record r, LATERAL (SELECT sync_mapped(entity_name, r.remote, mappings) AS record OFFSET 0) m
        WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no AND r.remote IS NOT NULL)
    UPDATE sync_record r
    SET remote = f.record,
        match_key = sync_match_key(entity_name, f.record),
        remote_fingerprint = CASE WHEN r.remote_fingerprint IS NOT NULL THEN f.fingerprint END,
        agreed_fingerprint = NULL
    FROM fresh f
    WHERE r.org_id = org AND r.id = f.id
      AND (r.remote_fingerprint IS NOT NULL AND r.remote_fingerprint <> f.fingerprint OR r.remote <> f.record);
    GET DIAGNOSTICS n = ROW_COUNT;
    PERFORM sync_reconcile(org, connector_no, entity_no);
    UPDATE sync_record r
    SET agreed_fingerprint = r.remote_fingerprint
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
      AND r.remote_fingerprint = r.local_fingerprint AND r.agreed_fingerprint IS DISTINCT FROM r.remote_fingerprint;
    UPDATE sync_metadata m SET fingerprint_spec = sync_spec(k.spec)
    FROM integration_connector c
    WHERE c.org_id = org AND c.number = connector_no AND m.org_id = org AND m.sync_type = c.name AND m.data_type = entity_name;
    RETURN n;
END
$$;
COMMENT ON FUNCTION sync_refingerprint(uuid, int, smallint) IS
    'Makes all fingerprints of an entity type anew from the records, without asking the remote.';

CREATE FUNCTION sync_compare_anew(layout_id int) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT sync_refingerprint(k.org_id, k.connector, k.entity)
    FROM sync_comparison k
    JOIN integration_connector c ON c.org_id = k.org_id AND c.number = k.connector
    JOIN sync_entity e ON e.number = k.entity
    WHERE k.layout = layout_id AND CASE WHEN k.spec <> sync_compute_spec(k.org_id, c, e, layout_id) THEN sync_compare(k.org_id, c, e) END
$$;
COMMENT ON FUNCTION sync_compare_anew(int) IS 'Makes fingerprints anew where a layout''s records are compared in another way by now.';
