-- A pass over all records of an entity type: what it has seen, and what it proves of those that it hasn't.

-- What a pass has seen, one row per window of a listing: a pass over 1,000,000 records writes 10,000 rows.
CREATE TABLE sync_sweep (
    org_id uuid NOT NULL,
    connector int NOT NULL,
    entity smallint NOT NULL,
    list text NOT NULL,
    -- a primary key holds no NULL: '' is the listing of all, and since ever is all of it
    parent text COLLATE "C" NOT NULL DEFAULT '',
    since timestamptz NOT NULL DEFAULT '-infinity',
    position bigint NOT NULL,
    keyset boolean NOT NULL DEFAULT false,
    is_end boolean NOT NULL,
    total bigint,
    unshown bigint NOT NULL DEFAULT 0,
    ids text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, connector, entity, list, parent, since, position)
);
COMMENT ON TABLE sync_sweep IS 'Ids that the running pull has met, window by window: the proof that a missing record is gone.';
COMMENT ON COLUMN sync_sweep.list IS 'The listing''s name, as the source has it.';
COMMENT ON COLUMN sync_sweep.parent IS 'external_id of the record whose children it lists; empty where it lists those of all.';
COMMENT ON COLUMN sync_sweep.since IS 'Windows of what changed since then stand at other places than those of the whole listing.';
COMMENT ON COLUMN sync_sweep.unshown IS 'Rows of the window that the remote counts and does not show.';
COMMENT ON COLUMN sync_sweep.keyset IS
    'A page that begins behind the last id of the one before: it needs no overlap to prove that nothing is missing.';

-- Once for each page of a pull: plpgsql keeps the plan.
CREATE FUNCTION sync_sweep_note(org uuid, connector_no int, entity_no smallint, listing text, of_parent text,
        changed_since timestamptz, place bigint, by_key boolean, reaches_end boolean, counted bigint, not_shown bigint, met text[])
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    INSERT INTO sync_sweep
        (org_id, connector, entity, list, parent, since, position, keyset, is_end, total, unshown, ids)
    VALUES (org, connector_no, entity_no, listing, coalesce(of_parent, ''), coalesce(changed_since, '-infinity'),
            place, by_key, reaches_end, counted, not_shown, met)
    ON CONFLICT (org_id, connector, entity, list, parent, since, position)
    DO UPDATE SET keyset = excluded.keyset, is_end = excluded.is_end, total = excluded.total,
                  unshown = excluded.unshown, ids = excluded.ids;
END
$$;
COMMENT ON FUNCTION sync_sweep_note(uuid, int, smallint, text, text, timestamptz, bigint, boolean, boolean, bigint, bigint, text[]) IS
    'Notes which ids a window of a listing held. of_parent: the record whose children it lists; NULL: it lists those of all. '
    'changed_since: NULL: it is a window of the whole listing.';

