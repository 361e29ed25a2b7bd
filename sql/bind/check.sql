-- What a binding must fulfil: its columns, its relation, its key.

CREATE FUNCTION sync_type_fits(type oid, kind text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE
        -- types of extensions and of the app: what their output function says is text
        WHEN t.oid >= 16384 THEN coalesce(kind, 'text') IN ('text', 'email', 'key') AND (t.typtype = 'e' OR t.typcategory = 'S')
                                 AND (kind IS DISTINCT FROM 'key' OR t.typtype = 'e')
        WHEN kind IN ('text', 'email') THEN t.typcategory = 'S' OR t.typname IN ('uuid', 'int2', 'int4', 'int8', 'numeric')
        WHEN kind = 'key' THEN t.typcategory = 'S' OR t.typname IN ('uuid', 'int2', 'int4', 'int8', 'numeric', 'date', 'timestamp',
                                                                    'timestamptz', 'bool')
        WHEN kind = 'org' THEN t.typname IN ('uuid', 'text', 'varchar', 'bpchar')
        WHEN kind = 'mark' THEN t.typname IN ('bool', 'date', 'timestamp', 'timestamptz')
        WHEN kind = 'number' THEN t.typname IN ('int2', 'int4', 'int8', 'numeric', 'float4', 'float8') OR t.typcategory = 'S'
        WHEN kind = 'bool' THEN t.typname = 'bool' OR t.typcategory = 'S'
        WHEN kind = 'time' THEN t.typname IN ('date', 'timestamp', 'timestamptz') OR t.typcategory = 'S'
        WHEN kind IN ('set', 'sequence') THEN t.typname IN ('json', 'jsonb', '_text', '_varchar', '_int2', '_int4', '_int8')
        WHEN kind IN ('list', 'any') THEN t.typname IN ('json', 'jsonb')
        -- a custom field: its kind is that of its mapping
        ELSE t.typcategory = 'S' OR t.typname IN ('uuid', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'bool', 'date',
                                                  'timestamp', 'timestamptz', 'json', 'jsonb') END
    FROM pg_type t WHERE t.oid = sync_base_type(type)
$$;
COMMENT ON FUNCTION sync_type_fits(oid, text) IS
    'Whether a column of that type can hold a field of that kind, a key, an organisation or a mark of deletion.';

-- The kind of a custom field is in its mapping, the column in the binding; whichever comes second is checked here.
CREATE FUNCTION sync_check_custom(org uuid, e sync_entity, layout_id int) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    wrong record;
BEGIN
    SELECT c.column_name, c.type, c.relation, m.field, m.kind INTO wrong
    FROM sync_field_map m
    JOIN sync_layout_column c ON c.layout = layout_id AND c.purpose = 'field' AND c.field = 'custom.' || m.field
    WHERE m.org_id = org AND m.entity = e.number AND m.kind IS NOT NULL AND NOT sync_type_fits(c.type, m.kind)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" of % has type %, which can''t hold field "custom.%" (%)', wrong.column_name, wrong.relation,
            wrong.type, wrong.field, wrong.kind USING ERRCODE = '42804', HINT = 'Map the field with another type, or bind another column.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_check_custom(uuid, sync_entity, int) IS '42804 where a bound column can''t hold what is mapped to it.';

CREATE FUNCTION sync_bound_column(relation regclass, column_name text, what text) RETURNS pg_attribute
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    a pg_attribute;
BEGIN
    SELECT * INTO a FROM pg_attribute x
    WHERE x.attrelid = relation AND x.attname = column_name AND x.attnum > 0 AND NOT x.attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of % does not exist', column_name, relation USING ERRCODE = '42703',
            DETAIL = format('It is named as %s.', what),
            HINT = 'Columns: ' || (SELECT string_agg(x.attname, ', ' ORDER BY x.attnum) FROM pg_attribute x
                                   WHERE x.attrelid = relation AND x.attnum > 0 AND NOT x.attisdropped) || '.';
    END IF;
    RETURN a;
END
$$;
COMMENT ON FUNCTION sync_bound_column(regclass, text, text) IS 'A column of a relation by name; 42703 where there is none.';

-- The columns a binding names, checked and in their order: fields by name, then key, organisation, mark of deletion.
CREATE FUNCTION sync_check_columns(
    e sync_entity, relation regclass, columns jsonb, key_columns text[], org_column text, deleted_column text)
    RETURNS SETOF sync_layout_column
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    c sync_layout_column;
    a pg_attribute;
    wanted record;
BEGIN
    IF jsonb_typeof(columns) IS DISTINCT FROM 'object' OR columns = '{}'
       OR EXISTS (SELECT FROM jsonb_each(columns) x WHERE jsonb_typeof(x.value) <> 'string') THEN
        RAISE EXCEPTION 'columns must be a JSON object of field and column' USING ERRCODE = '22023',
            HINT = 'For instance {"email": "mail", "name": "full_name"}; sync_fields(''' || e.name || ''') lists the fields.';
    END IF;
    c.position := 0;
    FOR wanted IN
        SELECT 'field' AS purpose, p.key AS field, p.value AS column_name, f.kind, f.field IS NULL AS unknown, 1 AS turn, 0 AS ordinal
        FROM jsonb_each_text(columns) p LEFT JOIN sync_fields(e.name) f ON f.field = p.key
        UNION ALL SELECT 'key', NULL, k.name, 'key', false, 2, k.ordinal FROM unnest(key_columns) WITH ORDINALITY AS k (name, ordinal)
        UNION ALL SELECT 'org', NULL, org_column, 'org', false, 3, 0 WHERE org_column IS NOT NULL
        UNION ALL SELECT 'deleted', NULL, deleted_column, 'mark', false, 4, 0 WHERE deleted_column IS NOT NULL
        ORDER BY turn, ordinal, field
    LOOP
        IF wanted.unknown AND wanted.field !~ '^custom[.][a-z_][a-z0-9_]{0,50}$' THEN
            RAISE EXCEPTION '% have no field "%"', e.name, wanted.field USING ERRCODE = '22023',
                HINT = 'sync_fields(''' || e.name || ''') lists them; a custom field is written custom.name.';
        END IF;
        a := sync_bound_column(
            relation, wanted.column_name,
            CASE wanted.purpose WHEN 'field' THEN format('field "%s"', wanted.field) ELSE wanted.purpose || ' column' END);
        IF a.attgenerated <> '' AND wanted.purpose IN ('org', 'deleted') THEN
            RAISE EXCEPTION 'column "%" of % is computed by the table', a.attname, relation USING ERRCODE = '22023',
                DETAIL = format('As %s column it has to be written.', wanted.purpose), HINT = 'Name a column that can be written.';
        END IF;
        IF NOT sync_type_fits(a.atttypid, wanted.kind) THEN
            RAISE EXCEPTION 'column "%" of % has type %, which can''t hold %', a.attname, relation, format_type(a.atttypid, a.atttypmod),
                CASE wanted.purpose WHEN 'field' THEN format('field "%s" (%s)', wanted.field, coalesce(wanted.kind, 'custom'))
                                    WHEN 'org' THEN 'an organisation' WHEN 'key' THEN 'a key' ELSE 'a mark of deletion' END
                USING ERRCODE = '42804',
                HINT = CASE wanted.purpose WHEN 'org' THEN 'Use uuid or text.' WHEN 'deleted' THEN 'Use boolean, date or timestamp.'
                                           ELSE 'Bind a column of another type, or a view that converts it.' END;
        END IF;
        c := ROW(0, c.position + 1, wanted.purpose, wanted.field, wanted.kind,
                 a.attname, a.attnum, a.atttypid, relation)::sync_layout_column;
        RETURN NEXT c;
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_check_columns(sync_entity, regclass, jsonb, text[], text, text) IS
    'The columns of a binding, each with its type checked.';

CREATE FUNCTION sync_check_relation(relation regclass, key_columns text[], tracking text, org uuid, org_column text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    c pg_class;
    caller oid := sync_caller();
BEGIN
    IF coalesce(cardinality(key_columns), 0) = 0 OR (SELECT count(DISTINCT k) <> count(*) FROM unnest(key_columns) k) THEN
        RAISE EXCEPTION 'key_columns must name each column of the key once' USING ERRCODE = '22023',
            HINT = 'Name the columns of the primary key.';
    END IF;
    SELECT * INTO c FROM pg_class x WHERE x.oid = relation;
    IF c.relkind NOT IN ('r', 'p', 'v', 'm', 'f') OR c.relpersistence = 't'
       OR c.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) THEN
        RAISE EXCEPTION '% can''t be bound', relation USING ERRCODE = '42809',
            HINT = 'Bind a table, a partitioned table, a foreign table or a view.';
    END IF;
    IF EXISTS (SELECT FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext'
               WHERE d.classid = 'pg_class'::regclass AND d.objid = relation AND d.deptype = 'e') THEN
        RAISE EXCEPTION '% is a table of sync_ext', relation USING ERRCODE = '42809', HINT = 'sync_unbind returns to the built-in table.';
    END IF;
    IF tracking IS NULL OR tracking NOT IN ('trigger', 'scan') THEN
        RAISE EXCEPTION 'unknown tracking "%"', tracking USING ERRCODE = '22023', HINT = 'Use trigger or scan.';
    END IF;
    IF tracking = 'trigger' AND c.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% can''t have triggers that see what changed', relation USING ERRCODE = '42809',
            HINT = 'Use tracking => ''scan''.';
    END IF;
    IF sync_unread(caller, relation) = 'relation' OR tracking = 'trigger' AND NOT has_table_privilege(caller, relation, 'TRIGGER') THEN
        RAISE EXCEPTION 'role "%" may not % %', pg_get_userbyid(caller),
            CASE tracking WHEN 'trigger' THEN 'read and track' ELSE 'read' END, relation
            USING ERRCODE = '42501',
            HINT = 'GRANT SELECT, TRIGGER ON ... TO ...; or let its owner bind it. '
                'sync_apply needs INSERT, UPDATE and DELETE as well.';
    END IF;
    IF sync_unread(caller, relation) = 'rows' THEN
        RAISE EXCEPTION 'row-level security of % applies to role "%"', relation, pg_get_userbyid(caller) USING ERRCODE = '42501',
            HINT = 'Let the table''s owner bind it, or a role with BYPASSRLS.';
    END IF;
    IF EXISTS (SELECT FROM sync_binding b JOIN sync_layout l ON l.id = b.layout
               WHERE l.relation = sync_check_relation.relation AND b.org_id <> org
                 AND (org_column IS NULL OR NOT EXISTS (SELECT FROM sync_layout_column x WHERE x.layout = l.id AND x.purpose = 'org'))) THEN
        RAISE EXCEPTION '% is bound by another organisation', relation USING ERRCODE = '42501',
            HINT = 'A relation that several organisations share needs an org_column in each of their bindings.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_check_relation(regclass, text[], text, uuid, text) IS
    'Whether a relation can be bound, by this role, in this way.';

CREATE FUNCTION sync_is_key(relation regclass, key_columns text[]) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = relation AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
          AND (i.indkey::int2[])[0:i.indnkeyatts - 1]
              <@ ARRAY(SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = ANY (key_columns)))
$$;
COMMENT ON FUNCTION sync_is_key(regclass, text[]) IS 'Whether a unique index says that these columns tell the rows of a relation apart.';

-- Triggers write row by row what the key tells apart. What is scanned has its keys compared as they come.
CREATE FUNCTION sync_check_key(relation regclass, key_columns text[]) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF NOT sync_is_key(relation, key_columns) THEN
        RAISE EXCEPTION '% has no unique index over its key columns', relation USING ERRCODE = '42830',
            DETAIL = format('Key columns: %s.', array_to_string(key_columns, ', ')), HINT = 'Name the columns of the primary key.';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = ANY (key_columns) AND NOT a.attnotnull) THEN
        RAISE EXCEPTION 'a key column of % may be null', relation USING ERRCODE = '42830', HINT = 'Name the columns of the primary key.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_check_key(regclass, text[]) IS '42830 where key columns are not unique, or may be null.';
