-- Applying: the delta written to the local relation, batch by batch, and taken back.

CREATE TABLE sync_apply_image (
    org_id uuid NOT NULL,
    history_id uuid NOT NULL,
    part bigint GENERATED ALWAYS AS IDENTITY,
    connector int NOT NULL,
    entity smallint NOT NULL,
    layout int NOT NULL,
    operation text NOT NULL CHECK (operation IN ('insert', 'update', 'delete')),
    local_ids text[] NOT NULL,
    external_ids text[] NOT NULL,
    images text[],
    prints bigint[],
    undone boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, history_id, part)
);
COMMENT ON TABLE sync_apply_image IS 'What rows were before an apply wrote them, chunk by chunk, so that sync_undo can restore them.';
COMMENT ON COLUMN sync_apply_image.prints IS 'Hash of each row as the apply left it: a row that is another one since is not undone.';

CREATE TABLE sync_apply_failure (
    org_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    history_id uuid NOT NULL,
    change text NOT NULL,
    external_id text,
    local_id text,
    match_key text,
    sqlstate text NOT NULL,
    message text NOT NULL,
    detail text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
CREATE INDEX sync_apply_failure_history ON sync_apply_failure (org_id, history_id);
COMMENT ON TABLE sync_apply_failure IS 'Records that an apply could not write, with the local table''s reason. The next apply tries them again.';

-- No foreign keys between tables that a dump takes along: a parallel restore loads them in any order. Deletions are followed by
-- triggers, which a restore doesn't fire.
CREATE FUNCTION sync_history_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM sync_apply_image;
        DELETE FROM sync_apply_failure;
    ELSE
        DELETE FROM sync_apply_image i USING gone g WHERE i.org_id = g.org_id AND i.history_id = g.id;
        DELETE FROM sync_apply_failure f USING gone g WHERE f.org_id = g.org_id AND f.history_id = g.id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION sync_history_deleted() IS 'Trigger: images and failures of an apply go with its history.';
CREATE TRIGGER sync_history_deleted AFTER DELETE ON sync_history REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION sync_history_deleted();
CREATE TRIGGER sync_history_truncated AFTER TRUNCATE ON sync_history FOR EACH STATEMENT EXECUTE FUNCTION sync_history_deleted();

-- What is going to be done, checked: {historyId, include, new, updated, deleted, set, parts}. What the ledger gets later is
-- in no part, and not what was checked.
CREATE FUNCTION sync_apply_begin(org uuid, sync_type text, entity_type text, wanted jsonb, run_id text, user_id text) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c integration_connector := sync_connector_of(org, sync_apply_begin.sync_type);
    e sync_entity := sync_entity_of(sync_apply_begin.entity_type);
    k sync_comparison;
    chosen jsonb;
    classes text[];
    n jsonb;
    mass jsonb;
    history uuid := gen_random_uuid();
    preview uuid := wanted ->> 'previewId';
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = c.number AND x.entity = e.number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a connector of kind "%" has no %', c.kind, e.name USING ERRCODE = '22023';
    END IF;
    PERFORM sync_layout_usable(k.layout), sync_scan_local(org, c.number, e.number);
    chosen := jsonb_build_object('new', true, 'updated', true, 'deleted', false)
        || coalesce((SELECT jsonb_strip_nulls(jsonb_build_object('new', s.config -> 'includeNew', 'updated', s.config -> 'includeUpdated',
                                                                 'deleted', s.config -> 'includeDeleted'))
                     FROM sync_selective_config s WHERE s.org_id = org AND s.entity_type = e.name), '{}')
        || jsonb_strip_nulls(jsonb_build_object('new', wanted -> 'new', 'updated', wanted -> 'updated', 'deleted', wanted -> 'deleted'));
    classes := ARRAY(SELECT class FROM unnest('{new,updated,deleted}'::text[]) class WHERE (chosen ->> class)::boolean);
    IF preview IS NULL THEN
        -- it goes when the apply ends; after a crash, with the expired previews
        PERFORM sync_keep_changes(org, c, e, history, classes, false, now() + interval '1 day');
    ELSE
        PERFORM sync_check_preview(org, c, e, preview);
        -- it may take longer than the preview is kept
        UPDATE sync_preview_item i SET expires_at = greatest(i.expires_at, now() + interval '1 day')
        WHERE i.org_id = org AND i.preview_id = preview;
    END IF;
    n := sync_count_kept(org, coalesce(preview, history), classes);
    IF NOT coalesce((wanted ->> 'allowMassDelete')::boolean, false) AND sync_is_mass_delete(org, c, e, (n ->> 'deleted')::bigint) THEN
        RAISE EXCEPTION '% of % local % would be deleted', n ->> 'deleted', sync_count_linked(org, c, e, NULL), e.name USING ERRCODE = '23514',
            DETAIL = format('More than %s %% (sync_ext.mass_delete_percent). Nothing was written.', current_setting('sync_ext.mass_delete_percent')),
            HINT = 'If that is right, call sync_apply with allow_mass_delete => true; include_deleted => false leaves deletions out.';
    END IF;
    IF (n ->> 'updated')::bigint > 0 AND NOT coalesce((wanted ->> 'allowMassUpdate')::boolean, false) THEN
        mass := sync_mass_update(org, c, e, ARRAY(
            SELECT t.id FROM sync_preview_item i, unnest(i.ids) t (id)
            WHERE i.org_id = org AND i.preview_id = coalesce(preview, history) AND i.change = 'updated'), (n ->> 'updated')::bigint);
        IF mass ? 'massUpdate' THEN
            RAISE EXCEPTION '% of % local % would be updated', n ->> 'updated', sync_count_linked(org, c, e, NULL), e.name USING ERRCODE = '23514',
                DETAIL = CASE WHEN mass ? 'emptied'
                              THEN format('Fields that become empty, with the number of records: %s. Nothing was written.', mass ->> 'emptied')
                              ELSE format('More than %s %% (sync_ext.mass_update_percent). Nothing was written.',
                                          current_setting('sync_ext.mass_update_percent')) END,
                HINT = 'If that is right, call sync_apply with allow_mass_update => true; include_updated => false leaves updates out.';
        END IF;
    END IF;
    -- partial until it is complete: so a crash needs no mending
    INSERT INTO sync_history (org_id, id, user_id, sync_type, status, metadata)
    VALUES (org, history, sync_apply_begin.user_id, 'manual', 'partial_success',
            jsonb_build_object('operation', CASE WHEN (wanted ->> 'dryRun')::boolean THEN 'dry run' ELSE 'apply' END, 'syncId', run_id,
                               'syncType', c.name, 'entityType', e.name, 'relation', (SELECT l.relation::text FROM sync_layout l WHERE l.id = k.layout),
                               'include', chosen, 'planned', n, 'previewId', wanted -> 'previewId'));
    RETURN jsonb_build_object('historyId', history, 'include', chosen, 'set', coalesce(preview, history),
                              'parts', ARRAY(SELECT i.part FROM sync_preview_item i
                                             WHERE i.org_id = org AND i.preview_id = coalesce(preview, history) AND i.change = ANY (classes)
                                             ORDER BY i.part)) || n;
END
$$;
COMMENT ON FUNCTION sync_apply_begin(uuid, text, text, jsonb, text, text) IS 'Checks what an apply is going to do (preview, mass deletion, mass update) and enters it into the history.';

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
                          WHERE m.org_id = k.org_id AND m.connector = k.connector AND m.entity = k.entity AND m.field = f AND NOT m.compared))
