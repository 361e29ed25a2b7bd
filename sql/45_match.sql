-- Matching: which remote record is which local row.

-- Links what has one of these match keys once on each side. Where a key is not unique nothing is guessed:
-- the remote records that a local row might be are marked ambiguous, and listed. A variation that only
-- inherited its product's SKU doesn't make that SKU ambiguous.
--
-- The planner settings: the ledger is read by index whatever an earlier, larger call made the plan look like, while
-- the two sets of candidates are hashed (the tracking triggers, which call this, turn that off), never compared each with
-- each: where statistics lag behind, both look like one row. For the same reason the question after a variation's product
-- is none of the joins, and is asked of variations only.
CREATE FUNCTION sync_match_keys(org uuid, connector_no int, entity_no smallint, keys text[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
    SET enable_hashjoin = on SET enable_mergejoin = on SET enable_nestloop = off SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    remote_rows bigint[];
    local_rows bigint[];
    ambiguous_rows bigint[];
    linked bigint := 0;
BEGIN
    -- Two who link the same records at once do so one after the other: what is read below is then what the first has left.
    PERFORM FROM sync_record r
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
      AND r.match_key = ANY (keys) AND r.local_id IS NULL
    ORDER BY r.id FOR NO KEY UPDATE;

    WITH remote AS (
        SELECT r.id, r.match_key AS key, r.local_id IS NULL AS is_open,
               count(*) OVER (PARTITION BY r.match_key) AS n
        FROM sync_record r
        WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
          AND r.match_key = ANY (keys) AND r.remote_fingerprint IS NOT NULL
          AND NOT (r.parent_id IS NOT NULL
                   AND EXISTS (SELECT FROM sync_record p
                               WHERE p.org_id = org AND p.connector = connector_no AND p.entity = entity_no
                                 AND p.external_id = r.parent_id AND p.match_key = r.match_key))),
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
