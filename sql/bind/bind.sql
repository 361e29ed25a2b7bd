-- Binding: a table or view of the app as the local side of an entity type.

CREATE FUNCTION sync_bound_relation(layout_id int) RETURNS oid
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT l.relation::oid FROM sync_layout l WHERE l.id = layout_id AND l.bound_by IS NOT NULL
$$;
COMMENT ON FUNCTION sync_bound_relation(int) IS 'The relation of the app that a layout is about; NULL for a built-in table.';

-- The layout of that shape, or a new one with its functions and triggers.
CREATE FUNCTION sync_make_layout(e sync_entity, relation regclass, tracking text, columns sync_layout_column[]) RETURNS int
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    found int;
BEGIN
    SELECT l.id INTO found FROM sync_layout l
    WHERE l.entity = e.number AND l.relation = sync_make_layout.relation AND l.tracking = sync_make_layout.tracking
      AND l.bound_by = sync_caller()::regrole AND l.broken IS NULL
      AND NOT EXISTS (SELECT FROM sync_layout_loss x WHERE x.layout = l.id)
      AND (SELECT array_agg((x.purpose, x.field, x.attnum)::text ORDER BY x.position) FROM sync_layout_column x WHERE x.layout = l.id)
        = (SELECT array_agg((x.purpose, x.field, x.attnum)::text ORDER BY x.position) FROM unnest(columns) x);
    IF found IS NOT NULL THEN
        RETURN found;
    END IF;
    -- as making its triggers does, but with its partitions first: what is written while the rows are read would be missed
    IF tracking = 'trigger' THEN
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', sync_relation_name(relation));
    END IF;
    INSERT INTO sync_layout (entity, relation, tracking, bound_by)
    VALUES (e.number, relation, tracking, sync_caller()::regrole)
    RETURNING id INTO found;
    INSERT INTO sync_layout_column
    SELECT found, x.position, x.purpose, x.field, x.kind, x.column_name, x.attnum, x.type, x.relation FROM unnest(columns) x;
    PERFORM sync_generate_layout(found);
    RETURN found;
END
$$;
COMMENT ON FUNCTION sync_make_layout(sync_entity, regclass, text, sync_layout_column[]) IS 'Finds or makes the layout for a binding.';

