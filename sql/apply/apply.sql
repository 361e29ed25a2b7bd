-- Applying: the delta, as it was noted, written to the local relation part by part.

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
        RAISE EXCEPTION '% of % local % would be deleted', n ->> 'deleted', sync_count_linked(org, c, e, NULL), e.name
            USING ERRCODE = '23514',
            DETAIL = format('More than %s %% (sync_ext.mass_delete_percent). Nothing was written.',
                            current_setting('sync_ext.mass_delete_percent')),
            HINT = 'If that is right, call sync_apply with allow_mass_delete => true; include_deleted => false leaves deletions out.';
    END IF;
    IF (n ->> 'updated')::bigint > 0 AND NOT coalesce((wanted ->> 'allowMassUpdate')::boolean, false) THEN
        mass := sync_mass_update(org, c, e, ARRAY(
            SELECT t.id FROM sync_preview_item i, unnest(i.ids) t (id)
            WHERE i.org_id = org AND i.preview_id = coalesce(preview, history) AND i.change = 'updated'), (n ->> 'updated')::bigint);
        IF mass ? 'massUpdate' THEN
            RAISE EXCEPTION '% of % local % would be updated', n ->> 'updated', sync_count_linked(org, c, e, NULL), e.name
                USING ERRCODE = '23514',
                DETAIL = CASE WHEN mass ? 'emptied'
                              THEN format('Fields that become empty, with the number of records: %s. Nothing was written.',
                                          mass ->> 'emptied')
                              ELSE format('More than %s %% (sync_ext.mass_update_percent). Nothing was written.',
                                          current_setting('sync_ext.mass_update_percent')) END,
                HINT = 'If that is right, call sync_apply with allow_mass_update => true; include_updated => false leaves updates out.';
        END IF;
    END IF;
    -- partial until it is complete
    INSERT INTO sync_history (org_id, id, user_id, sync_type, status, metadata)
    VALUES (org, history, sync_apply_begin.user_id, 'manual', 'partial_success',
            jsonb_build_object('operation', CASE WHEN (wanted ->> 'dryRun')::boolean THEN 'dry run' ELSE 'apply' END, 'syncId', run_id,
                               'syncType', c.name, 'entityType', e.name,
                               'relation', (SELECT l.relation::text FROM sync_layout l WHERE l.id = k.layout),
                               'include', chosen, 'planned', n, 'previewId', wanted -> 'previewId'));
    RETURN jsonb_build_object('historyId', history, 'include', chosen, 'set', coalesce(preview, history),
                              'parts', ARRAY(SELECT i.part FROM sync_preview_item i
                                             WHERE i.org_id = org AND i.preview_id = coalesce(preview, history) AND i.change = ANY (classes)
                                             ORDER BY i.part)) || n;
END
$$;
COMMENT ON FUNCTION sync_apply_begin(uuid, text, text, jsonb, text, text) IS
    'Checks what an apply is going to do (preview, mass deletion, mass update) and enters it into the history.';

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

CREATE FUNCTION sync_note_links(k sync_comparison, ids bigint[], history uuid) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    INSERT INTO sync_apply_image (org_id, history_id, connector, entity, layout, operation, local_ids, external_ids, images)
    SELECT k.org_id, history, k.connector, k.entity, k.layout, 'unlink', array_agg(r.local_id), array_agg(r.external_id),
           array_agg(json_build_object('parent_id', r.parent_id, 'match_key', r.match_key, 'remote', r.remote,
                                       'remote_modified_at', r.remote_modified_at)::text)
    FROM unnest(ids) t (id)
    CROSS JOIN LATERAL (SELECT x.* FROM sync_record x
                        WHERE x.org_id = k.org_id AND x.id = t.id AND x.change = 'deleted' AND sync_is_held(x)
                        OFFSET 0) r
    HAVING count(*) > 0
$$;
COMMENT ON FUNCTION sync_note_links(sync_comparison, bigint[], uuid) IS 'Keeps the links that sync_let_go is going to end, for an undo.';

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
        RAISE EXCEPTION 'what this apply had noted is gone' USING ERRCODE = '40001',
            HINT = 'Apply again: what was written is not written twice.';
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
        PERFORM sync_note_links(k, ids, history);
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
COMMENT ON FUNCTION sync_apply_batch(uuid, int, smallint, uuid, int, uuid) IS
    'Writes one part of the changes that were noted for an apply, and notes the failures in the history.';

CREATE FUNCTION sync_apply_end(org uuid, history uuid, status text, duration bigint, facts jsonb) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    DELETE FROM sync_preview_item i WHERE i.org_id = org AND i.preview_id = history;
    UPDATE sync_history h SET status = sync_apply_end.status, duration_ms = sync_count(duration), metadata = h.metadata || facts
    WHERE h.org_id = org AND h.id = history;
$$;
COMMENT ON FUNCTION sync_apply_end(uuid, uuid, text, bigint, jsonb) IS 'Writes down how an apply ended.';
