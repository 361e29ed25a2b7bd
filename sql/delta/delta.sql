-- The delta, read from the ledger alone: page by page, and its counts.

-- Names are few, and made once: for each row of the ledger, the planner would look its connector up again.
CREATE VIEW sync_changes WITH (security_barrier) AS
WITH named AS MATERIALIZED (
    SELECT i.number AS connector, i.name AS sync_type, e.number AS entity, e.name AS entity_type
    FROM integration_connector i CROSS JOIN sync_entity e
    WHERE i.org_id = (SELECT sync_current_org()))
SELECT r.org_id, n.sync_type, n.entity_type, r.change, r.external_id, r.local_id, r.match_key
FROM sync_record r
JOIN named n ON n.connector = r.connector AND n.entity = r.entity
WHERE r.org_id = (SELECT sync_current_org()) AND r.change IS NOT NULL;
COMMENT ON VIEW sync_changes IS
    'What differs between remote and local for the current organisation, without the records: '
    'the cheapest look at the delta.';

CREATE VIEW sync_links WITH (security_barrier) AS
WITH named AS MATERIALIZED (
    SELECT i.number AS connector, i.name AS sync_type, e.number AS entity, e.name AS entity_type
    FROM integration_connector i CROSS JOIN sync_entity e
    WHERE i.org_id = (SELECT sync_current_org()))
SELECT r.org_id, n.sync_type, n.entity_type, r.external_id, r.local_id, r.remote_modified_at
FROM sync_record r
JOIN named n ON n.connector = r.connector AND n.entity = r.entity
WHERE r.org_id = (SELECT sync_current_org())
  AND r.external_id IS NOT NULL AND r.local_id IS NOT NULL AND r.remote_fingerprint IS NOT NULL;
COMMENT ON VIEW sync_links IS
    'Which remote record is which local row, for the current organisation: the external ids of local rows, '
    'and the other way round. A record that is gone from the remote has none any more.';
COMMENT ON COLUMN sync_links.remote_modified_at IS 'When the remote says that the record was changed last, as of the last pull.';

CREATE FUNCTION sync_is_mirror(c integration_connector) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN coalesce(c.settings ->> 'deleted_scope', 'linked') = 'all';
COMMENT ON FUNCTION sync_is_mirror(integration_connector) IS 'Whether local rows that were never linked are deletions.';

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
COMMENT ON TYPE sync_delta_row IS 'A row of compute_delta, with its number in the ledger.';

