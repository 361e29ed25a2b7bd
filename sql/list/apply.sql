-- Items whose target is this database: the part of the delta that is theirs, written as sync_apply writes it, with images
-- for sync_undo. `forced` are written even where both sides are equal.
-- Of items that carry some fields only: what differs in one of them is written, and what is new and could be found again by them.
CREATE FUNCTION sync_list_part(
    k sync_comparison, class text, rows bigint[], forced text[], chosen text[], OUT wanted bigint[], OUT refused jsonb)
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    entity_name text := (SELECT e.name FROM sync_entity e WHERE e.number = k.entity);
BEGIN
    refused := '[]';
    IF class = 'new' THEN
        SELECT array_agg(r.id ORDER BY r.id) FILTER (WHERE r.is_known),
               coalesce(
                   jsonb_agg(jsonb_build_object(
                       'id', r.id, 'sqlstate', '42704', 'message', 'no local row is this record''s',
                       'detail', 'It is not created by some of its fields alone, by which it could not be found again.'))
                   FILTER (WHERE NOT r.is_known), '[]')
        INTO wanted, refused
        FROM (SELECT t.id, sync_match_key(entity_name, sync_record_part(x.remote, chosen)) IS NOT NULL AS is_known
              FROM unnest(rows) t (id)
              CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = k.org_id AND x.id = t.id LIMIT 1) x) r;
    ELSE
        WITH listed AS MATERIALIZED (
            SELECT r.id, r.external_id, r.local_id, r.remote
            FROM unnest(rows) t (id)
            CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = k.org_id AND x.id = t.id LIMIT 1) r)
        SELECT array_agg(r.id ORDER BY r.id) INTO wanted
        FROM listed r
        JOIN sync_local_records(k.layout, k.org_id, ARRAY(SELECT x.local_id FROM listed x)) l ON l.local_id = r.local_id
        WHERE r.external_id = ANY (forced) OR sync_diff(k.spec, l.record, r.remote) ?| chosen;
    END IF;
END
$$;
COMMENT ON FUNCTION sync_list_part(sync_comparison, text, bigint[], text[], text[]) IS
    'Which of some changes are ones of these fields, and, as sync_apply_ids returns failures, '
    'new records that can''t be created by them.';

CREATE FUNCTION sync_list_apply(
    org uuid, connector_no int, entity_no smallint, ids text[], forced text[], chosen text[], rescan boolean, history uuid)
    RETURNS TABLE (external_id text, went text, local_id text, error text)
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c integration_connector;
    e sync_entity;
    k sync_comparison;
    listed bigint[];
    part record;
    wanted bigint[];
    refused jsonb := '[]';
    outcome jsonb;
    written jsonb := '{}';
    failures jsonb := '[]';
BEGIN
    SELECT * INTO c FROM integration_connector i WHERE i.org_id = org AND i.number = connector_no;
    SELECT * INTO e FROM sync_entity x WHERE x.number = entity_no;
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no;
    PERFORM sync_layout_usable(k.layout), sync_hold_runs(org, c, e);
    IF rescan THEN
        PERFORM sync_scan_local(org, connector_no, entity_no);
    END IF;
    IF chosen IS NOT NULL AND NOT EXISTS (SELECT FROM unnest(sync_written_fields(k)) f WHERE f = ANY (chosen)) THEN
        RAISE EXCEPTION 'the local relation takes none of the item''s fields' USING ERRCODE = '22023',
            DETAIL = format('They are %s.', array_to_string(chosen, ', '));
    END IF;
    listed := ARRAY(
        SELECT DISTINCT r.id FROM unnest(ids) t (external_id)
        CROSS JOIN LATERAL (SELECT x.id FROM sync_record x
                            WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no AND x.external_id = t.external_id
                            LIMIT 1) r);
    PERFORM sync_match_keys(org, connector_no, entity_no, (
        SELECT array_agg(DISTINCT r.match_key)
        FROM unnest(listed) t (id)
        CROSS JOIN LATERAL (SELECT x.match_key FROM sync_record x
                            WHERE x.org_id = org AND x.id = t.id AND x.local_id IS NULL AND x.match_key IS NOT NULL LIMIT 1) r));
    FOR part IN
        SELECT x.class, array_agg(x.id ORDER BY x.id) AS rows
        FROM (SELECT r.id, CASE WHEN r.change IN ('new', 'updated') THEN r.change
                                WHEN r.change IS NULL AND r.external_id = ANY (forced) THEN 'updated' END AS class
              FROM unnest(listed) t (id)
              CROSS JOIN LATERAL (SELECT * FROM sync_record x
                                  WHERE x.org_id = org AND x.id = t.id AND x.remote_fingerprint IS NOT NULL
                                  LIMIT 1) r) x
        WHERE x.class IS NOT NULL
        GROUP BY x.class
    LOOP
        wanted := part.rows;
        IF chosen IS NOT NULL THEN
            SELECT p.wanted, p.refused INTO wanted, refused FROM sync_list_part(k, part.class, part.rows, forced, chosen) p;
        END IF;
        outcome := CASE WHEN cardinality(wanted) > 0 THEN sync_apply_ids(k, part.class, wanted, history, chosen)
                        ELSE '{"failures": []}' END;
        written := written || (
            SELECT coalesce(jsonb_object_agg(i, CASE part.class WHEN 'new' THEN 'created' ELSE 'updated' END), '{}')
            FROM unnest(wanted) i);
        refused := refused || (outcome -> 'failures');
        failures := failures || refused;
        PERFORM sync_note_failures(org, history, part.class, refused);
        refused := '[]';
    END LOOP;
    RETURN QUERY
    SELECT r.external_id::text,
           CASE WHEN f.id IS NOT NULL OR r.change = 'ambiguous' THEN 'failed' ELSE coalesce(written ->> r.id::text, 'unchanged') END,
           r.local_id::text,
           CASE WHEN f.id IS NOT NULL THEN format('%s (%s)%s', f.message, f.sqlstate, ': ' || f.detail)
                WHEN r.change = 'ambiguous'
                    THEN format('several records or local rows have the match key "%s": nothing is guessed', r.match_key) END
    FROM unnest(listed) t (id)
    CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = org AND x.id = t.id AND x.remote_fingerprint IS NOT NULL LIMIT 1) r
    LEFT JOIN jsonb_to_recordset(failures) AS f (id bigint, sqlstate text, message text, detail text) ON f.id = r.id;
END
$$;
COMMENT ON FUNCTION sync_list_apply(uuid, int, smallint, text[], text[], text[], boolean, uuid) IS
    'Writes these remote records, or only some fields of them, to the local relation: created, updated, '
    'unchanged or failed, one by one. 55006 while a run of the entity type is under way.';
