-- Matching: which remote record is which local row, and what it means that several connectors have one.

-- A document is its connector's from the day on which that made it, or was linked with it: the key that only that one's ledger has tells.
CREATE FUNCTION sync_is_held(r sync_record) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN EXISTS (SELECT FROM sync_record o
                   WHERE o.local_id = r.local_id AND o.org_id = r.org_id AND o.entity = r.entity AND o.connector <> r.connector
                     AND (o.external_id IS NOT NULL AND o.remote_fingerprint IS NOT NULL
                          OR r.external_id IS NULL
                             AND (o.external_id IS NOT NULL OR o.local_match_key IS NOT NULL AND r.local_match_key IS NULL)
                             AND (SELECT e.is_document FROM sync_entity e WHERE e.number = r.entity)));
COMMENT ON FUNCTION sync_is_held(sync_record) IS
    'Whether another connector has a record that is linked to the same local row, or the row is a document that came from '
    'there: it is not this connector''s to delete.';

-- Many rows of the ledger are looked up one by one (LATERAL, FOR UPDATE: the planner has no choice), and then written where
-- they are. "= ANY (ids)" is no such look-up: where statistics lag behind, all rows of an organisation seem fewer than the ids, and
-- are read for each thousand. What writes by places has enable_seqscan off, which leaves nothing but going there.
CREATE FUNCTION sync_places(org uuid, ids bigint[]) RETURNS tid[]
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(array_agg(x.place), '{}')
    FROM unnest(ARRAY(SELECT i FROM unnest(ids) i ORDER BY i)) t (id)
    CROSS JOIN LATERAL (SELECT r.ctid AS place FROM sync_record r WHERE r.org_id = org AND r.id = t.id FOR UPDATE) x
$$;
COMMENT ON FUNCTION sync_places(uuid, bigint[]) IS
    'Locks rows of the ledger, and tells where they are: true until the transaction ends, or writes them.';

