-- Writing a local relation: one generated function per layout does it, with the rights of who bound the relation.

-- A field of a remote record (u.data) as a column's value. The type's modifier is left out (-1, as NULL makes char(2) a
-- "character", which is char(1)), and a domain is taken for what it is made of: a cast would cut, an assignment refuses.
CREATE FUNCTION sync_field_value(field text, kind text, type oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE
        WHEN t.typname IN ('json', 'jsonb') THEN format('(%s)::%s', v.json, v.type)
        WHEN t.typcategory = 'A'
            THEN format('CASE WHEN jsonb_typeof(%1$s) = ''array'' THEN ARRAY(SELECT jsonb_array_elements_text(%1$s))::%2$s END',
                        v.json, v.type)
        WHEN t.typname IN ('timestamp', 'date') THEN format('((%s)::timestamptz AT TIME ZONE ''UTC'')::%s', v.text, v.type)
        WHEN t.typcategory = 'N' THEN format('(%s)::numeric::%s', v.text, v.type)
        ELSE format('(%s)::%s', v.text, v.type) END
    FROM (SELECT format_type(sync_base_type(sync_field_value.type), -1) AS type,
                 CASE WHEN field = 'custom'
                          THEN 'nullif(coalesce(u.data -> ''custom'', ''{}'') || coalesce(u.data -> ''mapped'', ''{}''), ''{}'')'
                      WHEN field LIKE 'custom.%' THEN format('u.data -> ''mapped'' -> %L', substr(field, 8))
                      ELSE format('u.data -> %L', field) END AS json,
                 CASE WHEN field LIKE 'custom.%' THEN format('u.data -> ''mapped'' ->> %L', substr(field, 8))
                      ELSE format('u.data ->> %L', field) END AS text) v,
         pg_type t
    WHERE t.oid = sync_base_type(sync_field_value.type)
$$;
COMMENT ON FUNCTION sync_field_value(text, text, oid) IS
    'SQL for the value of a field of a remote record as a column of that type holds it.';

-- What a column gets in a new row: the field, else what the table itself would put there.
CREATE FUNCTION sync_column_default(relation regclass, num smallint) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE WHEN a.attidentity <> ''
                    THEN format('nextval(%L::regclass)', pg_get_serial_sequence(sync_relation_name(relation), a.attname))
                ELSE pg_get_expr(d.adbin, d.adrelid) END
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = relation AND a.attnum = num AND a.attgenerated = ''
$$;
COMMENT ON FUNCTION sync_column_default(regclass, smallint) IS
    'SQL for a column''s default or next identity value; NULL where it has none.';

-- Only casts that are always the same may stand around a constant.
CREATE FUNCTION sync_has_constant_default(relation regclass, num smallint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM pg_attrdef d
        WHERE d.adrelid = relation AND d.adnum = num AND d.adbin::text !~ '[{](?!CONST|RELABELTYPE|COERCETODOMAIN|FUNCEXPR)'
          AND NOT EXISTS (SELECT FROM regexp_matches(d.adbin::text, ':funcid ([0-9]+)', 'g') m
                          JOIN pg_proc p ON p.oid = m[1]::oid WHERE p.provolatile <> 'i'))
$$;
COMMENT ON FUNCTION sync_has_constant_default(regclass, smallint) IS 'Whether a column''s default is the same whenever it is asked for.';

CREATE TYPE sync_writer_sql AS (
    insert_columns text,
    insert_values text,
    key_values text,
    assignments text,
    restore_columns text,
    restore_values text,
    restore_assignments text,
    mark text
);
COMMENT ON TYPE sync_writer_sql IS
    'Pieces of SQL that the writing function of a layout is made of; n is a row of its relation, u what is written, '
    'o an earlier image.';

CREATE FUNCTION sync_writer_pieces(layout_id int) RETURNS sync_writer_sql
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    l sync_layout;
    w sync_writer_sql;
    is_built_in boolean;
BEGIN
    SELECT * INTO l FROM sync_layout x WHERE x.id = layout_id;
    is_built_in := l.bound_by IS NULL;
    -- a column may be key and field in one; the field says what it holds
    WITH columns AS (
        SELECT DISTINCT ON (c.attnum) c.*, sync_column_default(l.relation, c.attnum) AS default_value,
               a.attgenerated <> '' AS is_generated, a.attidentity = 'a' AS is_numbered
        FROM sync_layout_column c
        JOIN pg_attribute a ON a.attrelid = l.relation AND a.attnum = c.attnum
        WHERE c.layout = layout_id AND c.purpose <> 'deleted'
        ORDER BY c.attnum, c.purpose = 'field' DESC),
    keys AS (
        SELECT k.column_name, k.type, k.position, row_number() OVER (ORDER BY k.position) - 1 AS number, count(*) OVER () AS n
        FROM sync_layout_column k WHERE k.layout = layout_id AND k.purpose = 'key'),
    valued AS (
        SELECT c.*, k.number, k.n,
               -- what the table computes is compared like anything else, and never written
               c.is_generated AND c.purpose = 'field' AND k.number IS NULL AS is_computed,
               CASE WHEN c.is_generated AND c.purpose <> 'org' THEN NULL
                    WHEN c.purpose = 'field'
                        THEN CASE WHEN c.default_value IS NULL THEN sync_field_value(c.field, c.kind, c.type)
                                  ELSE format('coalesce(%s, %s)', sync_field_value(c.field, c.kind, c.type), c.default_value) END
                    WHEN c.purpose = 'org'
                         OR c.column_name = (SELECT o.column_name FROM sync_layout_column o
                                             WHERE o.layout = layout_id AND o.purpose = 'org')
                        THEN format('$2::%s', format_type(c.type, -1))
                    ELSE c.default_value END AS fresh,
               -- where the remote has nothing (any more), the table has the last word here too: what it would put there, or, as
               -- that may be another thing each time, what it has put there
               CASE WHEN c.purpose = 'field' THEN
                    CASE WHEN c.default_value IS NULL THEN sync_field_value(c.field, c.kind, c.type)
                         WHEN sync_has_constant_default(l.relation, c.attnum)
                             THEN format('coalesce(%s, %s)', sync_field_value(c.field, c.kind, c.type), c.default_value)
                         ELSE format('coalesce(%s, n.%I)', sync_field_value(c.field, c.kind, c.type), c.column_name) END END AS renewed
        FROM columns c LEFT JOIN keys k ON k.column_name = c.column_name)
    SELECT string_agg(quote_ident(v.column_name), E',\n                    ' ORDER BY v.position) FILTER (WHERE NOT v.is_computed),
           string_agg(CASE WHEN v.number IS NULL THEN v.fresh
                           WHEN v.n = 1 THEN format('u.id::%s', format_type(v.type, -1))
                           ELSE format('(u.id::jsonb ->> %s)::%s', v.number, format_type(v.type, -1)) END,
                      E',\n                    ' ORDER BY v.position)
               FILTER (WHERE NOT v.is_computed),
           CASE WHEN bool_or(v.number IS NOT NULL AND v.fresh IS NULL) THEN NULL
                WHEN max(v.n) = 1 THEN string_agg(format('(%s)::text', v.fresh), '') FILTER (WHERE v.number IS NOT NULL)
                ELSE format('to_jsonb(ARRAY[%s])::text',
                            string_agg(format('(%s)::text', v.fresh), ', ' ORDER BY v.number)
                                FILTER (WHERE v.number IS NOT NULL)) END,
           string_agg(CASE WHEN v.is_computed THEN format('%I = DEFAULT', v.column_name)
                           ELSE format('%1$I = CASE WHEN %2$L = ANY ($5) THEN %3$s ELSE n.%1$I END', v.column_name, v.field, v.renewed) END,
                      E',\n                    ' ORDER BY v.position)
               FILTER (WHERE v.purpose = 'field' AND v.number IS NULL AND NOT v.is_numbered)
    INTO w.insert_columns, w.insert_values, w.key_values, w.assignments
    FROM valued v;
    IF is_built_in THEN
        w.insert_columns := w.insert_columns || ', modified_at';
        w.insert_values := w.insert_values || ', (u.data ->> ''modified_at'')::timestamptz';
        w.assignments := w.assignments || ', modified_at = (u.data ->> ''modified_at'')::timestamptz, updated_at = now()';
    END IF;
    SELECT string_agg(quote_ident(a.attname), E',\n                    ' ORDER BY a.attnum),
           string_agg(format('o.%I', a.attname), E',\n                    ' ORDER BY a.attnum),
           string_agg(format('%1$I = o.%1$I', a.attname), E',\n                    ' ORDER BY a.attnum) FILTER (WHERE a.attidentity <> 'a')
    INTO w.restore_columns, w.restore_values, w.restore_assignments
    FROM pg_attribute a
    WHERE a.attrelid = l.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    SELECT format('%I = %s', c.column_name, CASE WHEN c.type = 'bool'::regtype THEN 'true' ELSE 'now()' END)
    INTO w.mark FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'deleted';
    RETURN w;
END
$$;
COMMENT ON FUNCTION sync_writer_pieces(int) IS 'The pieces of SQL for writing a layout''s relation.';

-- Rows are known again by a hash of all that they hold (print): an undo touches only what nobody has touched since.
-- Images are rows as json, not jsonb: what comes back is what was there, to the last digit.
CREATE FUNCTION sync_write_body(layout_id int) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    w sync_writer_sql := sync_writer_pieces(layout_id);
    l sync_layout := (SELECT x FROM sync_layout x WHERE x.id = layout_id);
    is_lockable boolean := (SELECT c.relkind IN ('r', 'p') FROM pg_class c WHERE c.oid = l.relation);
    s sync_layout_sql := sync_layout_pieces(layout_id, sync_item_org(layout_id, '$2'));
    -- the organisation leads the keys of shared tables: without it, each part of an apply would read all of such a table
    row_match text := s.key_match || ' AND ' || s.org_match;
    slots jsonb;
BEGIN
    slots := jsonb_build_object(
        'relation', s.relation, 'key', s.key_text, 'live', s.live, 'row_match', row_match, 'mark', w.mark,
        'insert_columns', w.insert_columns, 'insert_values', w.insert_values, 'key_values', w.key_values,
        'restore_columns', w.restore_columns, 'restore_values', w.restore_values, 'restore_assignments', w.restore_assignments,
        'image', 'row_to_json(n.*)::text', 'print', 'hashtextextended(row_to_json(n.*)::text, 0)',
        'lock', CASE WHEN is_lockable THEN 'FOR UPDATE OF n' END,
        -- where nothing but the key is bound, an update changes nothing
        'assignments', coalesce(w.assignments, (SELECT format('%1$I = n.%1$I', min(c.column_name::text))
                                                FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'key')),
        -- a row of another organisation may have the key by now, where one key is one row's in all of the relation
        'taken', CASE WHEN sync_is_key(l.relation, (SELECT array_agg(c.column_name::text)
                                                    FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'key'))
                      THEN s.key_match ELSE row_match END,
        'items', sync_items('$3', 'id', '$2'),
        'records', sync_items('$3, $4', 'id, data', '$2'),
        'prints', sync_items('$3, $7', 'id, print', '$2'),
        'images', sync_items('$3, $6', 'id, image', '$2'),
        'images_and_prints', sync_items('$3, $6, $7', 'id, image, print', '$2'),
        'no_key', format('MESSAGE = %L, DETAIL = %L, HINT = %L', format('a new row of %s can''t get a key', sync_relation_name(l.relation)),
                         'A key column is neither bound to a field nor has it a default.',
                         'Give the column a default, or bind it to a field.'));
    RETURN sync_fill($sql$
#variable_conflict use_column
DECLARE
    said text;
    advised text;
BEGIN
    CASE $1
        WHEN 'key' THEN
            $sql$ || CASE WHEN w.key_values IS NULL
                THEN $sql$RAISE EXCEPTION USING ERRCODE = '55000', {{no_key}};$sql$
                ELSE $sql$RETURN QUERY
                SELECT {{key_values}}, NULL::text, NULL::bigint
                FROM unnest($4) WITH ORDINALITY AS u (data, place)
                ORDER BY u.place;$sql$ END || $sql$
        WHEN 'insert' THEN
            RETURN QUERY
                INSERT INTO {{relation}} AS n (
                    {{insert_columns}})
                OVERRIDING SYSTEM VALUE
                SELECT
                    {{insert_values}}
                FROM unnest($3, $4) WITH ORDINALITY AS u (id, data, place)
                ORDER BY u.place
                RETURNING {{key}}, NULL::text, {{print}};
        WHEN 'update' THEN
            RETURN QUERY
                WITH u AS MATERIALIZED (
                    SELECT u.id, u.data, u.org, {{image}} AS image
                    FROM {{records}}
                    JOIN {{relation}} n ON {{row_match}}
                    WHERE {{live}} {{lock}})
                UPDATE {{relation}} n SET
                    {{assignments}}
                FROM u
                WHERE {{row_match}}
                RETURNING {{key}}, u.image, {{print}};
        WHEN 'delete' THEN
            RETURN QUERY
                $sql$ || CASE WHEN w.mark IS NULL THEN $sql$DELETE FROM {{relation}} n
                USING {{items}}
                WHERE {{row_match}} AND {{live}}
                RETURNING {{key}}, {{image}}, NULL::bigint;$sql$ ELSE $sql$WITH u AS MATERIALIZED (
                    SELECT u.id, u.data, u.org, {{image}} AS image
                    FROM {{records}}
                    JOIN {{relation}} n ON {{row_match}}
                    WHERE {{live}} {{lock}})
                UPDATE {{relation}} n SET {{mark}}
                FROM u
                WHERE {{row_match}}
                RETURNING {{key}}, u.image, {{print}};$sql$ END || $sql$
        WHEN 'undo insert' THEN
            RETURN QUERY
                DELETE FROM {{relation}} n
                USING {{prints}}
                WHERE {{row_match}} AND {{print}} = u.print
                RETURNING {{key}}, NULL::text, NULL::bigint;
        WHEN 'undo update' THEN
            RETURN QUERY
                UPDATE {{relation}} n SET
                    {{restore_assignments}}
                FROM {{images_and_prints}},
                     LATERAL json_populate_record(NULL::{{relation}}, u.image::json) o
                WHERE {{row_match}} AND {{print}} = u.print
                RETURNING {{key}}, NULL::text, NULL::bigint;
        WHEN 'undo delete' THEN
            RETURN QUERY
                INSERT INTO {{relation}} AS n (
                    {{restore_columns}})
                OVERRIDING SYSTEM VALUE
                SELECT
                    {{restore_values}}
                FROM {{images}},
                     LATERAL json_populate_record(NULL::{{relation}}, u.image::json) o
                WHERE NOT EXISTS (SELECT FROM {{relation}} n WHERE {{taken}})
                RETURNING {{key}}, NULL::text, NULL::bigint;
        WHEN 'settle' THEN
            SET CONSTRAINTS ALL IMMEDIATE;
    END CASE;
EXCEPTION WHEN OTHERS THEN
    -- what carries an error on from here knows the codes of Postgres alone, and triggers of the app may have their own
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL, advised = PG_EXCEPTION_HINT;
    RAISE EXCEPTION USING ERRCODE = 'P0001', MESSAGE = SQLERRM,
        DETAIL = format('sqlstate %s: %s', SQLSTATE, said), HINT = advised;
END
$sql$, slots);
END
$$;
COMMENT ON FUNCTION sync_write_body(int) IS 'The body of the function that writes a layout''s relation.';

CREATE FUNCTION sync_generate_writer(layout_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET check_function_bodies = on
AS $$
DECLARE
    signature text := format('@extschema@.sync_write_%s(text, uuid, text[], jsonb[], text[], text[], bigint[])', layout_id);
    binder regrole;
    records text;
BEGIN
    SELECT l.bound_by, e.name INTO binder, records FROM sync_layout l JOIN sync_entity e ON e.number = l.entity WHERE l.id = layout_id;
    -- strings in the defaults of columns are written for one setting of standard_conforming_strings
    EXECUTE format('CREATE OR REPLACE FUNCTION @extschema@.sync_write_%s(
                op text, org uuid, ids text[], records jsonb[], fields text[], images text[], prints bigint[])
            RETURNS TABLE (local_id text, image text, print bigint) LANGUAGE plpgsql
            SET search_path = pg_catalog, @extschema@, pg_temp
            SET datestyle = ''ISO, YMD'' SET timezone = ''UTC'' SET extra_float_digits = 1
            SET standard_conforming_strings = on SET enable_seqscan = off AS %L', layout_id, sync_write_body(layout_id));
    PERFORM sync_adopt(signature::regprocedure);
    IF binder IS NOT NULL THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', signature, binder);
    END IF;
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', signature, format('Writes local %s, and undoes it. Generated.', records));
END
$$;
COMMENT ON FUNCTION sync_generate_writer(int) IS 'Makes the function that writes a layout''s relation: sync_write_N.';

-- A cursor held beyond the transaction would be filled at its end, with other rights than those it was opened with.
CREATE FUNCTION sync_held_cursors() RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT array_agg(format('%s %s', c.name, c.creation_time) ORDER BY c.name) FROM pg_cursors c WHERE c.is_holdable
$$;
COMMENT ON FUNCTION sync_held_cursors() IS 'Cursors of this session that outlive the transaction.';

CREATE FUNCTION sync_raise(state text, message text, detail text, hint text, relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    place text;
    name text;
BEGIN
    SELECT n.nspname, c.relname INTO place, name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    IF hint <> '' THEN
        RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message, DETAIL = coalesce(nullif(detail, ''), 'SQLSTATE ' || state), HINT = hint,
            SCHEMA = coalesce(place, ''), TABLE = coalesce(name, '');
    ELSIF detail <> '' THEN
        RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message, DETAIL = detail, SCHEMA = coalesce(place, ''), TABLE = coalesce(name, '');
    END IF;
    RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message, SCHEMA = coalesce(place, ''), TABLE = coalesce(name, '');
END
$$;
COMMENT ON FUNCTION sync_raise(text, text, text, text, regclass) IS
    'Raises an error as it was caught, with what it has of detail and hint, as one of that relation.';

-- A bound relation is written with the rights of who bound it. The function that does it belongs to the extension and
-- has no rights of its own: an owner could give it other ones.
CREATE FUNCTION sync_write(layout_id int, op text, org uuid, ids text[], records jsonb[], fields text[], images text[], prints bigint[])
    RETURNS TABLE (local_id text, image text, print bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    binder regrole := (SELECT l.bound_by FROM sync_layout l WHERE l.id = layout_id);
    call text := format('SELECT w.local_id, w.image, w.print FROM @extschema@.sync_write_%s($1, $2, $3, $4, $5, $6, $7) w', layout_id);
    held text[];
    said text;
    advised text;
BEGIN
    IF binder IS NULL THEN
        RETURN QUERY EXECUTE call USING op, org, ids, records, fields, images, prints;
        RETURN;
    END IF;
    held := sync_held_cursors();
    RETURN QUERY SELECT w.local_id, w.image, w.print FROM sync_write_as(binder, call, op, org, ids, records, fields, images, prints) w;
    IF sync_held_cursors() IS DISTINCT FROM held THEN
        RAISE EXCEPTION 'a trigger of the local relation opened a cursor that outlives the transaction' USING ERRCODE = '42501',
            HINT = 'Triggers of a bound relation must not use WITH HOLD.';
    END IF;
EXCEPTION WHEN raise_exception THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL, advised = PG_EXCEPTION_HINT;
    IF said !~ '^sqlstate [0-9A-Z]{5}: ' THEN
        RAISE;
    END IF;
    PERFORM sync_raise(substr(said, 10, 5), SQLERRM, substr(said, 17), advised,
                       (SELECT l.relation FROM sync_layout l WHERE l.id = layout_id));
END
$$;
COMMENT ON FUNCTION sync_write(int, text, uuid, text[], jsonb[], text[], text[], bigint[]) IS
    'Writes a layout''s relation, or undoes that, with the rights of who bound it.';

DO $$
BEGIN
    PERFORM sync_generate_writer(l.id) FROM sync_layout l WHERE l.bound_by IS NULL;
END
$$;