-- The planner settings: without statistics of the ledger, or with those of before, to read all open changes and sort them
-- seems cheaper than to walk along the index that has them in order.
CREATE FUNCTION sync_open_ids(org uuid, connector_no int, entity_no smallint, after_change text, after_id bigint, upto text, size bigint)
    RETURNS TABLE (change text, id bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
    SELECT r.change, r.id FROM sync_record r
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
      AND (r.change, r.id) > (after_change, after_id) AND r.change <= upto
    ORDER BY r.change, r.id
    LIMIT size
$$;
COMMENT ON FUNCTION sync_open_ids(uuid, int, smallint, text, bigint, text, bigint) IS
    'The next open changes behind a change and a row of the ledger, up to the end of a class.';

-- A page of the delta: from behind (after_change, after_id) on, up to the end of a class.
-- deleted_scope = 'all' makes local rows that were never linked deletions, for who wants a pure mirror.
CREATE FUNCTION sync_delta_page(
    org uuid, c integration_connector, e sync_entity, after_change text, after_id bigint, upto text, size bigint)
    RETURNS sync_delta_row[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    mirror boolean := sync_is_mirror(c) AND upto >= 'deleted' AND after_change <= 'deleted';
    k sync_comparison;
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = c.number AND x.entity = e.number;
    IF NOT FOUND THEN
        RETURN '{}';
    END IF;
    PERFORM sync_layout_usable(k.layout);
    RETURN ARRAY(
        WITH chosen AS MATERIALIZED (
            SELECT o.change, o.id FROM sync_open_ids(org, c.number, e.number, after_change, after_id, upto, size) o
            UNION ALL
            SELECT 'deleted', r.id
            FROM sync_record r
            WHERE mirror AND r.org_id = org AND r.connector = c.number AND r.entity = e.number
              AND r.external_id IS NULL AND NOT sync_is_held(r)
              AND r.id > CASE WHEN after_change = 'deleted' THEN after_id ELSE 0 END
            ORDER BY 1, 2
            LIMIT size),
        d AS MATERIALIZED (
            SELECT h.change, h.id, r.external_id, r.local_id, coalesce(r.match_key, r.local_match_key) AS key, r.remote
            FROM chosen h
            CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = org AND x.id = h.id LIMIT 1) r)
        SELECT ROW(d.id, d.change, d.external_id, d.local_id, d.key,
                   CASE WHEN d.change = 'updated' THEN sync_diff(k.spec, l.record, d.remote) END,
                   CASE WHEN d.change <> 'deleted' THEN d.remote END,
                   l.record)::sync_delta_row
        FROM d
        LEFT JOIN sync_local_records(k.layout, org, ARRAY(SELECT d.local_id FROM d WHERE d.local_id IS NOT NULL)) l
            ON l.local_id = d.local_id
        ORDER BY d.change, d.id);
END
$$;
COMMENT ON FUNCTION sync_delta_page(uuid, integration_connector, sync_entity, text, bigint, text, bigint) IS
    'The next rows of the delta behind a change and a row of the ledger, with the local records and the changed fields.';

-- Rows are made as they are fetched: each page when the one before has been read. They are small at first, as who looks
-- at a delta mostly wants to see some of it.
CREATE FUNCTION sync_delta_stream(sync_type text, entity_type text) RETURNS SETOF sync_delta_row
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH RECURSIVE asked AS MATERIALIZED (
        SELECT o.org, sync_connector_of(o.org, sync_type) AS c, sync_entity_of(entity_type) AS e
        FROM (SELECT sync_require('read') AS org OFFSET 0) o),
    page AS (
        SELECT sync_delta_page(a.org, a.c, a.e, '', 0, 'updated', 20) AS rows, 20 AS size FROM asked a
        UNION ALL
        SELECT sync_delta_page(a.org, a.c, a.e, (p.rows[p.size]).change, (p.rows[p.size]).id, 'updated', n.size), n.size
        FROM page p CROSS JOIN LATERAL (SELECT least(p.size * 5, 1000) AS size) n CROSS JOIN asked a
        WHERE cardinality(p.rows) = p.size)
    SELECT r.* FROM page p CROSS JOIN LATERAL unnest(p.rows) r
$$;
COMMENT ON FUNCTION sync_delta_stream(text, text) IS
    'The rows of compute_delta, made as they are fetched where it is called in a SELECT list.';

-- The planner puts this into the calling query, where the rows of a function in FROM would all be stored first: what takes 20
-- of them computes no more. It has no rights of its own for that reason; sync_delta_stream has, and asks for the caller's.
CREATE FUNCTION compute_delta(sync_type text, entity_type text)
    RETURNS TABLE (change text, external_id text, local_id text, match_key text, changed_fields jsonb, remote jsonb, local jsonb)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT (d.found).change, (d.found).external_id, (d.found).local_id, (d.found).match_key, (d.found).changed_fields,
           (d.found).remote, (d.found).local
    FROM (SELECT sync_delta_stream(compute_delta.sync_type, compute_delta.entity_type) AS found) d;
END;
COMMENT ON FUNCTION compute_delta(text, text) IS
    'Everything that differs between remote and local, one row per record: change (new, updated, deleted, ambiguous), '
    'ids, changed_fields {field: {old, new}}, and both records. Read from the ledger, as rows are fetched; asks nobody.';

-- Open changes are counted one by one up to 20,000; beyond, samples of what follows tell how close the rows of the ledger lie that
-- are open changes of this class. No count is kept: each statement of the app on its own rows would have to write it, and
-- they would wait for each other there.
CREATE FUNCTION sync_count_open(org uuid, connector_no int, entity_no smallint, class text, OUT n int, OUT is_estimate boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_variable
DECLARE
    most constant int := 20000;
    strata constant int := 50;
    depth constant int := 200;
    counted bigint;
    low bigint;
    high bigint;
    width bigint;
    found bigint;
    reached bigint;
    estimate numeric := 0;
BEGIN
    SELECT count(*), max(x.id) INTO counted, low
    FROM (SELECT r.id FROM sync_record r
          WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no AND r.change = class
          ORDER BY r.id LIMIT most) x;
    n := counted;
    is_estimate := counted = most;
    IF NOT is_estimate THEN
        RETURN;
    END IF;
    SELECT r.id INTO high FROM sync_record r
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no AND r.change = class
    ORDER BY r.id DESC LIMIT 1;
    width := greatest(1, (high - low + strata - 1) / strata);
    WHILE low < high LOOP
        SELECT count(*), max(x.id) INTO found, reached
        FROM (SELECT r.id FROM sync_record r
              WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no AND r.change = class
                AND r.id > low AND r.id <= low + width
              ORDER BY r.id LIMIT depth) x;
        estimate := estimate + CASE WHEN found < depth THEN found ELSE found::numeric * width / (reached - low) END;
        low := low + width;
    END LOOP;
    n := sync_count(counted + round(estimate)::bigint);
END
$$;
COMMENT ON FUNCTION sync_count_open(uuid, int, smallint, text) IS
    'How many open changes of a class there are: counted up to 20,000, estimated from samples of the ledger beyond.';

CREATE FUNCTION sync_delta_class(org uuid, c integration_connector, e sync_entity, class text, sample bigint, is_exact boolean)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    n bigint;
    is_estimate boolean := false;
    records jsonb;
BEGIN
    IF is_exact THEN
        SELECT count(*) INTO n FROM sync_record r
        WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number AND r.change = class;
    ELSE
        SELECT o.n, o.is_estimate INTO n, is_estimate FROM sync_count_open(org, c.number, e.number, class) o;
    END IF;
    IF class = 'deleted' AND sync_is_mirror(c) THEN
        n := n + (SELECT count(*) FROM sync_record r
                  WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number
                    AND r.external_id IS NULL AND NOT sync_is_held(r));
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
               'externalId', d.external_id,
               'localId', d.local_id,
               'matchKey', d.match_key,
               'changedFields', d.changed_fields,
               'record', CASE WHEN class = 'deleted' THEN d.local ELSE d.remote END))), '[]')
    INTO records
    FROM unnest(sync_delta_page(org, c, e, class, 0, class, sample)) d;
    RETURN jsonb_build_object('count', n, 'records', records) || CASE WHEN is_estimate THEN '{"estimated": true}' ELSE '{}' END::jsonb;
END
$$;
COMMENT ON FUNCTION sync_delta_class(uuid, integration_connector, sync_entity, text, bigint, boolean) IS
    'Count and first records of one class of changes; estimated where the count is, which isn''t asked to be exact.';

CREATE FUNCTION sync_unlinked_count(org uuid, connector_no int, entity_no smallint) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    has_others boolean := sync_is_shared(org, connector_no, entity_no)
        AND (SELECT e.is_document FROM sync_entity e WHERE e.number = entity_no);
BEGIN
    RETURN (SELECT count(*) FROM sync_record r
            WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no AND r.external_id IS NULL
              AND CASE WHEN has_others THEN NOT sync_is_held(r) ELSE true END);
END
$$;
COMMENT ON FUNCTION sync_unlinked_count(uuid, int, smallint) IS
    'How many local rows nothing remote was ever linked to, without documents of other connectors.';