$$;
COMMENT ON FUNCTION sync_written_fields(sync_comparison) IS 'The fields that an apply writes to a row that is there: the compared ones, those that come along, and which connector a document came from.';

-- One chunk, all or nothing, of rows that sync_apply_batch has locked. The ledger's row learns the new local row's key before that row is there, so that what
-- tracks the relation finds it instead of entering another one.
CREATE FUNCTION sync_apply_chunk(k sync_comparison, class text, chunk bigint[], history uuid) RETURNS bigint
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
        SELECT array_agg(w.local_id) INTO ids FROM sync_write(k.layout, 'key', k.org_id, NULL, records, NULL, NULL, NULL) w;
        UPDATE sync_record r SET local_id = x.local_id
        FROM (SELECT t.id, t.local_id FROM unnest(ARRAY(SELECT i FROM unnest(chunk) i ORDER BY i), ids) AS t (id, local_id)) x
        WHERE r.org_id = k.org_id AND r.id = x.id;
    ELSIF class = 'updated' THEN
        fields := sync_written_fields(k);
    END IF;
    SELECT array_agg(w.local_id), array_agg(w.image), array_agg(w.print) INTO written_ids, images, prints
    FROM sync_write(k.layout, operation, k.org_id, ids, records, fields, NULL, NULL) w;
    IF cardinality(coalesce(written_ids, '{}')) <> cardinality(ids) THEN
        RAISE EXCEPTION 'the local relation did not take the row' USING ERRCODE = 'P0001',
            DETAIL = 'A trigger or a rule left it out, or the row is gone.';
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
COMMENT ON FUNCTION sync_apply_chunk(sync_comparison, text, bigint[], uuid) IS 'Writes one chunk of changes to the local relation, with images for undoing it.';