CREATE FUNCTION sync_generate_layout(layout_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM sync_generate_writer(layout_id);
    IF (SELECT l.tracking = 'trigger' FROM sync_layout l WHERE l.id = layout_id) THEN
        PERFORM sync_place_triggers(layout_id, sync_generate_trigger(layout_id));
    ELSE
        UPDATE sync_layout l SET members = ARRAY[l.relation::oid] WHERE l.id = layout_id;
    END IF;
END
$$;
COMMENT ON FUNCTION sync_generate_layout(int) IS 'Makes, or makes anew, the functions and triggers of a layout.';

-- What can't be read is refused when it is bound, not at the first preview.
CREATE FUNCTION sync_try_layout(layout_id int, org uuid, e sync_entity) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
BEGIN
    PERFORM sync_layout_usable(layout_id);
    PERFORM FROM sync_layout l,
        sync_scan_of(l.bound_by, l.relation, sync_scan_query(layout_id) || ' LIMIT 1', false, org, e.name,
                     (sync_layout_pieces(layout_id)).names)
    WHERE l.id = layout_id;
END
$$;
COMMENT ON FUNCTION sync_try_layout(int, uuid, sync_entity) IS 'Reads one row of a bound relation as its binder.';

-- Without a notice of the triggers that go along: they were ours.
CREATE FUNCTION sync_drop_layout(layout_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    routine regprocedure;
BEGIN
    PERFORM sync_hold_layout(layout_id);
    FOR routine IN
        SELECT p.oid FROM pg_proc p
        WHERE p.pronamespace = '@extschema@'::regnamespace
          AND p.proname IN ('sync_write_' || layout_id, 'sync_track_' || layout_id)
    LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', routine);
    END LOOP;
    DELETE FROM sync_layout_loss x WHERE x.layout = layout_id;
    DELETE FROM sync_layout_column x WHERE x.layout = layout_id;
    DELETE FROM sync_layout l WHERE l.id = layout_id;
END
$$;
COMMENT ON FUNCTION sync_drop_layout(int) IS
    'Removes a layout that nobody binds any more, with its functions and triggers: the relation is left as it was found.';

-- After the local side of an entity type became another one.
CREATE FUNCTION sync_relocate(org uuid, e sync_entity) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    c integration_connector;
    old_spec text;
    ledgers jsonb := '[]';
BEGIN
    FOR c IN SELECT * FROM integration_connector i WHERE i.org_id = org ORDER BY i.number LOOP
        CONTINUE WHEN sync_kind_fields(c.kind, e.name) IS NULL;
        PERFORM sync_forget_local(org, c.number, e.number);
        SELECT k.spec INTO old_spec FROM sync_comparison k WHERE k.org_id = org AND k.connector = c.number AND k.entity = e.number;
        PERFORM sync_compare(org, c, e);
        IF old_spec IS DISTINCT FROM (SELECT k.spec FROM sync_comparison k
                                      WHERE k.org_id = org AND k.connector = c.number AND k.entity = e.number) THEN
            PERFORM sync_refingerprint(org, c.number, e.number);
        ELSE
            PERFORM sync_reconcile(org, c.number, e.number);
        END IF;
        ledgers := ledgers || jsonb_build_object(
            'syncType', c.name,
            'rows', (SELECT count(*) FROM sync_record r WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number
                     AND r.local_id IS NOT NULL),
            'linked', (SELECT count(*) FROM sync_record r WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number
                       AND r.local_id IS NOT NULL AND r.external_id IS NOT NULL),
            'comparedFields', (SELECT to_jsonb(string_to_array(split_part(k.spec, ':', 2), ',')) FROM sync_comparison k
                               WHERE k.org_id = org AND k.connector = c.number AND k.entity = e.number));
    END LOOP;
    DELETE FROM sync_preview_cache p WHERE p.org_id = org AND p.entity_type = e.name AND p.preview_id IS NOT NULL;
    RETURN ledgers;
END
$$;
COMMENT ON FUNCTION sync_relocate(uuid, sync_entity) IS
    'Makes the ledgers of an entity type agree with its local relation, which is another one now.';

CREATE FUNCTION sync_bind(entity_type text, relation regclass, columns jsonb, key_columns text[], tracking text DEFAULT 'trigger',
        org_column text DEFAULT NULL, deleted_column text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    org uuid := sync_require('admin');
    e sync_entity := sync_entity_of(sync_bind.entity_type);
    checked sync_layout_column[];
    before int;
    made int;
BEGIN
    PERFORM sync_claim_local(org);
    PERFORM sync_hold_runs(org, c, e) FROM integration_connector c WHERE c.org_id = org;
    before := sync_layout_of(org, e.number);
    -- who may not bind it keeps nobody else waiting; and meanwhile another organisation may have
    PERFORM sync_check_relation(sync_bind.relation, sync_bind.key_columns, sync_bind.tracking, org, sync_bind.org_column);
    PERFORM sync_claim_relations(ARRAY[sync_bind.relation::oid] || sync_bound_relation(before));
    PERFORM sync_check_relation(sync_bind.relation, sync_bind.key_columns, sync_bind.tracking, org, sync_bind.org_column);
    checked := ARRAY(SELECT x FROM sync_check_columns(e, sync_bind.relation, sync_bind.columns, sync_bind.key_columns,
                                                      sync_bind.org_column, sync_bind.deleted_column) x);
    IF sync_bind.tracking = 'trigger' THEN
        PERFORM sync_check_key(sync_bind.relation, sync_bind.key_columns);
    END IF;
    PERFORM sync_lock_local(before, org);
    made := sync_make_layout(e, sync_bind.relation, sync_bind.tracking, checked);
    PERFORM sync_lock_local(made, org);
    PERFORM sync_check_custom(org, e, made), sync_try_layout(made, org, e);
    INSERT INTO sync_binding AS b (org_id, entity, layout) VALUES (org, e.number, made)
    ON CONFLICT (org_id, entity) DO UPDATE SET layout = excluded.layout, bound_at = now();
    IF before <> made THEN
        PERFORM sync_release_layout(before);
    END IF;
    RETURN jsonb_build_object('entityType', e.name, 'relation', sync_bind.relation::text, 'tracking', sync_bind.tracking,
                              'connectors', sync_relocate(org, e));
END
$$;
COMMENT ON FUNCTION sync_bind(text, regclass, jsonb, text[], text, text, text) IS
    'Makes a table or view of the app the local side of an entity type: columns {field: column}, '
    'key_columns (the primary key), tracking by trigger or scan, org_column where organisations share the relation, '
    'deleted_column for soft deletes. A generated column is compared, and never written. '
    'Its rows enter the ledger at once. {entityType, relation, tracking, connectors: [{syncType, rows, linked, '
    'comparedFields}]}.';

-- Dropping triggers locks the relation against everybody until the transaction ends. Where organisations share it, only who may
-- lock it without us does so; else a worker does it later, and until then the triggers find nothing to do.
CREATE FUNCTION sync_release_layout(layout_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    l sync_layout;
BEGIN
    SELECT * INTO l FROM sync_layout x WHERE x.id = layout_id AND x.bound_by IS NOT NULL;
    IF FOUND AND NOT EXISTS (SELECT FROM sync_binding b WHERE b.layout = layout_id)
       AND (NOT sync_has_org(layout_id) OR coalesce(has_table_privilege(sync_caller(), l.relation, 'UPDATE, DELETE, TRUNCATE'), true)) THEN
        PERFORM sync_drop_layout(layout_id);
    END IF;
END
$$;
COMMENT ON FUNCTION sync_release_layout(int) IS
    'Removes a layout if no organisation binds it any more, where the caller may lock its relation.';

CREATE FUNCTION sync_drop_unbound() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
    l sync_layout;
BEGIN
    FOR l IN SELECT * FROM sync_layout x WHERE x.bound_by IS NOT NULL AND NOT EXISTS (SELECT FROM sync_binding b WHERE b.layout = x.id) LOOP
        BEGIN
            -- somebody may be binding it anew
            PERFORM sync_claim_relations(ARRAY[l.relation::oid]);
            PERFORM sync_drop_layout(l.id) WHERE NOT EXISTS (SELECT FROM sync_binding b WHERE b.layout = l.id);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            NULL;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_drop_unbound() IS
    'Removes layouts that no organisation binds any more; those whose relations others have locked, the next time.';

CREATE FUNCTION sync_unbind(entity_type text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('admin');
    e sync_entity := sync_entity_of(sync_unbind.entity_type);
    before int;
BEGIN
    PERFORM sync_claim_local(org);
    PERFORM sync_hold_runs(org, c, e) FROM integration_connector c WHERE c.org_id = org;
    PERFORM sync_claim_relations(ARRAY[sync_bound_relation(sync_layout_of(org, e.number))]);
    PERFORM sync_lock_local(sync_layout_of(org, e.number), org), sync_lock_local(e.number, org);
    DELETE FROM sync_binding b WHERE b.org_id = org AND b.entity = e.number RETURNING b.layout INTO before;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM sync_release_layout(before), sync_relocate(org, e);
    RETURN true;
END
$$;
COMMENT ON FUNCTION sync_unbind(text) IS
    'Returns an entity type to its built-in local table; the app''s own table is left as it was found. '
    'False where nothing was bound.';
