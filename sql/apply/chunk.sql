-- Writing records of the ledger to the local relation, chunk by chunk: what an apply and a list run have in common.

-- What was left out by sync_map is the local side's own.
CREATE FUNCTION sync_written_fields(k sync_comparison) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT ARRAY(
        SELECT split_part(f, '=', 1) FROM unnest(string_to_array(split_part(k.spec, ':', 2), ',')) f
        UNION ALL
        SELECT unnest('{custom,created_at,modified_at,sync_type}'::text[])
        UNION ALL
        SELECT f
        FROM integration_connector c, sync_entity e, unnest(sync_kind_carried(c.kind, e.name)) f
        WHERE c.org_id = k.org_id AND c.number = k.connector AND e.number = k.entity
          AND NOT EXISTS (SELECT FROM sync_field_map m
                          WHERE m.org_id = k.org_id AND m.connector = k.connector AND m.entity = k.entity
                            AND m.field = f AND NOT m.compared))
$$;
COMMENT ON FUNCTION sync_written_fields(sync_comparison) IS
    'The fields that an apply writes to a row that is there: the compared ones, those that come along, '
    'and which connector a document came from.';

CREATE FUNCTION sync_note_keys(org uuid, ids bigint[], local_ids text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off
AS $$
    UPDATE sync_record r SET local_id = x.local_id
    FROM (SELECT f.place, t.local_id
          FROM unnest(ids, local_ids) AS t (id, local_id)
          CROSS JOIN LATERAL (SELECT o.ctid AS place FROM sync_record o WHERE o.org_id = org AND o.id = t.id FOR UPDATE) f
          OFFSET 0) x
    WHERE r.ctid = x.place
$$;
COMMENT ON FUNCTION sync_note_keys(uuid, bigint[], text[]) IS 'Tells rows of the ledger the keys that their local rows are going to have.';

CREATE FUNCTION sync_record_part(record jsonb, fields text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(x.key, x.value) FILTER (WHERE x.part = 'record'), '{}')
           || coalesce(jsonb_build_object('mapped', jsonb_object_agg(x.key, x.value) FILTER (WHERE x.part = 'mapped')), '{}')
    FROM (SELECT 'record' AS part, r.key, r.value FROM jsonb_each(record) r WHERE r.key = ANY (fields)
          UNION ALL
          SELECT 'mapped', m.key, m.value
          FROM jsonb_each(CASE jsonb_typeof(record -> 'mapped') WHEN 'object' THEN record -> 'mapped' ELSE '{}' END) m
          WHERE 'custom.' || m.key = ANY (fields)) x
$$;
COMMENT ON FUNCTION sync_record_part(jsonb, text[]) IS 'Some fields of a record, custom.* among them.';

-- One chunk, all or nothing. The ledger's row learns the new local row's key before that row is there, so that what tracks the
-- relation finds it instead of entering another one.
CREATE FUNCTION sync_apply_chunk(k sync_comparison, class text, chunk bigint[], history uuid, chosen text[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    is_scanned boolean := (SELECT l.tracking = 'scan' FROM sync_layout l WHERE l.id = k.layout);
    operation text := CASE class WHEN 'new' THEN 'insert' WHEN 'updated' THEN 'update' ELSE 'delete' END;
    came_from jsonb := (SELECT jsonb_build_object('sync_type', c.name) FROM integration_connector c, sync_entity e
                        WHERE c.org_id = k.org_id AND c.number = k.connector AND e.number = k.entity AND e.is_document);
    fields text[];
    ids text[];
    external_ids text[];
    records jsonb[];
    written_ids text[];
    images text[];
    prints bigint[];
BEGIN
    SELECT array_agg(r.local_id ORDER BY r.id), array_agg(r.external_id ORDER BY r.id),
           array_agg(CASE WHEN came_from IS NULL THEN r.remote ELSE r.remote || came_from END ORDER BY r.id)
    INTO ids, external_ids, records
    FROM unnest(chunk) c (id)
    CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = k.org_id AND x.id = c.id LIMIT 1) r;
    IF class = 'new' THEN
        IF chosen IS NOT NULL THEN
            -- what says where and when a record is from goes along
            records := ARRAY(
                SELECT sync_record_part(r.record, chosen || '{modified_at,sync_type}'::text[])
                FROM unnest(records) WITH ORDINALITY r (record, place)
                ORDER BY r.place);
        END IF;
        SELECT array_agg(w.local_id) INTO ids FROM sync_write(k.layout, 'key', k.org_id, NULL, records, NULL, NULL, NULL) w;
        IF EXISTS (SELECT FROM unnest(ids) i WHERE octet_length(i) > 2000) THEN
            RAISE EXCEPTION 'a new row would get a key of more than 2000 bytes' USING ERRCODE = 'P0001',
                DETAIL = 'Rows with such keys can''t be followed.';
        END IF;
        PERFORM sync_note_keys(k.org_id, ARRAY(SELECT i FROM unnest(chunk) i ORDER BY i), ids);
    ELSIF class = 'updated' THEN
        fields := ARRAY(SELECT f FROM unnest(sync_written_fields(k)) f WHERE chosen IS NULL OR f = ANY (chosen));
    END IF;
    SELECT array_agg(w.local_id), array_agg(w.image), array_agg(w.print) INTO written_ids, images, prints
    FROM sync_write(k.layout, operation, k.org_id, ids, records, fields, NULL, NULL) w;
    IF cardinality(coalesce(written_ids, '{}')) <> cardinality(ids) THEN
        RAISE EXCEPTION 'the local relation did not take the row' USING ERRCODE = 'P0001',
            DETAIL = 'A trigger or a rule left it out, or the row is gone.';
    ELSIF class = 'new' AND written_ids <> ids AND EXISTS (SELECT unnest(written_ids) EXCEPT SELECT unnest(ids)) THEN
        -- the record would never be found linked, and be written again each time
        RAISE EXCEPTION 'the local relation gave the row another key than its column''s default or field did' USING ERRCODE = 'P0001',
            DETAIL = 'A trigger sets it, or its type cuts what was given.',
            HINT = 'Give the key column a default that makes the key, or bind it to a field.';
    END IF;
    IF is_scanned THEN
        PERFORM sync_note_written(k, operation, written_ids);
    END IF;
    INSERT INTO sync_apply_image (org_id, history_id, connector, entity, layout, operation, local_ids, external_ids, images, prints)
    SELECT k.org_id, history, k.connector, k.entity, k.layout, operation, written_ids,
           ARRAY(SELECT e.external_id FROM unnest(written_ids) WITH ORDINALITY w (local_id, place)
                 LEFT JOIN unnest(ids, external_ids) AS e (local_id, external_id) ON e.local_id = w.local_id ORDER BY w.place),
           CASE WHEN operation <> 'insert' THEN images END, prints;
    SET CONSTRAINTS ALL IMMEDIATE;
    RETURN cardinality(written_ids);
END
$$;
COMMENT ON FUNCTION sync_apply_chunk(sync_comparison, text, bigint[], uuid, text[]) IS
    'Writes one chunk of changes, or only these fields of them, to the local relation, with images for undoing it.';

-- Where no trigger tracks the relation, the ledger is told here.
CREATE FUNCTION sync_note_written(k sync_comparison, operation text, ids text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off
AS $$
BEGIN
    IF operation = 'delete' THEN
        PERFORM sync_drop_local(k.layout, k.org_id, ids);
        RETURN;
    END IF;
    UPDATE sync_record r
    SET local_fingerprint = l.fingerprint,
        local_match_key = l.match_key,
        agreed_fingerprint = CASE WHEN l.fingerprint = r.remote_fingerprint THEN l.fingerprint ELSE r.agreed_fingerprint END
    FROM (SELECT f.place, sync_fingerprint(k.spec, x.record) AS fingerprint, sync_match_key(k.spec, x.record) AS match_key
          FROM sync_local_records(k.layout, k.org_id, ids) x
          CROSS JOIN LATERAL (SELECT o.ctid AS place FROM sync_record o
                              WHERE o.org_id = k.org_id AND o.connector = k.connector AND o.entity = k.entity AND o.local_id = x.local_id
                              FOR UPDATE) f
          OFFSET 0) l
    WHERE r.ctid = l.place;
END
$$;
COMMENT ON FUNCTION sync_note_written(sync_comparison, text, text[]) IS 'Carries written rows of a scanned relation to the ledger.';

-- What one record's content can cause is that record's failure; what the next would meet as well ends the apply.
CREATE FUNCTION sync_is_records_fault(state text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN left(state, 2) NOT IN ('08', '25', '28', '40', '42', '53', '54', '55', '57', '58', '72', 'F0', 'XX');
COMMENT ON FUNCTION sync_is_records_fault(text) IS 'Whether an error of that SQLSTATE is a record''s own.';

-- A column may hold something else than what was sent (rounded, cut, changed by a trigger). It would differ for ever, and
-- be written by every apply: so what the relation made of this record counts as equal to it, until either side changes.
-- The first time it is a warning.
CREATE FUNCTION sync_settle(k sync_comparison, written bigint[]) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    places tid[];
    ids bigint[];
    warnings jsonb;
BEGIN
    SELECT array_agg(r.place), array_agg(r.id ORDER BY r.id) INTO places, ids
    FROM unnest(written) t (id)
    CROSS JOIN LATERAL (SELECT x.ctid AS place, x.id FROM sync_record x
                        WHERE x.org_id = k.org_id AND x.id = t.id AND x.change = 'updated' FOR UPDATE) r;
    IF ids IS NULL THEN
        RETURN '{"unequal": 0, "warnings": []}';
    END IF;
    WITH shown AS MATERIALIZED (
        SELECT r.external_id, r.local_id, r.remote
        FROM unnest(ids[1:100]) t (id)
        CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = k.org_id AND x.id = t.id LIMIT 1) r)
    SELECT jsonb_agg(jsonb_build_object('externalId', s.external_id, 'localId', s.local_id, 'fields', (
               SELECT jsonb_object_agg(f.key, jsonb_build_object('sent', f.value -> 'new', 'held', f.value -> 'old'))
               FROM jsonb_each(sync_diff(k.spec, l.record, s.remote)) f)))
    INTO warnings
    FROM shown s
    JOIN sync_local_records(k.layout, k.org_id, ARRAY(SELECT x.local_id FROM shown x)) l ON l.local_id = s.local_id;
    UPDATE sync_record r SET settled = sync_pair(r.remote_fingerprint, r.local_fingerprint) WHERE r.ctid = ANY (places);
    RETURN jsonb_build_object('unequal', cardinality(ids), 'warnings', coalesce(warnings, '[]'));
END
$$;
COMMENT ON FUNCTION sync_settle(sync_comparison, bigint[]) IS
    'Lets what the local relation made of written records count as equal to them: {unequal, warnings: [{externalId, '
    'localId, fields: {field: {sent, held}}}]}, a hundred at most.';

-- A batch in one go; where that fails, in halves, until the bad records stand alone.
CREATE FUNCTION sync_apply_ids(k sync_comparison, class text, ids bigint[], history uuid, chosen text[] DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    lows int[] := ARRAY[1];
    highs int[] := ARRAY[cardinality(ids)];
    low int;
    high int;
    done bigint := 0;
    failures jsonb := '[]';
    state text;
    message text;
    detail text;
BEGIN
    WHILE cardinality(lows) > 0 LOOP
        low := lows[1];
        high := highs[1];
        lows := lows[2:];
        highs := highs[2:];
        CONTINUE WHEN high < low;
        BEGIN
            done := done + sync_apply_chunk(k, class, ids[low:high], history, chosen);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
            IF NOT sync_is_records_fault(state) THEN
                RAISE;
            ELSIF low < high THEN
                lows := ARRAY[low, (low + high) / 2 + 1] || lows;
                highs := ARRAY[(low + high) / 2, high] || highs;
            ELSE
                failures := failures || jsonb_build_object(
                    'id', ids[low], 'sqlstate', state, 'message', message, 'detail', nullif(detail, ''));
            END IF;
        END;
    END LOOP;
    RETURN jsonb_build_object('done', done, 'failures', failures)
        || sync_settle(k, CASE WHEN class = 'deleted' OR chosen IS NOT NULL THEN '{}' WHEN failures = '[]' THEN ids
                               ELSE ARRAY(SELECT unnest(ids) EXCEPT SELECT (f ->> 'id')::bigint FROM jsonb_array_elements(failures) f) END);
END
$$;
COMMENT ON FUNCTION sync_apply_ids(sync_comparison, text, bigint[], uuid, text[]) IS
    'Writes a batch of changes, or only these fields of them: {done, failures, unequal, warnings}; '
    'the records that the local relation refuses come back with its reasons.';

CREATE FUNCTION sync_note_failures(org uuid, history uuid, class text, failures jsonb) RETURNS jsonb
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH noted AS (
        INSERT INTO sync_apply_failure (org_id, history_id, change, external_id, local_id, match_key, sqlstate, message, detail)
        SELECT org, history, class, r.external_id, r.local_id, r.match_key, f.sqlstate, f.message, f.detail
        FROM jsonb_to_recordset(failures) AS f (id bigint, sqlstate text, message text, detail text)
        CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = org AND x.id = f.id LIMIT 1) r
        RETURNING change, external_id, local_id, match_key, sqlstate, message, detail)
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(n))), '[]') FROM noted n
$$;
COMMENT ON FUNCTION sync_note_failures(uuid, uuid, text, jsonb) IS
    'Enters records that the local relation refused ([{id, sqlstate, message, detail}]) into the history, '
    'and returns them as they are shown.';
