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

-- What a preview has shown, so that an apply can be bound to exactly that.
CREATE TABLE sync_preview_item (
    org_id uuid NOT NULL,
    preview_id uuid NOT NULL,
    part int NOT NULL,
    connector int NOT NULL,
    entity smallint NOT NULL,
    ids bigint[] NOT NULL,
    states uuid[] NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, preview_id, part)
);
CREATE INDEX sync_preview_item_expiry ON sync_preview_item (expires_at);
COMMENT ON TABLE sync_preview_item IS 'The records of a preview and the state of both sides that it was made of, a thousand to a row.';

-- deleted_scope = 'all': local rows that were never linked count as deletions, unless another connector has them
CREATE FUNCTION sync_pending_change(r sync_record, mirror boolean) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE WHEN NOT mirror OR r.external_id IS NOT NULL THEN r.change WHEN NOT sync_is_held(r) THEN 'deleted' END;
COMMENT ON FUNCTION sync_pending_change(sync_record, boolean) IS 'What an apply would do for a row of the ledger.';

CREATE FUNCTION sync_record_state(r sync_record) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN md5(concat_ws(':', r.remote_fingerprint, r.local_fingerprint, r.external_id, r.local_id))::uuid;
COMMENT ON FUNCTION sync_record_state(sync_record) IS 'Both sides of a row of the ledger in short: another one where either has moved.';

CREATE FUNCTION sync_is_mirror(c integration_connector) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN coalesce(c.settings ->> 'deleted_scope', 'linked') = 'all';
COMMENT ON FUNCTION sync_is_mirror(integration_connector) IS 'Whether local rows that were never linked are deletions.';

CREATE FUNCTION sync_keep_preview(org uuid, c integration_connector, e sync_entity, preview uuid, expires timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    n bigint;
BEGIN
    DELETE FROM sync_preview_item i WHERE i.org_id = org AND i.expires_at <= now();
    INSERT INTO sync_preview_item (org_id, preview_id, part, connector, entity, ids, states, expires_at)
    SELECT org, preview, x.part, c.number, e.number, array_agg(x.id ORDER BY x.id), array_agg(x.state ORDER BY x.id), expires
    FROM (SELECT r.id, sync_record_state(r) AS state, (row_number() OVER (ORDER BY r.id) - 1) / 1000 AS part
          FROM sync_record r
          WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number
            AND (r.change IN ('new', 'updated', 'deleted') OR sync_is_mirror(c) AND r.external_id IS NULL AND NOT sync_is_held(r))) x
    GROUP BY x.part;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$$;
COMMENT ON FUNCTION sync_keep_preview(uuid, integration_connector, sync_entity, uuid, timestamptz) IS 'Notes what a preview was made of.';

CREATE FUNCTION sync_check_preview(org uuid, c integration_connector, e sync_entity, preview uuid) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    moved text[];
    n bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM sync_preview_item i WHERE i.org_id = org AND i.preview_id = preview AND i.connector = c.number AND i.entity = e.number
                   AND i.expires_at > now()) THEN
        RAISE EXCEPTION 'there is no such preview of % of "%"', e.name, c.name USING ERRCODE = '40001',
            DETAIL = 'It showed no changes, has expired, or is of something else.', HINT = 'Make a new preview, and pass its previewId.';
    END IF;
    SELECT count(*), (array_agg(coalesce(r.external_id, r.local_id, format('record %s, which is gone', x.id))))[1:10] INTO n, moved
    FROM sync_preview_item i
    CROSS JOIN LATERAL unnest(i.ids, i.states) AS x (id, state)
    LEFT JOIN sync_record r ON r.org_id = org AND r.id = x.id
    WHERE i.org_id = org AND i.preview_id = preview AND (r.id IS NULL OR sync_record_state(r) <> x.state);
    IF n > 0 THEN
        RAISE EXCEPTION 'the preview is no longer true: % of its records have changed', n USING ERRCODE = '40001',
            DETAIL = format('Changed since: %s%s.', array_to_string(moved, ', '), CASE WHEN n > 10 THEN ', ...' ELSE '' END),
            HINT = 'Nothing was written. Make a new preview.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_check_preview(uuid, integration_connector, sync_entity, uuid) IS '40001 where either side has moved since a preview for a record in it.';

