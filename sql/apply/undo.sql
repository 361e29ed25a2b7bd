-- Undoing an apply: what it wrote is taken back where nobody has touched it since.

-- Where the record has come back meanwhile, or the row has got another one, the link stays ended.
CREATE FUNCTION sync_relink(p sync_apply_image) RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    places tid[];
    external_ids text[];
    images jsonb[];
    relinked text[];
BEGIN
    SELECT array_agg(r.place), array_agg(t.external_id), array_agg(t.image) INTO places, external_ids, images
    FROM unnest(p.local_ids, p.external_ids, p.images::jsonb[]) AS t (local_id, external_id, image)
    CROSS JOIN LATERAL (SELECT x.ctid AS place FROM sync_record x
                        WHERE x.org_id = p.org_id AND x.connector = p.connector AND x.entity = p.entity AND x.local_id = t.local_id
                          AND x.external_id IS NULL FOR UPDATE) r;
    WITH linked AS (
        UPDATE sync_record r
        SET external_id = t.external_id,
            parent_id = t.image ->> 'parent_id',
            match_key = t.image ->> 'match_key',
            remote = nullif(t.image -> 'remote', 'null'),
            remote_modified_at = (t.image ->> 'remote_modified_at')::timestamptz
        FROM unnest(places, external_ids, images) AS t (place, external_id, image)
        LEFT JOIN LATERAL (SELECT true AS is_back FROM sync_record o
                           WHERE o.org_id = p.org_id AND o.connector = p.connector AND o.entity = p.entity AND o.external_id = t.external_id
                           LIMIT 1) o ON true
        WHERE r.ctid = t.place AND o.is_back IS NULL
        RETURNING r.local_id)
    SELECT coalesce(array_agg(l.local_id), '{}') INTO relinked FROM linked l;
    RETURN relinked;
END
$$;
COMMENT ON FUNCTION sync_relink(sync_apply_image) IS
    'Links records that are gone with their local rows again, as they were before an apply ended that; returns the rows.';

-- The link of a deleted row is restored first, so that what tracks the relation finds it: the preview then shows the
-- deletion again.
CREATE FUNCTION sync_undo_part(p sync_apply_image) RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    k sync_comparison;
    places tid[];
    operation text := CASE WHEN p.operation = 'delete' AND p.prints[1] IS NOT NULL THEN 'undo update' ELSE 'undo ' || p.operation END;
    undone text[];
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = p.org_id AND x.connector = p.connector AND x.entity = p.entity;
    UPDATE sync_apply_image i SET undone = true WHERE i.org_id = p.org_id AND i.history_id = p.history_id AND i.part = p.part;
    IF p.operation = 'unlink' THEN
        RETURN sync_relink(p);
    ELSIF p.operation = 'delete' THEN
        INSERT INTO sync_record (org_id, connector, entity, external_id, local_id)
        SELECT p.org_id, p.connector, p.entity, t.external_id, t.local_id
        FROM unnest(p.external_ids, p.local_ids) AS t (external_id, local_id)
        WHERE t.external_id IS NOT NULL AND k.layout = p.layout
        ON CONFLICT DO NOTHING;
    END IF;
    SELECT coalesce(array_agg(w.local_id), '{}') INTO undone
    FROM sync_write(p.layout, operation, p.org_id, p.local_ids, NULL, NULL, p.images, p.prints) w;
    IF k.layout = p.layout AND (SELECT l.tracking = 'scan' FROM sync_layout l WHERE l.id = p.layout) THEN
        PERFORM sync_note_written(k, CASE p.operation WHEN 'insert' THEN 'delete' ELSE 'update' END, undone);
    END IF;
    IF p.operation = 'delete' AND cardinality(undone) < cardinality(p.local_ids) THEN
        -- rows of the ledger that found no local row
        places := ARRAY(
            SELECT x.place FROM (SELECT unnest(p.local_ids) EXCEPT SELECT unnest(undone)) t (local_id)
            CROSS JOIN LATERAL (
                SELECT r.ctid AS place FROM sync_record r
                WHERE r.org_id = p.org_id AND r.connector = p.connector AND r.entity = p.entity
                  AND r.local_id = t.local_id AND r.local_fingerprint IS NULL AND r.remote_fingerprint IS NULL
                FOR UPDATE) x);
        DELETE FROM sync_record r WHERE r.ctid = ANY (places);
    END IF;
    RETURN undone;
END
$$;
COMMENT ON FUNCTION sync_undo_part(sync_apply_image) IS 'Takes back one chunk of an apply; returns the local ids for which it could.';