-- A record that is gone from one system takes its link along, and not the row: another system still has it.
CREATE FUNCTION sync_let_go(org uuid, ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    held bigint[] := ARRAY(
        SELECT t.id FROM unnest(ids) t (id)
        CROSS JOIN LATERAL (SELECT x AS found FROM sync_record x WHERE x.org_id = org AND x.id = t.id AND x.change = 'deleted' OFFSET 0) r
        WHERE sync_is_held(r.found));
    places tid[] := sync_places(org, held);
BEGIN
    UPDATE sync_record r
    SET external_id = NULL, parent_id = NULL, match_key = NULL, remote = NULL, remote_modified_at = NULL, agreed_fingerprint = NULL
    WHERE r.ctid = ANY (places);
    RETURN held;
END
$$;
COMMENT ON FUNCTION sync_let_go(uuid, bigint[]) IS
    'Ends the links of deleted records whose local rows another connector has as well; returns their rows of the ledger.';

CREATE FUNCTION sync_is_shared(org uuid, connector_no int, entity_no smallint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM sync_comparison k WHERE k.org_id = org AND k.entity = entity_no AND k.connector <> connector_no)
$$;
COMMENT ON FUNCTION sync_is_shared(uuid, int, smallint) IS
    'Whether other connectors of the organisation have the same local rows in their ledgers.';

CREATE FUNCTION sync_common_spec(one text, other text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT split_part(one, ':', 1) || ':' || coalesce(string_agg(f, ',' ORDER BY f COLLATE "C"), '')
    FROM unnest(string_to_array(split_part(one, ':', 2), ',')) f
    WHERE f = ANY (string_to_array(split_part(other, ':', 2), ','))
$$;
COMMENT ON FUNCTION sync_common_spec(text, text) IS 'The fields that two comparisons of an entity type have in common, as a comparison.';

-- Two systems that differ on a row that they share turn it back and forth, apply by apply. Fingerprints are only comparable
-- where both are made of the same fields.
CREATE FUNCTION sync_shared_with(org uuid, connector_no int, entity_no smallint) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF NOT sync_is_shared(org, connector_no, entity_no) THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT jsonb_object_agg(x.name, x.n)
        FROM (SELECT i.name, count(*) AS n
              FROM (SELECT k.connector, k.spec = own.spec AS is_alike, sync_common_spec(own.spec, k.spec) AS common
                    FROM sync_comparison own
                    JOIN sync_comparison k ON k.org_id = org AND k.entity = entity_no AND k.connector <> connector_no
                    WHERE own.org_id = org AND own.entity = entity_no AND own.connector = connector_no) k
              JOIN integration_connector i ON i.org_id = org AND i.number = k.connector
              CROSS JOIN sync_record r
              CROSS JOIN LATERAL (
                  SELECT FROM sync_record o
                  WHERE o.local_id = r.local_id AND o.org_id = org AND o.entity = entity_no AND o.connector = k.connector
                    AND o.external_id IS NOT NULL AND o.remote_fingerprint IS NOT NULL AND o.remote_fingerprint <> r.remote_fingerprint
                    AND CASE WHEN k.is_alike THEN true ELSE sync_fingerprint(k.common, o.remote) <> sync_fingerprint(k.common, r.remote) END
                  OFFSET 0) o
              WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no AND r.change = 'updated'
              GROUP BY i.name) x);
END
$$;
COMMENT ON FUNCTION sync_shared_with(uuid, int, smallint) IS
    'Of the updated records of a connector, how many have a local row that another connector holds differently: '
    '{its name: count}; NULL where none has.';

CREATE FUNCTION sync_removed_name(c integration_connector) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN c.system || ' (removed)';
COMMENT ON FUNCTION sync_removed_name(integration_connector) IS
    'What documents of a connector carry as sync_type once it is removed: its system, as another one may get its name.';

CREATE FUNCTION sync_rename_documents(org uuid, e sync_entity, old_name text, new_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF e.is_document THEN
        EXECUTE format('UPDATE @extschema@.%I SET sync_type = $3 WHERE org_id = $1 AND sync_type = $2', e.local_table)
            USING org, old_name, new_name;
    END IF;
END
$$;
COMMENT ON FUNCTION sync_rename_documents(uuid, sync_entity, text, text) IS
    'Says of a connector''s documents in a built-in table that they are another one''s.';

-- Links what has one of these match keys once on each side. Where a key is not unique nothing is guessed:
-- the remote records that a local row might be are marked ambiguous, and listed. A variation that only
-- inherited its product's SKU doesn't make that SKU ambiguous. A document that another connector is linked with is no
-- candidate: two shops number their orders alike.
--
-- Each key is looked up by itself, whatever the planner thinks of the ledger's size (LATERAL leaves it no choice): where
-- statistics lag behind, it would rather read the whole ledger and compare each record with all keys. For the same reason
-- what was found is never joined by key: both sides would look like one row, and be compared each with each. The planner
-- settings are for the last statements (the tracking triggers, which call this, have others).
CREATE FUNCTION sync_match_keys(org uuid, connector_no int, entity_no smallint, keys text[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
    SET enable_hashjoin = on SET enable_mergejoin = on SET enable_nestloop = off SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    remote_rows bigint[];
    local_rows bigint[];
    turned bigint[];
    places tid[];
    local_places tid[];
    is_exclusive boolean := (SELECT e.is_document FROM sync_entity e WHERE e.number = entity_no)
        AND sync_is_shared(org, connector_no, entity_no);
    candidates text[];
    linked bigint := 0;
BEGIN
    -- Two who link the same records at once do so one after the other: what is read below is then what the first has left.
    PERFORM FROM unnest(ARRAY(
            SELECT x.id FROM unnest(keys) k (key)
            CROSS JOIN LATERAL (
                SELECT r.id FROM sync_record r
                WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no AND r.match_key = k.key AND r.local_id IS NULL
                OFFSET 0) x
            ORDER BY x.id)) o (id)
        CROSS JOIN LATERAL (SELECT FROM sync_record r WHERE r.org_id = org AND r.id = o.id FOR NO KEY UPDATE) locked;

    -- so do two connectors that are after the same documents
    IF is_exclusive THEN
        candidates := ARRAY(SELECT x.local_id FROM unnest(keys) k (key)
                            CROSS JOIN LATERAL (
                                SELECT r.local_id FROM sync_record r
                                WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
                                  AND r.local_match_key = k.key AND r.external_id IS NULL
                                OFFSET 0) x);
        PERFORM sync_places(org, ARRAY(
            SELECT x.id FROM unnest(candidates) t (local_id)
            CROSS JOIN LATERAL (
                SELECT r.id FROM sync_record r
                WHERE r.local_id = t.local_id AND r.org_id = org AND r.entity = entity_no
                OFFSET 0) x));
    END IF;

    -- of each key: what is open, how many there are in all, and which are marked as ambiguous
    WITH found AS (
        SELECT r.open AS remote, l.open AS local, r.n = 1 AND l.n = 1 AND l.open IS NOT NULL AS is_pair,
               coalesce(r.marked, '{}') AS marked,
               CASE WHEN l.open IS NOT NULL AND (r.n > 1 OR l.n > 1) THEN coalesce(r.open, '{}') ELSE '{}' END AS doubtful
        FROM (SELECT DISTINCT u.key FROM unnest(keys) u (key)) k
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE x.is_candidate) AS n,
                   array_agg(x.id) FILTER (WHERE x.is_candidate AND x.local_id IS NULL) AS open,
                   array_agg(x.id) FILTER (WHERE x.ambiguous AND x.local_id IS NULL) AS marked
            FROM (SELECT r.id, r.local_id, r.ambiguous,
                         r.remote_fingerprint IS NOT NULL
                         AND NOT (r.parent_id IS NOT NULL
                                  AND EXISTS (SELECT FROM sync_record p
                                              WHERE p.org_id = org AND p.connector = connector_no AND p.entity = entity_no
                                                AND p.external_id = r.parent_id AND p.match_key = r.match_key)) AS is_candidate
                  FROM sync_record r
                  WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no AND r.match_key = k.key) x) r
        CROSS JOIN LATERAL (
            SELECT count(*) AS n, array_agg(x.id) FILTER (WHERE x.external_id IS NULL) AS open
            FROM sync_record x
            WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no
              AND x.local_match_key = k.key AND x.local_id IS NOT NULL
              AND NOT (is_exclusive AND EXISTS (SELECT FROM sync_record o
                                                WHERE o.local_id = x.local_id AND o.org_id = org AND o.entity = entity_no
                                                  AND o.connector <> connector_no AND o.external_id IS NOT NULL))) l)
    SELECT array_agg(f.remote[1]) FILTER (WHERE f.is_pair AND f.remote IS NOT NULL),
           array_agg(f.local[1]) FILTER (WHERE f.is_pair AND f.remote IS NOT NULL),
           (SELECT array_agg(t.id) FROM found w, unnest(w.marked || w.doubtful) t (id)
            WHERE w.marked <> w.doubtful AND (t.id = ANY (w.marked)) <> (t.id = ANY (w.doubtful)))
    INTO remote_rows, local_rows, turned
    FROM found f;

    IF remote_rows IS NOT NULL THEN
        places := sync_places(org, remote_rows);
        local_places := sync_places(org, local_rows);
        WITH local_side AS (
            DELETE FROM sync_record r WHERE r.ctid = ANY (local_places)
            RETURNING r.id, r.local_id, r.local_match_key, r.local_fingerprint)
        UPDATE sync_record r
        SET local_id = l.local_id,
            local_match_key = l.local_match_key,
            local_fingerprint = l.local_fingerprint,
            ambiguous = false,
            agreed_fingerprint = CASE WHEN r.remote_fingerprint = l.local_fingerprint THEN r.remote_fingerprint END
        FROM unnest(remote_rows, local_rows) AS p (remote_row, local_row)
        JOIN local_side l ON l.id = p.local_row
        WHERE r.ctid = ANY (places) AND r.id = p.remote_row;
        GET DIAGNOSTICS linked = ROW_COUNT;
    END IF;

    IF turned IS NOT NULL THEN
        places := sync_places(org, turned);
        UPDATE sync_record r SET ambiguous = NOT r.ambiguous WHERE r.ctid = ANY (places) AND r.local_id IS NULL;
    END IF;
    RETURN linked;
END
$$;
COMMENT ON FUNCTION sync_match_keys(uuid, int, smallint, text[]) IS
    'Links remote records to local rows by these match keys where a key is unique on both sides; '
    'marks the ambiguous ones. A document that another connector is linked with stays that one''s. '
    'Returns the number linked.';

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
              -- no join, which would compare each row with all: looked up row by row, and for documents only
              AND (NOT (SELECT e.is_document FROM sync_entity e WHERE e.number = entity_no)
                   OR NOT EXISTS (SELECT FROM sync_record o
                                  WHERE o.local_id = l.local_id AND o.org_id = org AND o.entity = entity_no
                                    AND o.connector <> connector_no AND o.external_id IS NOT NULL))
            UNION ALL
            SELECT r.match_key
            FROM sync_record r
            WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
              AND r.change = 'ambiguous') k)), 0)
$$;
COMMENT ON FUNCTION sync_match(uuid, int, smallint) IS 'Links whatever can be linked by match key; returns how many.';