CREATE FUNCTION sync_count_pending(org uuid, c integration_connector, e sync_entity, preview uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF preview IS NOT NULL THEN
        RETURN (SELECT jsonb_object_agg(class, (SELECT count(*) FROM sync_preview_item i CROSS JOIN LATERAL unnest(i.ids) AS t (id)
                                                JOIN sync_record r ON r.org_id = org AND r.id = t.id
                                                WHERE i.org_id = org AND i.preview_id = preview AND sync_pending_change(r, sync_is_mirror(c)) = class))
                FROM unnest('{new,updated,deleted}'::text[]) class);
    END IF;
    RETURN (SELECT jsonb_object_agg(class, (SELECT count(*) FROM sync_record r
                                            WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number
                                              AND (r.change = class
                                                   OR class = 'deleted' AND sync_is_mirror(c) AND r.external_id IS NULL AND NOT sync_is_held(r))))
            FROM unnest('{new,updated,deleted}'::text[]) class);
END
$$;
COMMENT ON FUNCTION sync_count_pending(uuid, integration_connector, sync_entity, uuid) IS 'How many records of each class an apply would find, of all or of a preview: {new, updated, deleted}.';

-- What is going to be done, checked: {historyId, include, upto, new, updated, deleted}. What the ledger gets later is
-- beyond upto, and not what was checked.
CREATE FUNCTION sync_apply_begin(org uuid, sync_type text, entity_type text, wanted jsonb, run_id text, user_id text) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c integration_connector := sync_connector_of(org, sync_apply_begin.sync_type);
    e sync_entity := sync_entity_of(sync_apply_begin.entity_type);
    k sync_comparison;
    chosen jsonb;
    n jsonb;
    linked bigint;
    history uuid;
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = c.number AND x.entity = e.number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a connector of kind "%" has no %', c.kind, e.name USING ERRCODE = '22023';
    END IF;
    PERFORM sync_layout_usable(k.layout), sync_scan_local(org, c.number, e.number);
    IF wanted ->> 'previewId' IS NOT NULL THEN
        PERFORM sync_check_preview(org, c, e, (wanted ->> 'previewId')::uuid);
    END IF;
    chosen := jsonb_build_object('new', true, 'updated', true, 'deleted', false)
        || coalesce((SELECT jsonb_strip_nulls(jsonb_build_object('new', s.config -> 'includeNew', 'updated', s.config -> 'includeUpdated',
                                                                 'deleted', s.config -> 'includeDeleted'))
                     FROM sync_selective_config s WHERE s.org_id = org AND s.entity_type = e.name), '{}')
        || jsonb_strip_nulls(jsonb_build_object('new', wanted -> 'new', 'updated', wanted -> 'updated', 'deleted', wanted -> 'deleted'));
    SELECT jsonb_object_agg(p.key, CASE WHEN (chosen ->> p.key)::boolean THEN p.value::bigint ELSE 0 END) INTO n
    FROM jsonb_each_text(sync_count_pending(org, c, e, (wanted ->> 'previewId')::uuid)) p;
    IF (n ->> 'deleted')::bigint > 0 AND NOT coalesce((wanted ->> 'allowMassDelete')::boolean, false) THEN
        SELECT count(*) INTO linked FROM sync_record r
        WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number AND r.local_id IS NOT NULL
          AND (r.external_id IS NOT NULL OR sync_is_mirror(c));
        IF (n ->> 'deleted')::bigint * 100 > linked * current_setting('sync_ext.mass_delete_percent')::int THEN
            RAISE EXCEPTION '% of % local % would be deleted', n ->> 'deleted', linked, e.name USING ERRCODE = '23514',
                DETAIL = format('More than %s %% (sync_ext.mass_delete_percent). Nothing was written.', current_setting('sync_ext.mass_delete_percent')),
                HINT = 'If that is right, call sync_apply with allow_mass_delete => true; include_deleted => false leaves deletions out.';
        END IF;
    END IF;
    -- partial until it is complete: so a crash needs no mending
    INSERT INTO sync_history (org_id, user_id, sync_type, status, metadata)
    VALUES (org, sync_apply_begin.user_id, 'manual', 'partial_success',
            jsonb_build_object('operation', CASE WHEN (wanted ->> 'dryRun')::boolean THEN 'dry run' ELSE 'apply' END, 'syncId', run_id,
                               'syncType', c.name, 'entityType', e.name, 'relation', (SELECT l.relation::text FROM sync_layout l WHERE l.id = k.layout),
                               'include', chosen, 'planned', n, 'previewId', wanted -> 'previewId'))
    RETURNING id INTO history;
    RETURN jsonb_build_object('historyId', history, 'include', chosen,
                              'upto', (SELECT coalesce(max(r.id), 0) FROM sync_record r WHERE r.org_id = org)) || n;
END
$$;
COMMENT ON FUNCTION sync_apply_begin(uuid, text, text, jsonb, text, text) IS 'Checks what an apply is going to do (preview, mass deletion) and enters it into the history.';

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
    FROM sync_record r WHERE r.org_id = k.org_id AND r.id = ANY (chunk);
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
    RETURN jsonb_build_object('done', done, 'failures', failures);
END
$$;
COMMENT ON FUNCTION sync_apply_ids(sync_comparison, text, bigint[], uuid) IS 'Writes a batch of changes; the records that the local relation refuses come back with its reasons.';

-- Rows of the app whose transaction had not ended when the pull matched are as yet unlinked: they would be inserted
-- a second time.
CREATE FUNCTION sync_match_late(k sync_comparison, chosen bigint[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT sync_match_keys(k.org_id, k.connector, k.entity, x.keys)
    FROM (SELECT array_agg(DISTINCT r.match_key) AS keys
          FROM sync_record r
          CROSS JOIN LATERAL (SELECT FROM sync_record l
                              WHERE l.org_id = k.org_id AND l.connector = k.connector AND l.entity = k.entity
                                AND l.local_match_key = r.match_key AND l.external_id IS NULL
                              LIMIT 1) l
          WHERE r.org_id = k.org_id AND r.id = ANY (chosen)) x
    WHERE x.keys IS NOT NULL
$$;
COMMENT ON FUNCTION sync_match_late(sync_comparison, bigint[]) IS 'Links those of some new records that local rows have turned up for.';

-- The next batch of a class after a row of the ledger: {last, done, failures, unequal, kept}; last NULL when there is none.
CREATE FUNCTION sync_apply_batch(org uuid, connector_no int, entity_no smallint, class text, after bigint, upto bigint, batch int,
        preview uuid, history uuid) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    k sync_comparison;
    c integration_connector;
    ids bigint[];
    states uuid[];
    kept bigint[] := '{}';
    last bigint;
    outcome jsonb;
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no;
    SELECT * INTO c FROM integration_connector i WHERE i.org_id = org AND i.number = connector_no;
    IF preview IS NULL THEN
        SELECT array_agg(x.id ORDER BY x.id) INTO ids
        FROM (SELECT r.id FROM sync_record r
              WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
                AND r.id > after AND r.id <= upto AND r.change = class
              UNION ALL
              SELECT r.id FROM sync_record r
              WHERE class = 'deleted' AND sync_is_mirror(c)
                AND r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
                AND r.id > after AND r.id <= upto AND r.external_id IS NULL
              ORDER BY 1 LIMIT batch) x;
    ELSE
        -- what has moved since the beginning is left for the next preview
        SELECT array_agg(x.id ORDER BY x.id), array_agg(x.state ORDER BY x.id) INTO ids, states
        FROM (SELECT r.id, t.state
              FROM sync_preview_item i
              CROSS JOIN LATERAL unnest(i.ids, i.states) AS t (id, state)
              JOIN sync_record r ON r.org_id = org AND r.id = t.id
              WHERE i.org_id = org AND i.preview_id = preview AND i.ids[cardinality(i.ids)] > after AND t.id > after
                AND sync_record_state(r) = t.state AND sync_pending_change(r, sync_is_mirror(c)) = class
              ORDER BY r.id LIMIT batch) x;
    END IF;
    IF ids IS NULL THEN
        RETURN '{"done": 0, "failures": []}';
    END IF;
    last := ids[cardinality(ids)];
    IF class = 'new' THEN
        PERFORM sync_match_late(k, ids);
    END IF;
    -- Whoever changes one of them just now is waited for, and what it is then another class, or state, is left out.
    SELECT array_agg(x.id ORDER BY x.id) INTO ids
    FROM (SELECT r.id FROM sync_record r
          WHERE r.org_id = org AND r.id = ANY (ids) AND sync_pending_change(r, sync_is_mirror(c)) = class
            AND (states IS NULL OR sync_record_state(r) = states[array_position(ids, r.id)])
          ORDER BY r.id FOR UPDATE) x;
    IF class = 'deleted' THEN
        kept := sync_let_go(org, ids);
        ids := ARRAY(SELECT unnest(ids) EXCEPT SELECT unnest(kept) ORDER BY 1);
    END IF;
    IF coalesce(cardinality(ids), 0) = 0 THEN
        RETURN jsonb_build_object('last', last, 'done', 0, 'failures', '[]'::jsonb, 'kept', cardinality(kept));
    END IF;
    outcome := sync_apply_ids(k, class, ids, history);
    INSERT INTO sync_apply_failure (org_id, history_id, change, external_id, local_id, match_key, sqlstate, message, detail)
    SELECT org, history, class, r.external_id, r.local_id, r.match_key, f.sqlstate, f.message, f.detail
    FROM jsonb_to_recordset(outcome -> 'failures') AS f (id bigint, sqlstate text, message text, detail text)
    JOIN sync_record r ON r.org_id = org AND r.id = f.id;
    UPDATE sync_history h
    SET items_processed = sync_count(items_processed::bigint + cardinality(ids)),
        items_created = sync_count(items_created + CASE class WHEN 'new' THEN (outcome ->> 'done')::bigint ELSE 0 END),
        items_updated = sync_count(items_updated + CASE class WHEN 'updated' THEN (outcome ->> 'done')::bigint ELSE 0 END),
        items_deleted = sync_count(items_deleted + CASE class WHEN 'deleted' THEN (outcome ->> 'done')::bigint ELSE 0 END),
        items_failed = sync_count(items_failed::bigint + jsonb_array_length(outcome -> 'failures'))
    WHERE h.org_id = org AND h.id = history;
    RETURN jsonb_build_object(
        'last', last, 'done', outcome -> 'done', 'kept', cardinality(kept),
        'failures', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(f) - 'org_id' - 'id' - 'history_id' - 'created_at')), '[]')
                     FROM (SELECT * FROM sync_apply_failure x WHERE x.org_id = org AND x.history_id = history AND x.change = class
                           ORDER BY x.id DESC LIMIT jsonb_array_length(outcome -> 'failures')) f),
        -- written, and yet not equal: a column that can't hold the value as it is
        'unequal', (SELECT count(*) FROM sync_record r WHERE r.org_id = org AND r.id = ANY (ids) AND r.change = 'updated')
                   - CASE class WHEN 'updated' THEN jsonb_array_length(outcome -> 'failures') ELSE 0 END);
END
$$;
COMMENT ON FUNCTION sync_apply_batch(uuid, int, smallint, text, bigint, bigint, int, uuid, uuid) IS 'Writes the next batch of one class of changes, and notes the failures in the history.';

CREATE FUNCTION sync_apply_end(org uuid, history uuid, status text, duration bigint, facts jsonb) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    UPDATE sync_history h SET status = sync_apply_end.status, duration_ms = sync_count(duration), metadata = h.metadata || facts
    WHERE h.org_id = org AND h.id = history;
$$;
COMMENT ON FUNCTION sync_apply_end(uuid, uuid, text, bigint, jsonb) IS 'Writes down how an apply ended.';