CREATE FUNCTION sync_undo_refusals(p sync_apply_image, done text[], at_most int) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'localId', t.local_id, 'externalId', t.external_id, 'operation', p.operation,
        'reason', 'the row, or the columns of its table, have changed since')), '[]')
    FROM (SELECT x.local_id, x.external_id
          FROM unnest(p.local_ids, p.external_ids) AS x (local_id, external_id)
          LEFT JOIN unnest(done) AS d (local_id) ON d.local_id = x.local_id
          WHERE d.local_id IS NULL LIMIT greatest(0, at_most)) t
$$;
COMMENT ON FUNCTION sync_undo_refusals(sync_apply_image, text[], int) IS 'What an undo left as it is of one chunk, with the reason.';

-- only_of: the history is that user's ('': nobody's), or there is none.
CREATE FUNCTION sync_take_back(org uuid, history uuid, user_id text, only_of text) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    h sync_history;
    p sync_apply_image;
    done text[];
    refused jsonb := '[]';
    counts jsonb := '{"insert": 0, "update": 0, "delete": 0, "unlink": 0}';
    kept bigint := 0;
    started timestamptz := clock_timestamp();
    written uuid;
BEGIN
    SELECT * INTO h FROM sync_history x
    WHERE x.org_id = org AND x.id = sync_take_back.history AND (only_of IS NULL OR x.user_id = nullif(only_of, '')) FOR UPDATE;
    IF NOT FOUND OR coalesce(h.metadata ->> 'operation', '') NOT IN ('apply', 'list') THEN
        RAISE EXCEPTION 'there is no apply "%" in the history', sync_take_back.history USING ERRCODE = '42704',
            HINT = 'sync_history lists them: metadata ->> ''operation'' is apply, or list.';
    END IF;
    IF h.metadata ? 'undoneBy' THEN
        RAISE EXCEPTION 'this apply was undone already' USING ERRCODE = '55000', DETAIL = format('By %s.', h.metadata ->> 'undoneBy');
    END IF;
    FOR p IN SELECT * FROM sync_apply_image i WHERE i.org_id = org AND i.history_id = h.id AND NOT i.undone ORDER BY i.part DESC LOOP
        PERFORM sync_hold_runs(org, c, e) FROM integration_connector c, sync_entity e
        WHERE c.org_id = org AND c.number = p.connector AND e.number = p.entity;
        IF NOT EXISTS (SELECT FROM sync_layout l WHERE l.id = p.layout) THEN
            RAISE EXCEPTION 'the relation that this apply wrote is not bound any more' USING ERRCODE = '55000',
                HINT = 'Nothing was undone.';
        END IF;
        PERFORM sync_layout_usable(p.layout);
        done := sync_undo_part(p);
        counts := jsonb_set(counts, ARRAY[p.operation], to_jsonb((counts ->> p.operation)::bigint + cardinality(done)));
        kept := kept + cardinality(p.local_ids) - cardinality(done);
        IF cardinality(done) < cardinality(p.local_ids) THEN
            refused := refused || sync_undo_refusals(p, done, 100 - jsonb_array_length(refused));
        END IF;
    END LOOP;
    INSERT INTO sync_history (org_id, user_id, sync_type, status, items_processed,
                              items_created, items_updated, items_deleted, items_failed, duration_ms, metadata)
    VALUES (org, sync_take_back.user_id, 'manual', CASE WHEN kept = 0 THEN 'completed' ELSE 'partial_success' END,
            sync_count((counts ->> 'insert')::bigint + (counts ->> 'update')::bigint + (counts ->> 'delete')::bigint
                       + (counts ->> 'unlink')::bigint + kept),
            sync_count((counts ->> 'delete')::bigint), sync_count((counts ->> 'update')::bigint), sync_count((counts ->> 'insert')::bigint),
            sync_count(kept), extract(epoch FROM clock_timestamp() - started) * 1000,
            jsonb_build_object('operation', 'undo', 'undoes', h.id, 'syncType', h.metadata -> 'syncType',
                               'entityType', h.metadata -> 'entityType', 'refused', refused))
    RETURNING id INTO written;
    UPDATE sync_history x SET metadata = x.metadata || jsonb_build_object('undoneBy', written) WHERE x.org_id = org AND x.id = h.id;
    DELETE FROM sync_preview_cache c WHERE c.org_id = org AND c.entity_type = h.metadata ->> 'entityType' AND c.preview_id IS NOT NULL;
    RETURN jsonb_build_object(
        'historyId', written, 'undoes', h.id, 'syncType', h.metadata -> 'syncType', 'entityType', h.metadata -> 'entityType',
        'status', CASE WHEN kept = 0 THEN 'completed' ELSE 'partial_success' END,
        'removed', counts -> 'insert', 'restored', (counts ->> 'update')::bigint + (counts ->> 'delete')::bigint,
        'relinked', counts -> 'unlink', 'refused', kept, 'refusals', refused);
END
$$;
COMMENT ON FUNCTION sync_take_back(uuid, uuid, text, text) IS 'Takes back what one apply wrote: what a worker does for sync_undo().';
