-- Tracking: the local side of the ledger follows the local relation, statement by statement.

CREATE FUNCTION sync_drop_local(layout_id int, org uuid, local_ids text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    k sync_comparison;
    lone tid[];
    linked tid[];
    keys text[];
BEGIN
    PERFORM sync_share_rules_of(layout_id, ARRAY[org]);
    FOR k IN SELECT * FROM sync_comparison x WHERE x.layout = layout_id AND x.org_id = org LOOP
        SELECT array_agg(x.place) FILTER (WHERE x.is_lone), array_agg(x.place) FILTER (WHERE NOT x.is_lone), array_agg(DISTINCT x.key)
        INTO lone, linked, keys
        FROM unnest(local_ids) t (local_id)
        CROSS JOIN LATERAL (
            SELECT r.ctid AS place, r.remote_fingerprint IS NULL AS is_lone,
                   CASE WHEN r.remote_fingerprint IS NULL THEN r.local_match_key ELSE r.match_key END AS key
            FROM sync_record r
            WHERE r.org_id = org AND r.connector = k.connector AND r.entity = k.entity AND r.local_id = t.local_id
            FOR UPDATE) x;
        -- a row that both sides have lost, or only the local one ever had, leaves no trace
        DELETE FROM sync_record r WHERE r.ctid = ANY (lone);
        UPDATE sync_record r SET local_id = NULL, local_match_key = NULL, local_fingerprint = NULL WHERE r.ctid = ANY (linked);
        -- one candidate less: what was ambiguous may be unique now
        PERFORM sync_match_keys(org, k.connector, k.entity, array_remove(keys, NULL));
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
    SELECT format('sync_comparison k ON k.layout = %s AND %s', s.id,
                  CASE s.org_match WHEN 'true' THEN 'true' ELSE 'k.org_id = ' || s.org END)
$$;
COMMENT ON FUNCTION sync_track_join(sync_layout_sql) IS 'SQL that joins a row n with the comparisons of its organisation''s connectors.';

-- A relation with a column for the organisation has rows of several: nobody may keep the writers of others' rows waiting.
CREATE FUNCTION sync_has_org(s sync_layout_sql) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
    RETURN s.org_match <> 'true';
COMMENT ON FUNCTION sync_has_org(sync_layout_sql) IS 'Whether a layout''s relation has rows of several organisations.';

-- Before rows are compared by rules that are read in a later statement.
CREATE FUNCTION sync_track_share(s sync_layout_sql) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE WHEN sync_has_org(s)
                THEN format('PERFORM sync_share_rules_of(%s, array_agg(o.org)) FROM (SELECT %s AS org FROM new_rows n GROUP BY 1) o',
                            s.id, s.org)
                ELSE 'NULL' END
$$;
COMMENT ON FUNCTION sync_track_share(sync_layout_sql) IS
    'The statement by which a tracking trigger keeps the rules of those organisations as they are whose rows were written.';

-- New images of rows beside what the ledger holds of them, by one look-up each.
CREATE FUNCTION sync_track_held(s sync_layout_sql) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT sync_fill($sql$
            SELECT w.org_id, w.connector, w.entity, w.local_id,
                   r.place, r.local_match_key AS old_key, r.local_fingerprint AS old_print,
                   sync_row_match_key(w.spec, {{names}}, w.texts) AS key,
                   sync_row_fingerprint(w.spec, {{names}}, w.texts) AS print
            FROM (SELECT k.org_id, k.connector, k.entity, k.spec,
                         {{key}} AS local_id,
                         ARRAY[{{texts}}] AS texts
                  FROM new_rows n
                  JOIN {{comparisons}}
                  WHERE {{live}} OFFSET 0) w
            LEFT JOIN LATERAL (
                SELECT x.ctid AS place, x.local_match_key, x.local_fingerprint
                FROM sync_record x
                WHERE x.org_id = w.org_id AND x.connector = w.connector AND x.entity = w.entity AND x.local_id = w.local_id
                LIMIT 1) r ON true$sql$,
        jsonb_build_object('comparisons', sync_track_join(s), 'key', s.key_text, 'live', s.live, 'texts', s.row_texts,
                           'names', quote_literal(s.names)))
$$;
COMMENT ON FUNCTION sync_track_held(sync_layout_sql) IS
    'SQL for new images of rows, with the fingerprints and match keys that the ledger holds of them.';

-- The comparisons of a relation of one organisation's own stand in its trigger function, as it is made anew when they
-- change (sync_compare): to look them up takes a tenth of the time that an update of one row may take.
CREATE FUNCTION sync_track_comparisons(s sync_layout_sql) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE WHEN s.org_match <> 'true' THEN 'LEFT JOIN ' || sync_track_join(s)
                ELSE (SELECT format('JOIN (VALUES %s) k (org_id, connector, entity, spec) ON %s',
                                    coalesce(string_agg(format('(%L::uuid, %s, %s::smallint, %L)',
                                                               k.org_id, k.connector, k.entity, k.spec), ', '),
                                             '(NULL::uuid, NULL::int, NULL::smallint, NULL)'),
                                    (count(*) > 0)::text)
                      FROM sync_comparison k WHERE k.layout = s.id) END
$$;
COMMENT ON FUNCTION sync_track_comparisons(sync_layout_sql) IS
    'SQL that joins a row n with the comparisons of its organisation''s connectors; '
    'of a shared relation, also where there are none.';

-- A key in its usual spelling is its own normal form: only another spelling has to be normalised. Of a document that came
-- from some connector, that has to be looked at too.
CREATE FUNCTION sync_track_key_kept(s sync_layout_sql) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE WHEN count(*) = 0 THEN 'r.local_match_key IS NULL'
                ELSE format('(r.local_match_key = h.match_1 COLLATE "C"%s '
                            'OR r.local_match_key IS NOT DISTINCT FROM sync_row_match_key(h.spec, %L, ARRAY[%s]))',
                            CASE WHEN s.match_names ~ ',sync_type$' THEN format(' AND h.match_%s IS NULL', count(*)) END,
                            s.match_names, string_agg('h.match_' || t.place, ', ' ORDER BY t.place)) END
    FROM unnest(s.match_texts) WITH ORDINALITY t (text, place)
$$;
COMMENT ON FUNCTION sync_track_key_kept(sync_layout_sql) IS
    'SQL for whether the new image h of a row r of the ledger has the match key that the ledger holds.';

-- The usual UPDATE, of rows that keep key, match key and organisation, in one statement and one look-up of each row. Done
-- where every new image (also one that belongs to no comparison, or is marked as deleted now) was written or is in
-- the ledger as it is: then each has the place of an old one, and no row has lost its own. An image that comes twice is
-- written once.
CREATE FUNCTION sync_track_update(s sync_layout_sql) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT sync_fill($sql$UPDATE sync_record r
        SET local_fingerprint = h.print,
            agreed_fingerprint = CASE WHEN h.print = r.remote_fingerprint THEN h.print ELSE r.agreed_fingerprint END
        FROM (SELECT k.org_id, k.connector, k.entity, k.spec,
                     {{key}} AS local_id,
                     sync_track_print(CASE WHEN {{live}}{{shares}} THEN k.spec END, {{names}}, ARRAY[{{texts}}]) AS print{{match_texts}}
              FROM new_rows n
              {{comparisons}} OFFSET 0) h
        WHERE r.org_id = h.org_id AND r.connector = h.connector AND r.entity = h.entity AND r.local_id = h.local_id
          AND {{key_kept}} AND sync_track_stale(r.local_fingerprint, h.print)$sql$,
        jsonb_build_object(
            'comparisons', sync_track_comparisons(s), 'key', s.key_text, 'live', s.live, 'texts', s.row_texts,
            'names', quote_literal(s.names), 'key_kept', sync_track_key_kept(s),
            'match_texts', (SELECT string_agg(format(', %s AS match_%s', m.text, m.place), '')
                            FROM unnest(s.match_texts) WITH ORDINALITY m (text, place)),
            'shares', CASE WHEN sync_has_org(s) THEN format(' AND sync_shares_rules_of(%s)', s.org) END))
$$;
COMMENT ON FUNCTION sync_track_update(sync_layout_sql) IS
    'SQL by which a tracking trigger carries an UPDATE to the ledger where rows keep their keys.';

-- Numbers, since to look up what they are takes longer than all else of a one-row statement; where they are not right any
-- more, as after a restore, it is looked up. Row-level security comes with an ALTER TABLE, which makes the function anew.
CREATE FUNCTION sync_track_guard(layout_id int) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE WHEN l.bound_by IS NULL THEN 'NULL'
                ELSE format('IF %s NOT sync_follows(%s) THEN RETURN NULL; END IF',
                            CASE WHEN NOT c.relrowsecurity
                                 THEN format('(TG_RELID = ANY (%4$L::oid[]) AND has_table_privilege(%1$s, %2$s, ''SELECT'') '
                                             'AND has_schema_privilege(%1$s, %3$s, ''USAGE'')) IS NOT TRUE AND',
                                             l.bound_by::oid, c.oid, c.relnamespace::oid, sync_members(c.oid)) END, l.id) END
    FROM sync_layout l JOIN pg_class c ON c.oid = l.relation WHERE l.id = layout_id
$$;
COMMENT ON FUNCTION sync_track_guard(int) IS
    'The statement by which a tracking trigger leaves alone what the role that bound the relation may not read.';

-- One trigger function per layout. SECURITY DEFINER: who may write the local relation has no right on the ledger. The
-- planner settings: a plan cached from a bulk statement would scan the whole ledger for every later one-row statement.
-- Each setting costs a hundredth of an update of one row, as does each variable with a default.
--
-- What the first statement doesn't settle goes the longer way. What was written is counted there, because a row that
-- somebody moves meanwhile (a pull that links it) is not met where it was. Lost keys are only looked for
-- where fewer of the new rows are in the ledger than there were old ones: else no row can have lost its key, or been
-- marked as deleted.
CREATE FUNCTION sync_track_body(s sync_layout_sql) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT sync_fill($sql$
DECLARE
    updated bigint;
    is_done boolean;
    is_kept boolean;
    is_twice boolean;
    attempts int;
    touched sync_touched[];
    t sync_touched;
BEGIN
    {{guard}};
    IF TG_OP = 'UPDATE' THEN
        {{share_of_one}};
        {{update}};
        GET DIAGNOSTICS updated = ROW_COUNT;
        IF sync_track_open() = updated THEN
            RETURN NULL;
        END IF;
        {{share}};
        SELECT count(*) FILTER (WHERE h.old_print IS DISTINCT FROM h.print OR h.old_key IS DISTINCT FROM h.key) = 0,
               count(h.place) = (SELECT count(*) FROM old_rows n JOIN {{comparisons}} WHERE {{live}}),
               count(*) > count(DISTINCT (h.org_id, h.connector, h.entity, h.local_id))
        INTO is_done, is_kept, is_twice
        FROM ({{held}}) h;
    ELSIF TG_OP = 'TRUNCATE' THEN
        PERFORM sync_truncated({{layout}});
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM sync_drop_local({{layout}}, o.org, array_agg(o.local_id))
        FROM (SELECT {{org}} AS org, {{key}} AS local_id FROM old_rows n WHERE {{live}}) o
        GROUP BY o.org;
        RETURN NULL;
    ELSE
        {{share}};
    END IF;

    attempts := 0;
    WHILE is_done IS NOT TRUE AND is_twice IS NOT TRUE AND attempts < 3 LOOP
        WITH held AS MATERIALIZED ({{held}}),
        changed AS (
            -- at the place that was found: an UPDATE costs a third of an INSERT .. ON CONFLICT
            UPDATE sync_record r
            SET local_match_key = h.key,
                local_fingerprint = h.print,
                agreed_fingerprint = CASE WHEN h.print = r.remote_fingerprint THEN h.print ELSE r.agreed_fingerprint END
            FROM held h
            WHERE r.ctid = h.place AND (h.old_print IS DISTINCT FROM h.print OR h.old_key IS DISTINCT FROM h.key)
              AND r.org_id = h.org_id AND r.connector = h.connector AND r.entity = h.entity AND r.local_id = h.local_id
            RETURNING h.org_id, h.connector, h.entity, h.old_key, h.key),
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
    IF is_done IS NOT TRUE THEN
        -- the statement has written a row twice, as where two foreign keys of it cascade; which image is the last isn't known
        PERFORM sync_rescan_safely({{layout}});
    ELSIF is_kept IS FALSE THEN
        PERFORM sync_drop_local({{layout}}, o.org, array_agg(o.local_id))
        FROM (SELECT {{org}} AS org, {{key}} AS local_id FROM old_rows n WHERE {{live}}
              EXCEPT SELECT {{org}}, {{key}} FROM new_rows n WHERE {{live}}) o
        GROUP BY o.org;
    END IF;
    RETURN NULL;
END
$sql$,
        jsonb_build_object(
            'layout', s.id, 'org', s.org, 'key', s.key_text, 'live', s.live, 'guard', sync_track_guard(s.id),
            'update', sync_track_update(s), 'held', sync_track_held(s), 'comparisons', sync_track_join(s),
            -- an assignment of a function's value starts no statement
            'share_of_one', CASE WHEN sync_has_org(s) THEN format('is_done := sync_share_rules(%s)', s.id) ELSE 'NULL' END,
            'share', sync_track_share(s)))
$$;
COMMENT ON FUNCTION sync_track_body(sync_layout_sql) IS 'The body of the trigger function that tracks a layout''s relation.';

CREATE FUNCTION sync_generate_trigger(layout_id int) RETURNS regprocedure
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET check_function_bodies = on
AS $$
DECLARE
    s sync_layout_sql;
    routine text := format('@extschema@.sync_track_%s()', layout_id);
BEGIN
    PERFORM sync_hold_layout(layout_id);
    s := sync_layout_pieces(layout_id);
    EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                        SET search_path = pg_catalog, @extschema@, pg_temp %s
                        SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET jit = off AS %L',
                   routine, CASE WHEN s.is_plain THEN '' ELSE 'SET datestyle = ''ISO, YMD'' SET extra_float_digits = 1' END,
                   sync_track_body(s));
    PERFORM sync_adopt(routine::regprocedure);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', routine,
                   'Statement-level trigger of a local relation: '
                   'carries what changed to the local side of the ledger, set-based. Generated.');
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
    FOR t IN
        SELECT g.tgname, sync_relation_name(g.tgrelid) AS place
        FROM pg_trigger g
        WHERE g.tgfoid = routine AND g.tgrelid <> ALL (places)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.place);
    END LOOP;
    FOR event IN
        SELECT sync_relation_name(m.place) AS place, e.name, e.clause, format('sync_track_%s_%s', layout_id, e.name) AS trigger
        FROM unnest(places) AS m (place),
             (VALUES ('insert', 'REFERENCING NEW TABLE AS new_rows'), ('update', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
                     ('delete', 'REFERENCING OLD TABLE AS old_rows'), ('truncate', '')) AS e (name, clause)
        WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgfoid = routine AND g.tgrelid = m.place
                          AND g.tgname = format('sync_track_%s_%s', layout_id, e.name))
    LOOP
        -- not while a dump is restored (its sessions set both): the ledger comes as it was
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT %s EXECUTE FUNCTION %s',
                       event.trigger, event.name, event.place, event.clause,
                       CASE event.name
                           WHEN 'insert'
                               THEN 'WHEN (current_setting(''row_security'') = ''on'' '
                                    'OR current_setting(''check_function_bodies'') = ''on'')'
                           ELSE '' END, routine);
        IF NOT own THEN
            EXECUTE format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION sync_ext', event.trigger, event.place);
        END IF;
    END LOOP;
    UPDATE sync_layout l SET members = places WHERE l.id = layout_id AND l.members <> places;
END
$$;
COMMENT ON FUNCTION sync_place_triggers(int, regprocedure) IS
    'Puts the tracking triggers on a layout''s relation and its partitions, and takes them from where they don''t belong '
    'any more.';

DO $$
BEGIN
    PERFORM sync_place_triggers(l.id, sync_generate_trigger(l.id)) FROM sync_layout l WHERE l.bound_by IS NULL;
END
$$;
