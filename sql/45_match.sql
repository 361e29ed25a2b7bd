-- Matching: which remote record is which local row.

-- Links what has one of these match keys once on each side. Where a key is not unique nothing is guessed:
-- the remote records that a local row might be are marked ambiguous, and listed. A variation that only
-- inherited its product's SKU doesn't make that SKU ambiguous.
--
-- The planner settings: the ledger is read by index whatever an earlier, larger call made the plan look like, while
-- the two sets of candidates are hashed (sync_track_local, which calls this, turns that off).
CREATE FUNCTION sync_match_keys(org uuid, connector_no int, entity_no smallint, keys text[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
    SET enable_hashjoin = on SET enable_mergejoin = on SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    remote_rows bigint[];
    local_rows bigint[];
    ambiguous_rows bigint[];
    linked bigint := 0;
BEGIN
    WITH remote AS (
        SELECT r.id, r.match_key AS key, r.local_id IS NULL AS is_open,
               count(*) OVER (PARTITION BY r.match_key) AS n
        FROM sync_record r
        WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
          AND r.match_key = ANY (keys) AND r.remote_fingerprint IS NOT NULL
          AND NOT EXISTS (SELECT FROM sync_record p
                          WHERE p.org_id = org AND p.connector = connector_no AND p.entity = entity_no
                            AND p.external_id = r.parent_id AND p.match_key = r.match_key)),
    local AS (
        SELECT r.id, r.local_match_key AS key, r.external_id IS NULL AS is_open,
               count(*) OVER (PARTITION BY r.local_match_key) AS n
        FROM sync_record r
        WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
          AND r.local_match_key = ANY (keys) AND r.local_id IS NOT NULL)
    SELECT array_agg(r.id) FILTER (WHERE r.n = 1 AND l.n = 1),
           array_agg(l.id) FILTER (WHERE r.n = 1 AND l.n = 1),
           array_agg(r.id) FILTER (WHERE r.n > 1 OR l.n > 1)
    INTO remote_rows, local_rows, ambiguous_rows
    FROM remote r JOIN local l USING (key)
    WHERE r.is_open AND l.is_open;

    -- "= ANY" beside the joins: the rows are then found by index even where statistics are stale
    WITH local_side AS (
        DELETE FROM sync_record r
        WHERE r.org_id = org AND r.id = ANY (local_rows)
        RETURNING r.id, r.local_id, r.local_match_key, r.local_fingerprint)
    UPDATE sync_record r
    SET local_id = l.local_id,
        local_match_key = l.local_match_key,
        local_fingerprint = l.local_fingerprint,
        ambiguous = false,
        agreed_fingerprint = CASE WHEN r.remote_fingerprint = l.local_fingerprint THEN r.remote_fingerprint END
    FROM unnest(remote_rows, local_rows) AS p (remote_row, local_row)
    JOIN local_side l ON l.id = p.local_row
    WHERE r.org_id = org AND r.id = ANY (remote_rows) AND r.id = p.remote_row;
    GET DIAGNOSTICS linked = ROW_COUNT;

    UPDATE sync_record r
    SET ambiguous = NOT r.ambiguous
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
      AND r.match_key = ANY (keys) AND r.local_id IS NULL
      AND r.ambiguous IS DISTINCT FROM coalesce(r.id = ANY (ambiguous_rows), false);
    RETURN linked;
END
$$;
COMMENT ON FUNCTION sync_match_keys(uuid, int, smallint, text[]) IS 'Links remote records to local rows by these match keys where a key is unique on both sides; marks the ambiguous ones. Returns the number linked.';

-- Starts from the local rows without a link: that set is the small one, or empty, in the usual case.
CREATE FUNCTION sync_match(org uuid, connector_no int, entity_no smallint) RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(sync_match_keys(org, connector_no, entity_no, (
        SELECT array_agg(DISTINCT k.key)
        FROM (
            SELECT l.local_match_key AS key
            FROM sync_record l
            WHERE l.org_id = org AND l.connector = connector_no AND l.entity = entity_no
              AND l.external_id IS NULL AND l.local_match_key IS NOT NULL
              AND EXISTS (SELECT FROM sync_record r
                          WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
                            AND r.match_key = l.local_match_key AND r.local_id IS NULL)
            UNION ALL
            SELECT r.match_key
            FROM sync_record r
            WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
              AND r.change = 'ambiguous') k)), 0)
$$;
COMMENT ON FUNCTION sync_match(uuid, int, smallint) IS 'Links whatever can be linked by match key; returns how many.';

-- The local side of the ledger follows the local table, statement by statement. SECURITY DEFINER: who may write
-- the local table has no right on the ledger. The planner settings: a plan cached from a bulk statement would
-- scan the whole ledger for every later one-row statement.
CREATE FUNCTION sync_track_local() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, @extschema@, pg_temp
    SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    entity_no smallint := TG_ARGV[0]::smallint;
    entity_name text := TG_ARGV[1];
    touched record;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM sync_forget_local(entity_no);
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        -- rows whose key was changed
        PERFORM sync_drop_local(entity_no, o.org_id, array_agg(o.id::text))
        FROM (SELECT org_id, id FROM old_rows EXCEPT SELECT org_id, id FROM new_rows) o
        GROUP BY o.org_id;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM sync_drop_local(entity_no, o.org_id, array_agg(o.id::text)) FROM old_rows o GROUP BY o.org_id;
        RETURN NULL;
    END IF;

    FOR touched IN
        WITH changed AS MATERIALIZED (
            SELECT n.org_id, n.id::text AS local_id,
                   sync_fingerprint(entity_name, to_jsonb(n)) AS fingerprint,
                   sync_match_key(entity_name, to_jsonb(n)) COLLATE "C" AS key
            FROM new_rows n),
        written AS (
            INSERT INTO sync_record AS r (org_id, connector, entity, local_id, local_match_key, local_fingerprint)
            SELECT c.org_id, i.number, entity_no, c.local_id, c.key, c.fingerprint
            FROM changed c JOIN integration_connector i ON i.org_id = c.org_id
            ON CONFLICT (org_id, connector, entity, local_id) WHERE local_id IS NOT NULL
            DO UPDATE SET
                local_match_key = excluded.local_match_key,
                local_fingerprint = excluded.local_fingerprint,
                agreed_fingerprint = CASE WHEN excluded.local_fingerprint = r.remote_fingerprint
                                          THEN r.remote_fingerprint ELSE r.agreed_fingerprint END
            WHERE r.local_fingerprint IS DISTINCT FROM excluded.local_fingerprint
               OR r.local_match_key IS DISTINCT FROM excluded.local_match_key
            RETURNING r.org_id, r.connector, r.external_id, r.local_match_key)
        SELECT w.org_id, w.connector, array_agg(DISTINCT w.local_match_key) AS keys
        FROM written w
        WHERE w.external_id IS NULL AND w.local_match_key IS NOT NULL
        GROUP BY 1, 2
    LOOP
        PERFORM sync_match_keys(touched.org_id, touched.connector, entity_no, touched.keys);
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION sync_track_local() IS 'Statement-level trigger of a local table: carries what changed to the local side of the ledger, set-based.';

CREATE FUNCTION sync_drop_local(entity_no smallint, org uuid, local_ids text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    connector_no int;
    keys text[];
BEGIN
    FOR connector_no IN SELECT i.number FROM integration_connector i WHERE i.org_id = org LOOP
        -- a row that both sides have lost, or only the local one ever had, leaves no trace
        WITH removed AS (
            DELETE FROM sync_record r
            WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
              AND r.local_id = ANY (local_ids) AND r.remote_fingerprint IS NULL
            RETURNING r.local_match_key AS key),
        released AS (
            UPDATE sync_record r SET local_id = NULL, local_match_key = NULL, local_fingerprint = NULL
            WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
              AND r.local_id = ANY (local_ids) AND r.remote_fingerprint IS NOT NULL
            RETURNING r.match_key AS key)
        SELECT array_agg(DISTINCT t.key) INTO keys
        FROM (SELECT key FROM removed UNION ALL SELECT key FROM released) t
        WHERE t.key IS NOT NULL;
        -- one candidate less: what was ambiguous may be unique now
        PERFORM sync_match_keys(org, connector_no, entity_no, keys);
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_drop_local(smallint, uuid, text[]) IS 'Takes deleted local rows out of the ledger.';

CREATE FUNCTION sync_forget_local(entity_no smallint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    DELETE FROM sync_record r WHERE r.entity = entity_no AND r.local_id IS NOT NULL AND r.remote_fingerprint IS NULL;
    UPDATE sync_record r
    SET local_id = NULL, local_match_key = NULL, local_fingerprint = NULL, ambiguous = false
    WHERE r.entity = entity_no AND (r.local_id IS NOT NULL OR r.ambiguous);
END
$$;
COMMENT ON FUNCTION sync_forget_local(smallint) IS 'Takes every local row of an entity type out of the ledger (the local table was truncated).';

-- A connector made after the local rows finds them all in its ledger.
CREATE FUNCTION sync_backfill_local(org uuid, connector_no int) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    e sync_entity;
    written bigint;
    total bigint := 0;
BEGIN
    FOR e IN SELECT * FROM sync_entity WHERE local_table IS NOT NULL LOOP
        EXECUTE format(
            'INSERT INTO sync_record (org_id, connector, entity, local_id, local_match_key, local_fingerprint)
             SELECT $1, $2, $3, l.id::text, sync_match_key($4, to_jsonb(l)), sync_fingerprint($4, to_jsonb(l))
             FROM %s.%I l WHERE l.org_id = $1
             ON CONFLICT DO NOTHING', '@extschema@', e.local_table)
        USING org, connector_no, e.number, e.name;
        GET DIAGNOSTICS written = ROW_COUNT;
        total := total + written;
    END LOOP;
    RETURN total;
END
$$;
COMMENT ON FUNCTION sync_backfill_local(uuid, int) IS 'Enters the local rows of an organisation into the ledger of a new connector.';

DO $$
DECLARE
    e sync_entity;
BEGIN
    FOR e IN SELECT * FROM sync_entity WHERE local_table IS NOT NULL LOOP
        -- not while a dump is restored (its sessions set both): the ledger comes as it was
        EXECUTE format('CREATE TRIGGER sync_track_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows
                        FOR EACH STATEMENT WHEN (current_setting(''row_security'') = ''on'' OR current_setting(''check_function_bodies'') = ''on'')
                        EXECUTE FUNCTION sync_track_local(%L, %L)', e.local_table, e.number, e.name);
        EXECUTE format('CREATE TRIGGER sync_track_update AFTER UPDATE ON %I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION sync_track_local(%L, %L)', e.local_table, e.number, e.name);
        EXECUTE format('CREATE TRIGGER sync_track_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION sync_track_local(%L, %L)', e.local_table, e.number, e.name);
        EXECUTE format('CREATE TRIGGER sync_track_truncate AFTER TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION sync_track_local(%L, %L)', e.local_table, e.number, e.name);
    END LOOP;
END
$$;