-- Neighbouring windows must share an id: then nothing can have slipped between the two reads.
CREATE FUNCTION sync_sweep_gaps(org uuid, connector_no int, entity_no smallint)
    RETURNS TABLE (list text, parent text, since timestamptz, "left" bigint, "right" bigint, reach bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH w AS (
        SELECT s.list, s.parent, s.since, s.position, s.ids, s.is_end, s.total, s.unshown,
               lead(s.position) OVER o AS next_position,
               lead(s.ids) OVER o AS next_ids,
               lead(s.total) OVER o AS next_total,
               lead(s.unshown) OVER o AS next_unshown
        FROM sync_sweep s
        WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no AND NOT s.keyset
        WINDOW o AS (PARTITION BY s.list, s.parent, s.since ORDER BY s.position))
    SELECT w.list, nullif(w.parent, ''), nullif(w.since, '-infinity'),
           w.position, w.next_position, w.position + cardinality(w.ids) + w.unshown
    FROM w
    WHERE (cardinality(w.ids) > 0 OR w.unshown > 0)
      AND CASE
              WHEN w.next_position IS NULL THEN NOT w.is_end
              -- the row they share may be one of those that are not shown: then that the number of all rows stayed the same
              -- has to do
              WHEN w.unshown + w.next_unshown > 0 AND w.total = w.next_total
                   AND w.position + cardinality(w.ids) + w.unshown > w.next_position THEN false
              WHEN cardinality(w.next_ids) = 0 THEN NOT w.is_end
              -- the last of one is the first of the other, as a rule; to compare all with all is slow
              ELSE NOT (w.ids[cardinality(w.ids)] = ANY (w.next_ids) OR w.ids && w.next_ids)
          END
    ORDER BY w.list, w.parent, w.since, w.position
$$;
COMMENT ON FUNCTION sync_sweep_gaps(uuid, int, smallint) IS
    'Places where two neighbouring windows of a listing share no record, or where the listing''s end was not reached. '
    'parent and since are NULL where windows are of no one record''s children, and of the whole listing.';

-- Windows whose last row is not shown, so that nothing proves that the next one continues them.
CREATE FUNCTION sync_sweep_seams(org uuid, connector_no int, entity_no smallint, listing text, of_parent text)
    RETURNS TABLE ("position" bigint, ids text[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT w.position, w.ids
    FROM (
        SELECT s.position, s.ids, s.unshown,
               lead(s.position) OVER o AS next_position,
               lead(s.ids) OVER o AS next_ids
        FROM sync_sweep s
        WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no
          AND s.list = listing AND s.parent = coalesce(of_parent, '') AND s.since = '-infinity'
        WINDOW o AS (ORDER BY s.position)) w
    WHERE w.unshown > 0 AND w.position + cardinality(w.ids) + w.unshown > w.next_position
      AND (w.ids[cardinality(w.ids)] = ANY (w.next_ids)) IS NOT TRUE
    ORDER BY w.position
$$;
COMMENT ON FUNCTION sync_sweep_seams(uuid, int, smallint, text, text) IS
    'Windows of a listing that share no id with the next one because the remote does not show the row that both hold.';

-- Window by window, not the total less the ids met: a record that was deleted after its window had been read is among
-- those, and would make the number too small by one. With that number, the next total would be what is expected, and
-- the deletion hidden. For the same reason nothing is told where windows were read again because the listing moved.
CREATE FUNCTION sync_sweep_unshown(org uuid, connector_no int, entity_no smallint, listing text, of_parent text, has_moved boolean)
    RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE
               WHEN coalesce(sum(s.unshown), 0) = 0 THEN 0
               WHEN has_moved THEN NULL
               -- at a seam both windows have counted the same row
               ELSE sum(s.unshown) - (SELECT count(*) FROM sync_sweep_seams(org, connector_no, entity_no, listing, of_parent))
           END
    FROM sync_sweep s
    WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no
      AND s.list = listing AND s.parent = coalesce(of_parent, '') AND s.since = '-infinity'
$$;
COMMENT ON FUNCTION sync_sweep_unshown(uuid, int, smallint, text, text, boolean) IS
    'How many rows of a listing the remote counts and does not show; NULL where the listing moved too much to tell.';

CREATE FUNCTION sync_sweep_has_unshown_changes(org uuid, connector_no int, entity_no smallint, listing text, of_parent text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM sync_sweep s
                   WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no
                     AND s.list = listing AND s.parent = coalesce(of_parent, '') AND s.since > '-infinity' AND s.unshown > 0)
$$;
COMMENT ON FUNCTION sync_sweep_has_unshown_changes(uuid, int, smallint, text, text) IS
    'Whether the remote counts rows that it does not show among what changed lately in a listing.';

CREATE FUNCTION sync_sweep_seen_by_key(org uuid, connector_no int, entity_no smallint, listing text, of_parent text) RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT sum(cardinality(s.ids)) FROM sync_sweep s
    WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no
      AND s.list = listing AND s.parent = coalesce(of_parent, '') AND s.since = '-infinity' AND s.keyset
$$;
COMMENT ON FUNCTION sync_sweep_seen_by_key(uuid, int, smallint, text, text) IS
    'How many rows of a listing the pages by key held; NULL where it is not read by key.';

CREATE FUNCTION sync_sweep_ends(org uuid, connector_no int, entity_no smallint, listing text, of_parent text)
    RETURNS TABLE ("after" bigint, until bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT e.last, e.until
    FROM (SELECT s.is_end, greatest(s.position, (SELECT max(i::bigint) FROM unnest(s.ids) i)) AS last,
                 lead(s.position) OVER (ORDER BY s.position) AS until
          FROM sync_sweep s
          WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no
            AND s.list = listing AND s.parent = coalesce(of_parent, '') AND s.since = '-infinity' AND s.keyset) e
    WHERE e.is_end AND (e.until IS NULL OR e.last < e.until)
    ORDER BY e.last
$$;
COMMENT ON FUNCTION sync_sweep_ends(uuid, int, smallint, text, text) IS
    'Where pages by key were followed by none, though there are ids between them and the next one that was read.';

CREATE FUNCTION sync_sweep_child_lists(org uuid, connector_no int, entity_no smallint) RETURNS TABLE (list text, parent text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT DISTINCT s.list, s.parent FROM sync_sweep s
    WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no
      AND s.parent <> '' AND s.since = '-infinity'
$$;
COMMENT ON FUNCTION sync_sweep_child_lists(uuid, int, smallint) IS 'Listings of one record''s children that were read.';

-- Without statistics (a first pull has just filled the ledger) a nested loop would be planned, and read the whole
-- sweep for every record; the hash join spills to disk where a million ids don't fit work_mem.
CREATE FUNCTION sync_missing(org uuid, connector_no int, entity_no smallint, own text, children text,
        lists text[], parents text[], at_most int)
    RETURNS TABLE (external_id text, parent_id text, list text, list_parent text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp SET enable_nestloop = off SET jit = off
AS $$
    WITH seen AS (
        SELECT unnest(s.ids) AS id
        FROM sync_sweep s
        WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no),
    held AS (
        SELECT r.id, r.external_id, r.parent_id
        FROM sync_record r
        WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
          AND r.external_id IS NOT NULL AND r.remote_fingerprint IS NOT NULL
          AND NOT EXISTS (SELECT FROM seen WHERE seen.id = r.external_id))
    SELECT m.external_id, m.parent_id, m.list, m.list_parent
    FROM (
        SELECT h.id, h.external_id, h.parent_id, l.list, l.parent AS list_parent
        FROM held h
        JOIN unnest(lists, parents) AS l (list, parent) ON l.list = CASE WHEN h.parent_id IS NULL THEN own ELSE children END
        WHERE l.parent IS NULL
        UNION
        SELECT h.id, h.external_id, h.parent_id, l.list, l.parent
        FROM held h
        JOIN unnest(lists, parents) AS l (list, parent) ON l.parent = h.parent_id AND l.list = children) m
    ORDER BY m.id
    LIMIT at_most
$$;
COMMENT ON FUNCTION sync_missing(uuid, int, smallint, text, text, text[], text[], int) IS
    'Records that the ledger holds and a sweep of these listings did not meet, with the one that should have shown each. own: the '
    'listings of what belongs to no other record; children: those of what does, NULL where there is none such.';

-- A record that was never linked leaves no trace; a linked one stays as the deletion that the preview shows.
CREATE FUNCTION sync_mark_gone(org uuid, connector_no int, entity_no smallint, ids text[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    parts text[] := ids;
    lone tid[];
    linked tid[];
BEGIN
    -- What belonged to a record goes with it, unless the sweep has met it all the same.
    LOOP
        SELECT array_agg(p.external_id) INTO parts
        FROM (
            SELECT r.external_id FROM unnest(parts) t (id)
            CROSS JOIN LATERAL (SELECT x.external_id FROM sync_record x
                                WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no AND x.parent_id = t.id
                                OFFSET 0) r
            EXCEPT
            (SELECT unnest(ids)
             UNION ALL
             SELECT unnest(s.ids) FROM sync_sweep s
             WHERE s.org_id = org AND s.connector = connector_no AND s.entity = entity_no)) p;
        EXIT WHEN parts IS NULL;
        ids := ids || parts;
    END LOOP;

    SELECT array_agg(r.place) FILTER (WHERE r.is_lone), array_agg(r.place) FILTER (WHERE NOT r.is_lone) INTO lone, linked
    FROM unnest(ARRAY(SELECT DISTINCT i FROM unnest(ids) i ORDER BY i)) t (id)
    CROSS JOIN LATERAL (SELECT x.ctid AS place, x.local_id IS NULL AS is_lone FROM sync_record x
                        WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no AND x.external_id = t.id
                          AND (x.local_id IS NULL OR x.remote_fingerprint IS NOT NULL)
                        FOR UPDATE) r;
    DELETE FROM sync_record r WHERE r.ctid = ANY (lone);
    UPDATE sync_record r SET remote_fingerprint = NULL, remote_modified_at = NULL, seen_at = now() WHERE r.ctid = ANY (linked);
    RETURN coalesce(cardinality(lone), 0) + coalesce(cardinality(linked), 0);
END
$$;
COMMENT ON FUNCTION sync_mark_gone(uuid, int, smallint, text[]) IS 'Records that a complete sweep proved gone, with what belonged to them.';

-- A product that stopped being variable: an empty listing of its children, so that the sweep finds them missing.
CREATE FUNCTION sync_sweep_childless(org uuid, connector_no int, entity_no smallint, children text, parents text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    INSERT INTO sync_sweep (org_id, connector, entity, list, parent, position, is_end, total, ids)
    SELECT DISTINCT org, connector_no, entity_no, children, r.parent_id, 0, true, 0, '{}'::text[]
    FROM sync_record r
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
      AND r.parent_id = ANY (parents) AND r.remote_fingerprint IS NOT NULL
    ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION sync_sweep_childless(uuid, int, smallint, text, text[]) IS
    'Notes that these records have no children, where the ledger still holds some.';
