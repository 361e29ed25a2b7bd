-- Tracking: the local side of the ledger follows the local relation, statement by statement.

CREATE FUNCTION sync_drop_local(layout_id int, org uuid, local_ids text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    k sync_comparison;
    keys text[];
BEGIN
    FOR k IN SELECT * FROM sync_comparison x WHERE x.layout = layout_id AND x.org_id = org LOOP
        -- a row that both sides have lost, or only the local one ever had, leaves no trace
        WITH removed AS (
            DELETE FROM sync_record r
            WHERE r.org_id = org AND r.connector = k.connector AND r.entity = k.entity
              AND r.local_id = ANY (local_ids) AND r.remote_fingerprint IS NULL
            RETURNING r.local_match_key AS key),
        released AS (
            UPDATE sync_record r SET local_id = NULL, local_match_key = NULL, local_fingerprint = NULL
            WHERE r.org_id = org AND r.connector = k.connector AND r.entity = k.entity
              AND r.local_id = ANY (local_ids) AND r.remote_fingerprint IS NOT NULL
            RETURNING r.match_key AS key)
        SELECT array_agg(DISTINCT t.key) INTO keys
        FROM (SELECT key FROM removed UNION ALL SELECT key FROM released) t
        WHERE t.key IS NOT NULL;
        -- one candidate less: what was ambiguous may be unique now
        PERFORM sync_match_keys(org, k.connector, k.entity, keys);
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_drop_local(int, uuid, text[]) IS 'Takes deleted local rows out of the ledger.';

CREATE FUNCTION sync_forget_local(org uuid, connector_no int, entity_no smallint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    DELETE FROM sync_record r
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
      AND r.local_id IS NOT NULL AND r.remote_fingerprint IS NULL;
    UPDATE sync_record r
    SET local_id = NULL, local_match_key = NULL, local_fingerprint = NULL, ambiguous = false
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
      AND (r.local_id IS NOT NULL OR r.ambiguous);
END
$$;
COMMENT ON FUNCTION sync_forget_local(uuid, int, smallint) IS 'Takes every local row of a connector''s entity type out of the ledger.';

CREATE FUNCTION sync_truncated(layout_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF (SELECT cardinality(l.members) > 1 FROM sync_layout l WHERE l.id = layout_id) THEN
        -- perhaps one partition of many
        PERFORM sync_rescan_safely(layout_id);
    ELSE
        PERFORM sync_forget_local(k.org_id, k.connector, k.entity) FROM sync_comparison k WHERE k.layout = layout_id;
    END IF;
END
$$;
COMMENT ON FUNCTION sync_truncated(int) IS 'Takes the local rows of a truncated relation out of the ledger.';

CREATE TYPE sync_touched AS (org_id uuid, connector int, entity smallint, keys text[]);
COMMENT ON TYPE sync_touched IS 'Match keys of a connector''s entity type that rows have got or lost.';

-- A relation without a column for the organisation is bound by one alone.
CREATE FUNCTION sync_track_join(s sync_layout_sql) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT format('sync_comparison k ON k.layout = %s AND %s', s.id, CASE s.org_match WHEN 'true' THEN 'true' ELSE 'k.org_id = ' || s.org END)
$$;
COMMENT ON FUNCTION sync_track_join(sync_layout_sql) IS 'SQL that joins a row n with the comparisons of its organisation''s connectors.';

-- New images of rows beside what the ledger holds of them, by one look-up each. What differs is then written at the
-- place that was found: an UPDATE costs a third of an INSERT .. ON CONFLICT.
CREATE FUNCTION sync_track_query(s sync_layout_sql, written text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT format($sql$
                WITH held AS MATERIALIZED (
                    SELECT w.org_id, w.connector, w.entity, w.local_id, r.place, r.local_match_key AS old_key, r.local_fingerprint AS old_print,
                           sync_row_match_key(w.spec, %5$L, w.texts) AS key, sync_row_fingerprint(w.spec, %5$L, w.texts) AS print
                    FROM (SELECT k.org_id, k.connector, k.entity, k.spec, %2$s AS local_id, ARRAY[%4$s] AS texts
                          FROM new_rows n JOIN %1$s WHERE %3$s OFFSET 0) w
                    LEFT JOIN LATERAL (
                        SELECT x.ctid AS place, x.local_match_key, x.local_fingerprint FROM sync_record x
                        WHERE x.org_id = w.org_id AND x.connector = w.connector AND x.entity = w.entity AND x.local_id = w.local_id
                        LIMIT 1) r ON true),
                changed AS (
                    UPDATE sync_record r
                    SET local_match_key = h.key,
                        local_fingerprint = h.print,
                        agreed_fingerprint = CASE WHEN h.print = r.remote_fingerprint THEN h.print ELSE r.agreed_fingerprint END
                    FROM held h
                    WHERE r.ctid = h.place AND %6$s
                      AND r.org_id = h.org_id AND r.connector = h.connector AND r.entity = h.entity AND r.local_id = h.local_id
                    RETURNING h.org_id, h.connector, h.entity, h.old_key, h.key)$sql$,
        sync_track_join(s), s.key_text, s.live, s.row_texts, s.names, written)
$$;
COMMENT ON FUNCTION sync_track_query(sync_layout_sql, text) IS 'SQL by which a tracking trigger writes new images of rows to the ledger, where a condition is true of them.';

-- One trigger function per layout. SECURITY DEFINER: who may write the local relation has no right on the ledger. The
-- planner settings: a plan cached from a bulk statement would scan the whole ledger for every later one-row statement.
--
-- An UPDATE of rows that keep their match key, the usual one, is done with the first statement: to start the second takes
-- as long as to update a row. What was written is counted, because a row that somebody moves meanwhile (a pull
-- that links it) is not met where it was. Keys are compared only where fewer of the new rows are in the ledger than there
-- were old ones: else no row can have lost its key, or been marked as deleted.
CREATE FUNCTION sync_generate_trigger(layout_id int) RETURNS regprocedure
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    s sync_layout_sql := sync_layout_pieces(layout_id);
    routine text := format('@extschema@.sync_track_%s()', layout_id);
BEGIN
    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION %1$s RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog, @extschema@, pg_temp SET datestyle = 'ISO, YMD' SET extra_float_digits = 1
            SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET jit = off
        AS $track$
        DECLARE
            is_done boolean := false;
            is_kept boolean := true;
            attempts int := 0;
            touched sync_touched[];
            t sync_touched;
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                PERFORM sync_truncated(%2$s);
                RETURN NULL;
            ELSIF TG_OP = 'DELETE' THEN
                PERFORM sync_drop_local(%2$s, o.org, array_agg(o.local_id))
                FROM (SELECT %3$s AS org, %4$s AS local_id FROM old_rows n WHERE %5$s) o
                GROUP BY o.org;
                RETURN NULL;
            ELSIF TG_OP = 'UPDATE' THEN
                %6$s
                SELECT count(*) FILTER (WHERE h.old_print IS DISTINCT FROM h.print OR h.old_key IS DISTINCT FROM h.key) = (SELECT count(*) FROM changed),
                       count(h.place) = (SELECT count(*) FROM old_rows n JOIN %8$s WHERE %5$s)
                INTO is_done, is_kept FROM held h;
            END IF;

            WHILE NOT is_done AND attempts < 3 LOOP
                %7$s,
                added AS (
                    INSERT INTO sync_record AS r (org_id, connector, entity, local_id, local_match_key, local_fingerprint)
                    SELECT h.org_id, h.connector, h.entity, h.local_id, h.key, h.print FROM held h WHERE h.place IS NULL
                    ON CONFLICT (org_id, connector, entity, local_id) WHERE local_id IS NOT NULL DO NOTHING
                    RETURNING r.org_id, r.connector, r.entity, NULL, r.local_match_key),
                written AS (SELECT * FROM changed UNION ALL SELECT * FROM added)
                SELECT (SELECT count(*) FROM written)
                       = (SELECT count(*) FROM held h WHERE h.old_print IS DISTINCT FROM h.print OR h.old_key IS DISTINCT FROM h.key),
                       (SELECT array_agg(ROW(g.org_id, g.connector, g.entity, g.keys)::sync_touched)
                        FROM (SELECT w.org_id, w.connector, w.entity, array_agg(DISTINCT u.key) AS keys
                              FROM written w, unnest(ARRAY[w.old_key, w.key]) u (key)
                              WHERE w.old_key IS DISTINCT FROM w.key AND u.key IS NOT NULL GROUP BY 1, 2, 3) g)
                INTO is_done, touched;
                FOREACH t IN ARRAY coalesce(touched, '{}') LOOP
                    PERFORM sync_match_keys(t.org_id, t.connector, t.entity, t.keys);
                END LOOP;
                attempts := attempts + 1;
            END LOOP;
            IF NOT is_done THEN
                -- the statement has written a row twice, as where two foreign keys of it cascade; which image is the last isn't known
                PERFORM sync_rescan_safely(%2$s);
            ELSIF NOT is_kept THEN
                PERFORM sync_drop_local(%2$s, o.org, array_agg(o.local_id))
                FROM (SELECT %3$s AS org, %4$s AS local_id FROM old_rows n WHERE %5$s
                      EXCEPT SELECT %3$s, %4$s FROM new_rows n WHERE %5$s) o
                GROUP BY o.org;
            END IF;
            RETURN NULL;
        END
        $track$ $sql$, routine, layout_id, s.org, s.key_text, s.live,
        sync_track_query(s, 'h.old_print IS DISTINCT FROM h.print AND h.old_key IS NOT DISTINCT FROM h.key'),
        sync_track_query(s, '(h.old_print IS DISTINCT FROM h.print OR h.old_key IS DISTINCT FROM h.key)'), sync_track_join(s));
    PERFORM sync_adopt(routine::regprocedure);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', routine, 'Statement-level trigger of a local relation: carries what changed to the local side of the ledger, set-based. Generated.');
    RETURN routine::regprocedure;
END
$$;
COMMENT ON FUNCTION sync_generate_trigger(int) IS 'Makes the trigger function that tracks a layout''s relation: sync_track_N.';

CREATE FUNCTION sync_place_triggers(layout_id int, routine regprocedure) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    places oid[] := (SELECT sync_members(l.relation) FROM sync_layout l WHERE l.id = layout_id);
    own boolean := EXISTS (SELECT FROM sync_layout l WHERE l.id = layout_id AND l.bound_by IS NULL);
    event record;
    t record;
BEGIN
    FOR t IN SELECT g.tgname, g.tgrelid::regclass AS place FROM pg_trigger g WHERE g.tgfoid = routine AND g.tgrelid <> ALL (places) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.place);
    END LOOP;
    FOR event IN
        SELECT m.place, e.name, e.clause, format('sync_track_%s_%s', layout_id, e.name) AS trigger
        FROM unnest(places) AS m (place),
             (VALUES ('insert', 'REFERENCING NEW TABLE AS new_rows'), ('update', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
                     ('delete', 'REFERENCING OLD TABLE AS old_rows'), ('truncate', '')) AS e (name, clause)
        WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgfoid = routine AND g.tgrelid = m.place
                          AND g.tgname = format('sync_track_%s_%s', layout_id, e.name))
    LOOP
        -- not while a dump is restored (its sessions set both): the ledger comes as it was
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT %s EXECUTE FUNCTION %s',
                       event.trigger, event.name, event.place::regclass, event.clause,
                       CASE event.name WHEN 'insert' THEN 'WHEN (current_setting(''row_security'') = ''on'' OR current_setting(''check_function_bodies'') = ''on'')'
                                       ELSE '' END, routine);
        IF NOT own THEN
            EXECUTE format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION sync_ext', event.trigger, event.place::regclass);
        END IF;
    END LOOP;
    UPDATE sync_layout l SET members = places WHERE l.id = layout_id AND l.members <> places;
END
$$;
COMMENT ON FUNCTION sync_place_triggers(int, regprocedure) IS 'Puts the tracking triggers on a layout''s relation and its partitions, and takes them from where they don''t belong any more.';

DO $$
BEGIN
    PERFORM sync_place_triggers(l.id, sync_generate_trigger(l.id)) FROM sync_layout l;
END
$$;