-- Where no trigger tracks the relation, the ledger is told here.
CREATE FUNCTION sync_note_written(k sync_comparison, operation text, ids text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
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
    FROM (SELECT x.local_id, sync_fingerprint(k.spec, x.record) AS fingerprint, sync_match_key(k.spec, x.record) AS match_key
          FROM sync_local_records(k.layout, k.org_id, ids) x) l
    WHERE r.org_id = k.org_id AND r.connector = k.connector AND r.entity = k.entity AND r.local_id = l.local_id;
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
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
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
COMMENT ON FUNCTION sync_settle(sync_comparison, bigint[]) IS 'Lets what the local relation made of written records count as equal to them: {unequal, warnings: [{externalId, localId, fields: {field: {sent, held}}}]}, a hundred at most.';

-- A batch in one go; where that fails, in halves, until the bad records stand alone.
CREATE FUNCTION sync_apply_ids(k sync_comparison, class text, ids bigint[], history uuid) RETURNS jsonb
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
            done := done + sync_apply_chunk(k, class, ids[low:high], history);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
            IF NOT sync_is_records_fault(state) THEN
                RAISE;
            ELSIF low < high THEN
                lows := ARRAY[low, (low + high) / 2 + 1] || lows;
                highs := ARRAY[(low + high) / 2, high] || highs;
            ELSE
                failures := failures || jsonb_build_object('id', ids[low], 'sqlstate', state, 'message', message, 'detail', nullif(detail, ''));
            END IF;
        END;
    END LOOP;
    RETURN jsonb_build_object('done', done, 'failures', failures)
        || sync_settle(k, CASE WHEN class = 'deleted' THEN '{}' WHEN failures = '[]' THEN ids
                               ELSE ARRAY(SELECT unnest(ids) EXCEPT SELECT (f ->> 'id')::bigint FROM jsonb_array_elements(failures) f) END);
END
$$;
COMMENT ON FUNCTION sync_apply_ids(sync_comparison, text, bigint[], uuid) IS 'Writes a batch of changes: {done, failures, unequal, warnings}; the records that the local relation refuses come back with its reasons.';

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
COMMENT ON FUNCTION sync_note_failures(uuid, uuid, text, jsonb) IS 'Enters records that the local relation refused ([{id, sqlstate, message, detail}]) into the history, and returns them as they are shown.';

-- Rows of the app whose transaction had not ended when the pull matched are as yet unlinked: they would be inserted
-- a second time.
CREATE FUNCTION sync_match_late(k sync_comparison, chosen bigint[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT sync_match_keys(k.org_id, k.connector, k.entity, x.keys)
    FROM (SELECT array_agg(DISTINCT r.match_key) AS keys
          FROM unnest(chosen) c (id)
          CROSS JOIN LATERAL (SELECT n.match_key FROM sync_record n WHERE n.org_id = k.org_id AND n.id = c.id LIMIT 1) r
          CROSS JOIN LATERAL (SELECT FROM sync_record l
                              WHERE l.org_id = k.org_id AND l.connector = k.connector AND l.entity = k.entity
                                AND l.local_match_key = r.match_key AND l.external_id IS NULL
                              LIMIT 1) l) x
    WHERE x.keys IS NOT NULL
$$;
COMMENT ON FUNCTION sync_match_late(sync_comparison, bigint[]) IS 'Links those of some new records that local rows have turned up for.';

-- One part of what was noted at the beginning, written: {change, done, failures, unequal, warnings, kept}. Its rows are looked up one by
-- one, whatever the planner thinks of them (LATERAL leaves it no choice): with statistics of before, or none, it
-- would read the whole ledger for each part.
CREATE FUNCTION sync_apply_batch(org uuid, connector_no int, entity_no smallint, noted uuid, part_no int, history uuid) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    k sync_comparison;
    item sync_preview_item;
    mirror boolean := (SELECT sync_is_mirror(i) FROM integration_connector i WHERE i.org_id = org AND i.number = connector_no);
    ids bigint[];
    kept bigint[] := '{}';
    outcome jsonb;
    failures jsonb;
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no;
    SELECT * INTO item FROM sync_preview_item i WHERE i.org_id = org AND i.preview_id = noted AND i.part = part_no;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'what this apply had noted is gone' USING ERRCODE = '40001', HINT = 'Apply again: what was written is not written twice.';
    END IF;
    IF item.change = 'new' THEN
        PERFORM sync_match_late(k, item.ids);
    END IF;
    -- Whoever changes one of them just now is waited for. What has moved since the beginning is left for the next preview;
    -- without one, what is another class of change by now.
    SELECT array_agg(x.id ORDER BY x.id) INTO ids
    FROM unnest(item.ids, item.states) AS t (id, state)
    CROSS JOIN LATERAL (
        SELECT r.id FROM sync_record r
        WHERE r.org_id = org AND r.id = t.id AND sync_pending_change(r, mirror) = item.change
          AND (t.state IS NULL OR sync_record_state(r) = t.state)
        FOR UPDATE) x;
    IF item.change = 'deleted' AND sync_is_shared(org, connector_no, entity_no) THEN
        kept := sync_let_go(org, ids);
        ids := ARRAY(SELECT unnest(ids) EXCEPT SELECT unnest(kept) ORDER BY 1);
    END IF;
    IF coalesce(cardinality(ids), 0) = 0 THEN
        RETURN jsonb_build_object('change', item.change, 'done', 0, 'failures', '[]'::jsonb, 'kept', cardinality(kept));
    END IF;
    outcome := sync_apply_ids(k, item.change, ids, history);
    failures := sync_note_failures(org, history, item.change, outcome -> 'failures');
    UPDATE sync_history h
    SET items_processed = sync_count(items_processed::bigint + cardinality(ids)),
        items_created = sync_count(items_created + CASE item.change WHEN 'new' THEN (outcome ->> 'done')::bigint ELSE 0 END),
        items_updated = sync_count(items_updated + CASE item.change WHEN 'updated' THEN (outcome ->> 'done')::bigint ELSE 0 END),
        items_deleted = sync_count(items_deleted + CASE item.change WHEN 'deleted' THEN (outcome ->> 'done')::bigint ELSE 0 END),
        items_failed = sync_count(items_failed::bigint + jsonb_array_length(failures))
    WHERE h.org_id = org AND h.id = history;
    RETURN jsonb_build_object(
        'change', item.change, 'done', outcome -> 'done', 'failures', failures, 'kept', cardinality(kept),
        'unequal', outcome -> 'unequal', 'warnings', outcome -> 'warnings');
END
$$;
COMMENT ON FUNCTION sync_apply_batch(uuid, int, smallint, uuid, int, uuid) IS 'Writes one part of the changes that were noted for an apply, and notes the failures in the history.';

CREATE FUNCTION sync_apply_end(org uuid, history uuid, status text, duration bigint, facts jsonb) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    DELETE FROM sync_preview_item i WHERE i.org_id = org AND i.preview_id = history;
    UPDATE sync_history h SET status = sync_apply_end.status, duration_ms = sync_count(duration), metadata = h.metadata || facts
    WHERE h.org_id = org AND h.id = history;
$$;
COMMENT ON FUNCTION sync_apply_end(uuid, uuid, text, bigint, jsonb) IS 'Writes down how an apply ended.';
