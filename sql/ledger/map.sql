-- What is compared: the fields that a connector delivers and the local relation has, less those that the organisation
-- left out, and custom fields taken from the raw record.

CREATE TABLE sync_field_map (
    org_id uuid NOT NULL,
    connector int NOT NULL,
    entity smallint NOT NULL,
    field text NOT NULL,
    path text,
    kind text,
    compared boolean NOT NULL DEFAULT true,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, connector, entity, field)
);
COMMENT ON TABLE sync_field_map IS 'Custom fields by path, and fields that are not compared. Written by sync_map.';
COMMENT ON COLUMN sync_field_map.path IS
    'Where the value is in the raw custom data of the remote record, * for all of it; '
    'NULL for a field that only says whether it is compared.';

CREATE FUNCTION sync_mappings(org uuid, connector_no int, entity_no smallint) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('field', m.field, 'path', m.path, 'kind', m.kind) ORDER BY m.field), '[]')
    FROM sync_field_map m
    WHERE m.org_id = org AND m.connector = connector_no AND m.entity = entity_no AND m.path IS NOT NULL
$$;
COMMENT ON FUNCTION sync_mappings(uuid, int, smallint) IS 'The mapped fields of a connector''s entity type, as sync_mapped takes them.';

-- A no of the remote is not the nothing of a row, where the row could hold either. Where it can't, or where a new row gets something
-- else than nothing, they have to be one: a record without the value would differ from its row for good. What stands behind
-- the columns of a view isn't known.
CREATE FUNCTION sync_tells_no(layout_id int, field text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT NOT EXISTS (
        SELECT FROM sync_layout_column c
        JOIN pg_class r ON r.oid = c.relation
        JOIN pg_attribute a ON a.attrelid = c.relation AND a.attnum = c.attnum
        JOIN pg_type t ON t.oid = a.atttypid
        WHERE c.layout = layout_id AND c.purpose = 'field' AND c.field = 'custom.' || sync_tells_no.field
          AND (r.relkind NOT IN ('r', 'p') OR a.attnotnull OR a.atthasdef OR t.typnotnull OR t.typdefault IS NOT NULL))
$$;
COMMENT ON FUNCTION sync_tells_no(int, text) IS
    'Whether a custom flag that is false differs from one that is nothing, in the column that holds it (without one: in '
    'custom).';

CREATE FUNCTION sync_compute_spec(org uuid, c integration_connector, e sync_entity, layout_id int) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH held AS (SELECT l.field FROM sync_layout_column l WHERE l.layout = layout_id AND l.purpose = 'field'),
    chosen AS (
        SELECT f AS field
        FROM unnest(sync_kind_fields(c.kind, e.name)) AS f
        WHERE f IN (SELECT h.field FROM held h)
        UNION
        SELECT CASE WHEN m.kind IS NULL THEN m.field ELSE 'custom.' || m.field || '='
                    || CASE WHEN m.kind = 'bool' AND sync_tells_no(layout_id, m.field) THEN 'flag' ELSE m.kind END END
        FROM sync_field_map m
        WHERE m.org_id = org AND m.connector = c.number AND m.entity = e.number AND m.path IS NOT NULL AND m.compared
          AND (CASE WHEN m.kind IS NULL THEN m.field ELSE 'custom.' || m.field END IN (SELECT h.field FROM held h)
               OR m.kind IS NOT NULL AND 'custom' IN (SELECT h.field FROM held h))
        EXCEPT
        SELECT m.field FROM sync_field_map m
        WHERE m.org_id = org AND m.connector = c.number AND m.entity = e.number AND NOT m.compared)
    SELECT e.name || ':' || coalesce(string_agg(field, ',' ORDER BY field COLLATE "C"), '')
           || CASE WHEN e.is_document AND 'sync_type' IN (SELECT h.field FROM held h) THEN ':' || md5(c.name) ELSE '' END
    FROM chosen
$$;
COMMENT ON FUNCTION sync_compute_spec(uuid, integration_connector, sync_entity, int) IS
    'What a connector''s records of an entity type are compared by; of documents with whose they are, '
    'where the relation says so.';

-- The caller keeps others from writing the relation where that matters (sync_lock_local): who writes next has the new function.
CREATE FUNCTION sync_retrack(org uuid, entity_no smallint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM sync_generate_trigger(l.id) FROM sync_binding b JOIN sync_layout l ON l.id = b.layout
    WHERE b.org_id = org AND b.entity = entity_no AND l.tracking = 'trigger' AND l.broken IS NULL AND NOT sync_has_org(l.id);
END
$$;
COMMENT ON FUNCTION sync_retrack(uuid, smallint) IS
    'Makes the trigger function of a relation anew that one organisation alone has bound: its comparisons have changed, '
    'which stand in there.';

-- True where anything about the comparison is new, so that fingerprints have to be made.
CREATE FUNCTION sync_compare(org uuid, c integration_connector, e sync_entity) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    chosen int := sync_layout_of(org, e.number);
BEGIN
    IF sync_kind_fields(c.kind, e.name) IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO sync_comparison AS k (org_id, connector, entity, layout, spec)
    VALUES (org, c.number, e.number, chosen, sync_compute_spec(org, c, e, chosen))
    ON CONFLICT (org_id, connector, entity) DO UPDATE SET layout = excluded.layout, spec = excluded.spec
    WHERE (k.layout, k.spec) IS DISTINCT FROM (excluded.layout, excluded.spec);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM sync_retrack(org, e.number);
    RETURN true;
END
$$;
COMMENT ON FUNCTION sync_compare(uuid, integration_connector, sync_entity) IS
    'Writes down what a connector''s records are compared by; true where that is new.';

-- A pull that is under way writes fingerprints by the fields it began with.
CREATE FUNCTION sync_hold_runs(org uuid, c integration_connector, e sync_entity) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF NOT sync_try_hold(format('sync_ext:run:%s:%s:%s', org, c.number, e.name)) THEN
        RAISE EXCEPTION 'a run of % of "%" is under way', e.name, c.name USING ERRCODE = '55006',
            HINT = 'Try again when it has ended; sync_workers shows it.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_hold_runs(uuid, integration_connector, sync_entity) IS
    'Keeps runs of an entity type from beginning until the transaction ends; 55006 where one is under way.';

CREATE FUNCTION sync_map_kind(type text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    kind text := CASE lower(btrim(type))
        WHEN 'text' THEN 'text'
        WHEN 'email' THEN 'email'
        WHEN 'number' THEN 'number' WHEN 'numeric' THEN 'number'
        WHEN 'boolean' THEN 'bool' WHEN 'bool' THEN 'bool'
        WHEN 'timestamp' THEN 'time' WHEN 'time' THEN 'time'
        WHEN 'json' THEN 'any' WHEN 'jsonb' THEN 'any' END;
BEGIN
    IF kind IS NULL THEN
        RAISE EXCEPTION 'unknown type "%"', type USING ERRCODE = '22023', HINT = 'Use text, email, number, boolean, timestamp or json.';
    END IF;
    RETURN kind;
END
$$;
COMMENT ON FUNCTION sync_map_kind(text) IS 'The kind of a custom field by the name of its type; 22023 for any other.';

CREATE FUNCTION sync_map(
    sync_type text, entity_type text, field text, path text DEFAULT NULL, type text DEFAULT NULL, compared boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    org uuid := sync_require('admin');
    c integration_connector := sync_connector_of(org, sync_map.sync_type);
    e sync_entity := sync_entity_of(sync_map.entity_type);
    named text := regexp_replace(btrim(sync_map.field), '^custom[.]', '');
    known boolean := EXISTS (SELECT FROM sync_fields(e.name) f WHERE f.field = named AND f.compared);
    -- WooCommerce's list of meta data and the raw fields of Odoo are both kept as one object
    place text := regexp_replace(nullif(btrim(sync_map.path), ''), '^(meta_data|custom)[.]', '');
BEGIN
    PERFORM sync_claim_local(org);
    c := sync_connector_of(org, sync_map.sync_type);
    IF sync_kind_fields(c.kind, e.name) IS NULL THEN
        RAISE EXCEPTION 'a connector of kind "%" has no %', c.kind, e.name USING ERRCODE = '22023',
            HINT = format('Its entity types: %s.', array_to_string(sync_kind_entities(c.kind), ', '));
    END IF;
    IF named !~ '^[a-z_][a-z0-9_]{0,50}$' THEN
        RAISE EXCEPTION 'a field can''t be called "%"', sync_map.field USING ERRCODE = '22023',
            HINT = 'Use lower-case letters, digits and underscores, at most 51.';
    END IF;
    IF length(place) > 255 OR cardinality(string_to_array(place, '.')) > 16 THEN
        RAISE EXCEPTION 'the path of field "%" is too long', named USING ERRCODE = '22023',
            DETAIL = 'A path has up to 255 characters, and up to 16 parts.';
    END IF;
    IF place = '*' AND (known OR sync_map_kind(coalesce(sync_map.type, 'json')) <> 'any') THEN
        RAISE EXCEPTION 'path "*" is of type json' USING ERRCODE = '22023',
            DETAIL = 'It stands for all that plugins and users have added, as one object.',
            HINT = 'Leave out the type, and give the field a name of its own.';
    END IF;
    IF NOT known AND place IS NULL THEN
        RAISE EXCEPTION '% have no field "%"', e.name, named USING ERRCODE = '22023',
            DETAIL = 'Fields: ' || (SELECT string_agg(f.field, ', ' ORDER BY f.position)
                                    FROM sync_fields(e.name) f WHERE f.compared) || '.',
            HINT = 'A custom field needs a path, for instance meta_data._vat_number or x_studio_vat.';
    END IF;
    IF known AND sync_map.type IS NOT NULL THEN
        RAISE EXCEPTION 'field "%" has its own type', named USING ERRCODE = '22023', HINT = 'Leave out the type.';
    END IF;
    PERFORM sync_hold_runs(org, c, e);
    RETURN sync_put_map(org, c, e, ROW(
        org, c.number, e.number, named, place,
        CASE WHEN NOT known THEN sync_map_kind(coalesce(sync_map.type, CASE place WHEN '*' THEN 'json' ELSE 'text' END)) END,
        coalesce(sync_map.compared, true), now())::sync_field_map);
END
$$;
COMMENT ON FUNCTION sync_map(text, text, text, text, text, boolean) IS
    'Takes a field from a path of the remote''s raw custom data (WooCommerce''s meta data, Odoo''s x_ fields) with a type '
    '(text, email, number, boolean, timestamp, json), or all of it (path *), or says whether a field is compared. '
    'Fingerprints are made anew from what is stored; fullPull tells whether the next pull reads everything. '
    '{syncType, entityType, field, path, refingerprinted, fullPull, found}.';

CREATE FUNCTION sync_unmap(sync_type text, entity_type text, field text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    org uuid := sync_require('admin');
    c integration_connector := sync_connector_of(org, sync_unmap.sync_type);
    e sync_entity := sync_entity_of(sync_unmap.entity_type);
    m sync_field_map;
BEGIN
    PERFORM sync_claim_local(org);
    c := sync_connector_of(org, sync_unmap.sync_type);
    SELECT * INTO m FROM sync_field_map x
    WHERE x.org_id = org AND x.connector = c.number AND x.entity = e.number
      AND x.field = regexp_replace(btrim(sync_unmap.field), '^custom[.]', '');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'field "%" of % is not mapped', sync_unmap.field, e.name USING ERRCODE = '42704',
            HINT = 'sync_field_map lists what is.';
    END IF;
    PERFORM sync_hold_runs(org, c, e);
    DELETE FROM sync_field_map x WHERE x.org_id = org AND x.connector = c.number AND x.entity = e.number AND x.field = m.field;
    RETURN sync_remap(org, c, e, m, NULL);
END
$$;
COMMENT ON FUNCTION sync_unmap(text, text, text) IS
    'Takes back what sync_map said of a field. Replies as sync_map does: {syncType, entityType, field, path, '
    'refingerprinted, fullPull, found}.';

CREATE FUNCTION sync_put_map(org uuid, c integration_connector, e sync_entity, wanted sync_field_map) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    before sync_field_map;
BEGIN
    SELECT * INTO before FROM sync_field_map x
    WHERE x.org_id = org AND x.connector = c.number AND x.entity = e.number AND x.field = wanted.field;
    INSERT INTO sync_field_map SELECT wanted.*
    ON CONFLICT (org_id, connector, entity, field)
    DO UPDATE SET path = excluded.path, kind = excluded.kind, compared = excluded.compared, updated_at = now();
    RETURN sync_remap(org, c, e, before, wanted);
END
$$;
COMMENT ON FUNCTION sync_put_map(uuid, integration_connector, sync_entity, sync_field_map) IS
    'Stores a mapping and makes it true of the ledger.';

CREATE FUNCTION sync_shape(org uuid, connector_no int, entity_no smallint) RETURNS json
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT json_build_object(
        'spec', (SELECT k.spec FROM sync_comparison k WHERE k.org_id = org AND k.connector = connector_no AND k.entity = entity_no),
        'mappings', sync_mappings(org, connector_no, entity_no))
$$;
COMMENT ON FUNCTION sync_shape(uuid, int, smallint) IS
    'What a connector''s records become: {spec, mappings}. spec: by what they are compared; null where nobody has said yet.';

-- The raw value of a custom field is kept beside it. That of a catalogue field is not: once it was taken from
-- elsewhere, only the remote still knows it.
CREATE FUNCTION sync_remap(org uuid, c integration_connector, e sync_entity, before sync_field_map, wanted sync_field_map) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    full_pull boolean := before.path IS NOT NULL AND before.kind IS NULL AND before.path IS DISTINCT FROM wanted.path;
    changed bigint;
BEGIN
    PERFORM sync_check_custom(org, e, sync_layout_of(org, e.number)),
        sync_lock_local(sync_layout_of(org, e.number), org),
        sync_compare(org, c, e);
    changed := sync_refingerprint(org, c.number, e.number);
    IF full_pull THEN
        UPDATE sync_metadata m SET last_sync_timestamp = NULL, last_full_at = NULL, checkpoint = NULL, updated_at = now()
        WHERE m.org_id = org AND m.sync_type = c.name AND m.data_type = e.name;
    END IF;
    DELETE FROM sync_preview_cache p WHERE p.org_id = org AND p.sync_type = c.name AND p.entity_type = e.name AND p.preview_id IS NOT NULL;
    RETURN jsonb_build_object(
        'syncType', c.name, 'entityType', e.name, 'field', coalesce(wanted.field, before.field), 'path', wanted.path,
        'refingerprinted', changed, 'fullPull', full_pull,
        'found', (SELECT count(*) FROM sync_record r
                  WHERE wanted.path IS NOT NULL AND r.org_id = org AND r.connector = c.number AND r.entity = e.number
                    AND CASE WHEN wanted.kind IS NULL THEN r.remote ? wanted.field ELSE r.remote -> 'mapped' ? wanted.field END));
END
$$;
COMMENT ON FUNCTION sync_remap(uuid, integration_connector, sync_entity, sync_field_map, sync_field_map) IS
    'After a change of a mapping: comparison and fingerprints, or a full pull where the raw value is not kept.';

-- A new connector finds the local rows of the organisation in its ledger.
CREATE FUNCTION sync_join_connector(org uuid, connector_no int) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    c integration_connector;
    e sync_entity;
    total bigint := 0;
BEGIN
    PERFORM sync_claim_local(org);
    SELECT * INTO c FROM integration_connector i WHERE i.org_id = org AND i.number = connector_no;
    FOR e IN SELECT * FROM sync_entity ORDER BY number LOOP
        PERFORM sync_lock_local(sync_layout_of(org, e.number), org) WHERE sync_kind_fields(c.kind, e.name) IS NOT NULL;
        PERFORM sync_rename_documents(org, e, sync_removed_name(c), c.name);
        IF sync_compare(org, c, e) THEN
            total := total + sync_reconcile(org, connector_no, e.number);
        END IF;
    END LOOP;
    RETURN total;
END
$$;
COMMENT ON FUNCTION sync_join_connector(uuid, int) IS 'Enters the local rows of an organisation into the ledger of a new connector.';
