-- What reads and writes a layout's relation is generated from the layout: the pieces of SQL, and the readers.

-- The rule for everything that is generated, here and in what follows: a name is never text in a body. Relations come from
-- sync_relation_name, columns by %I, types by format_type, values and whole bodies by %L; the functions that generate check what
-- they have made, whatever the session has set.

-- Templates have their slots as {{name}}. Split once: what comes into a slot is never looked at again, whatever a name in it holds.
CREATE FUNCTION sync_fill(template text, slots jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    parts text[] := regexp_split_to_array(template, '[{]{2}|[}]{2}');
    filled text := '';
BEGIN
    FOR i IN 1 .. cardinality(parts) LOOP
        IF i % 2 = 0 AND NOT slots ? parts[i] THEN
            RAISE EXCEPTION 'nothing is there for slot "%"', parts[i] USING ERRCODE = 'XX000';
        END IF;
        filled := filled || CASE i % 2 WHEN 1 THEN parts[i] ELSE coalesce(slots ->> parts[i], '') END;
    END LOOP;
    RETURN filled;
END
$$;
COMMENT ON FUNCTION sync_fill(text, jsonb) IS 'A template of SQL with its slots filled: {slot: SQL}; NULL is nothing.';

-- With its schema, always: "text" alone would be a table of the search path as a relation, and something else as a type.
CREATE FUNCTION sync_relation_name(relation oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT format('%I.%I', s.nspname, c.relname) FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = relation
$$;
COMMENT ON FUNCTION sync_relation_name(oid) IS 'The name of a relation as SQL, with its schema.';

-- Built-in types (and domains of them, which a cast only relabels) are cast; of any other only the output function is
-- called: a cast may be a function of the type's owner, and would run with more rights than the owner has.
CREATE FUNCTION sync_column_value(column_name text, type oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE WHEN b.base >= 16384 THEN format('nullif(format(''%%s'', n.%I), '''')', column_name)
                WHEN b.base <> type THEN format('n.%I::%s', column_name, format_type(b.base, -1))
                ELSE format('n.%I', column_name) END
    FROM (SELECT sync_base_type(type) AS base) b
$$;
COMMENT ON FUNCTION sync_column_value(text, oid) IS 'SQL for the value of a column of a row n, of a built-in type.';

CREATE FUNCTION sync_column_text(column_name text, type oid, kind text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE
        WHEN b.base >= 16384 THEN v.value
        WHEN kind IN ('set', 'sequence', 'list', 'any') AND b.base NOT IN ('jsonb'::regtype, 'json'::regtype)
            THEN format('to_jsonb(%s)::text', v.value)
        -- 10.50 in JSON is the number 10.5, and so is the text of it
        WHEN b.base = 'numeric'::regtype AND kind IS DISTINCT FROM 'number' THEN format('trim_scale(%s)::text', v.value)
        WHEN b.base = 'timestamptz'::regtype THEN format('(%s AT TIME ZONE ''UTC'')::text', v.value)
        ELSE v.value || '::text' END
    FROM (SELECT sync_base_type(type) AS base) b, (SELECT sync_column_value(column_name, type) AS value) v
$$;
COMMENT ON FUNCTION sync_column_text(text, oid, text) IS 'SQL for the text of a column of a row n.';

CREATE TYPE sync_layout_sql AS (
    id int,
    entity smallint,
    relation text,
    names text,
    row_texts text,
    match_names text,
    match_texts text[],
    row_json text,
    key_text text,
    key_match text,
    org text,
    org_match text,
    live text,
    is_plain boolean
);
COMMENT ON TYPE sync_layout_sql IS
    'Pieces of SQL that the functions of a layout are made of; n is a row of its relation. '
    'match_texts: best first, and last, of a document, the connector that it came from. '
    'is_plain: no column''s text depends on a setting of the session.';

CREATE FUNCTION sync_layout_pieces(layout_id int, wanted_org text DEFAULT '$1') RETURNS sync_layout_sql
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    s sync_layout_sql;
    org sync_layout_column;
    gone sync_layout_column;
BEGIN
    SELECT l.id, l.entity, sync_relation_name(l.relation) INTO s.id, s.entity, s.relation FROM sync_layout l WHERE l.id = layout_id;
    SELECT string_agg(c.field, ',' ORDER BY c.position),
           string_agg(sync_column_text(c.column_name, c.type, c.kind), E',\n                ' ORDER BY c.position)
    INTO s.names, s.row_texts
    FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'field';
    SELECT string_agg(c.field, ',' ORDER BY m.place), array_agg(sync_column_text(c.column_name, c.type, c.kind) ORDER BY m.place)
    INTO s.match_names, s.match_texts
    FROM sync_entity e, sync_layout_column c,
         unnest(sync_match_fields(e.name) || CASE WHEN e.is_document THEN '{sync_type}'::text[] END) WITH ORDINALITY m (field, place)
    WHERE e.number = s.entity AND c.layout = layout_id AND c.purpose = 'field' AND c.field = m.field;
    SELECT bool_and(sync_base_type(c.type) < 16384
                    AND sync_base_type(c.type) NOT IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype,
                                                       'float4'::regtype, 'float8'::regtype))
    INTO s.is_plain
    FROM sync_layout_column c WHERE c.layout = layout_id;
    -- jsonb_build_object takes a hundred arguments; a record may have more fields
    SELECT string_agg(format('jsonb_build_object(%s)', part.pairs), ' || ' ORDER BY part.number)
    INTO s.row_json
    FROM (SELECT c.position / 40 AS number,
                 string_agg(format('%L, %s', c.field, sync_column_value(c.column_name, c.type)), ', ' ORDER BY c.position) AS pairs
          FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'field' GROUP BY 1) part;

    SELECT CASE count(*) WHEN 1 THEN min(sync_column_text(c.column_name, c.type, 'text'))
                ELSE format('to_jsonb(ARRAY[%s])::text',
                            string_agg(sync_column_text(c.column_name, c.type, 'text'), ', ' ORDER BY c.position)) END,
           CASE count(*) WHEN 1 THEN min(format('n.%I = u.id::%s', c.column_name, format_type(c.type, -1)))
                ELSE string_agg(format('n.%I = (u.id::jsonb ->> %s)::%s', c.column_name, c.number, format_type(c.type, -1)),
                                ' AND ' ORDER BY c.position) END
    INTO s.key_text, s.key_match
    FROM (SELECT c.*, row_number() OVER (ORDER BY c.position) - 1 AS number
          FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'key') c;

    SELECT * INTO org FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'org';
    IF NOT FOUND THEN
        -- a relation of one organisation's own
        s.org := format('(SELECT b.org_id FROM %s.sync_binding b WHERE b.layout = %s)', '@extschema@', layout_id);
        s.org_match := 'true';
    ELSIF sync_base_type(org.type) = 'uuid'::regtype THEN
        s.org := sync_column_value(org.column_name, org.type);
        s.org_match := format('n.%I = %s', org.column_name, wanted_org);
    ELSE
        -- what is no uuid in the usual spelling belongs to no organisation
        s.org := format('CASE WHEN n.%1$I::text ~* ''^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'' THEN n.%1$I::text::uuid END',
                        org.column_name);
        s.org_match := format('lower(n.%I::text) = %s::text', org.column_name, wanted_org);
    END IF;

    SELECT * INTO gone FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'deleted';
    s.live := CASE WHEN gone.layout IS NULL THEN 'true'
                   WHEN sync_base_type(gone.type) = 'bool'::regtype THEN format('n.%I IS NOT TRUE', gone.column_name)
                   ELSE format('n.%I IS NULL', gone.column_name) END;
    -- the ledger looks rows up by their keys: one that no index takes can't be followed, and must not fail the app's own statement
    IF EXISTS (SELECT FROM sync_layout_column c JOIN pg_type t ON t.oid = sync_base_type(c.type)
               WHERE c.layout = layout_id AND c.purpose = 'key' AND t.typlen < 0) THEN
        s.live := format('%s AND octet_length(%s) <= 2000', s.live, s.key_text);
    END IF;
    RETURN s;
END
$$;
COMMENT ON FUNCTION sync_layout_pieces(int, text) IS 'The pieces of SQL for a layout; the organisation is the parameter that is named.';

CREATE FUNCTION sync_has_org(layout_id int) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM sync_layout_column c WHERE c.layout = layout_id AND c.purpose = 'org')
$$;
COMMENT ON FUNCTION sync_has_org(int) IS 'Whether a layout''s relation has a column for the organisation, and so rows of several.';

-- Who binds lends the rights: neither by the binding nor by what tracks the relation later may come what the role can't read.
-- PL/pgSQL, whose plans are kept: every statement on a bound relation asks.
CREATE FUNCTION sync_unread(role oid, relation oid) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    c pg_class;
BEGIN
    SELECT * INTO c FROM pg_class x WHERE x.oid = relation;
    IF (has_table_privilege(role, relation, 'SELECT') AND has_schema_privilege(role, c.relnamespace, 'USAGE')) IS NOT TRUE THEN
        RETURN 'relation';
    ELSIF c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role AND (r.rolsuper OR r.rolbypassrls))
          AND (c.relforcerowsecurity OR NOT pg_has_role(role, c.relowner, 'USAGE')) THEN
        RETURN 'rows';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION sync_unread(oid, oid) IS
    'What a role may not read: the relation, or some rows of it (row-level security); NULL where it may read all.';

-- Entered by who writes to the relation, whose own statement must neither wait nor fail: by INSERT alone, under a key that
-- no other can have.
CREATE TABLE sync_layout_loss (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    layout int NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sync_layout_loss IS
    'Layouts whose relation was written while the role that bound it could not read it: the ledger has missed that.';

-- Rights also go without an event (those of members of roles, BYPASSRLS), so each statement looks.
CREATE FUNCTION sync_follows(layout_id int) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF (SELECT sync_unread(l.bound_by, l.relation) FROM sync_layout l WHERE l.id = layout_id) IS NULL THEN
        RETURN true;
    END IF;
    INSERT INTO sync_layout_loss (layout) SELECT layout_id WHERE NOT EXISTS (SELECT FROM sync_layout_loss x WHERE x.layout = layout_id);
    RETURN false;
END
$$;
COMMENT ON FUNCTION sync_follows(int) IS
    'Whether the role that bound a layout''s relation can read all of it; where not, it is noted that the ledger misses '
    'something.';

-- Mapping, connecting and DDL of the app make the functions of one layout anew, perhaps at once.
CREATE FUNCTION sync_hold_layout(layout_id int) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM FROM sync_layout l WHERE l.id = layout_id FOR UPDATE;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION sync_hold_layout(int) IS
    'Keeps others from making the functions of a layout until the transaction ends; false where it is gone.';

-- The generated functions are no members of the extension, so that a dump carries them; they go with it all the same.
CREATE FUNCTION sync_adopt(routine regprocedure) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', routine);
    IF NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = routine AND d.deptype IN ('e', 'x')) THEN
        EXECUTE format('ALTER FUNCTION %s DEPENDS ON EXTENSION sync_ext', routine);
    END IF;
END
$$;
COMMENT ON FUNCTION sync_adopt(regprocedure) IS 'Takes a generated function from PUBLIC, and lets it go with the extension.';

-- A query over all rows of a layout, keys and texts: $1 is the organisation.
CREATE FUNCTION sync_scan_query(layout_id int) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    s sync_layout_sql := sync_layout_pieces(layout_id);
BEGIN
    RETURN format('SELECT %s AS local_id, ARRAY[%s] AS texts FROM %s n WHERE %s AND %s',
                  s.key_text, s.row_texts, s.relation, s.org_match, s.live);
END
$$;
COMMENT ON FUNCTION sync_scan_query(int) IS 'SQL for keys and texts of all rows of a layout''s relation.';

-- Rows are looked up by items that each have the organisation beside their key. Where it is a constant of the statement,
-- statistics that don't know it (it is new, or they are old) promise a row of it or none, and all of its rows are compared with
-- all items. A view or a foreign table, though, can leave out what is others' by a constant only.
CREATE FUNCTION sync_item_org(layout_id int, org text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE WHEN c.relkind IN ('r', 'p') THEN 'u.org' ELSE org END
    FROM sync_layout l JOIN pg_class c ON c.oid = l.relation
    WHERE l.id = layout_id
$$;
COMMENT ON FUNCTION sync_item_org(int, text) IS
    'SQL for the organisation by which items (sync_items) are looked up in a layout''s relation; '
    'org is the parameter that holds it.';

CREATE FUNCTION sync_items(arrays text, columns text, org text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
    RETURN format('(SELECT i.*, %s AS org FROM unnest(%s) AS i (%s) OFFSET 0) u', org, arrays, columns);
COMMENT ON FUNCTION sync_items(text, text, text) IS
    'SQL for the elements of arrays as rows u of these columns, with the organisation beside them.';

-- And a query over some rows: $1 is the organisation, the ids are in the array that is named.
CREATE FUNCTION sync_read_query(layout_id int, ids text, record text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    s sync_layout_sql := sync_layout_pieces(layout_id, sync_item_org(layout_id, '$1'));
BEGIN
    RETURN format('SELECT u.id COLLATE "C", %s FROM %s JOIN %s n ON %s AND %s WHERE %s',
                  format(record, s.row_json), sync_items(ids, 'id', '$1'), s.relation, s.key_match, s.org_match, s.live);
END
$$;
COMMENT ON FUNCTION sync_read_query(int, text, text) IS 'SQL for the records of some rows of a layout''s relation.';

-- Built-in tables are read by functions that are parsed when they are made, and that the planner puts into the calling
-- query. A bound relation is read by sync_scan_of and sync_rows_of, with the rights of who bound it: a view may call functions of its
-- owner. That query is made when it is needed, so nothing goes stale by a renaming.
CREATE FUNCTION sync_generate_readers(layout_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET check_function_bodies = on
AS $$
DECLARE
    records text := (SELECT e.name FROM sync_layout x JOIN sync_entity e ON e.number = x.entity WHERE x.id = layout_id);
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION @extschema@.sync_scan_%s(org uuid, spec text)
                    RETURNS TABLE (local_id text, match_key text, fingerprint uuid)
                    LANGUAGE sql STABLE ROWS 100000 BEGIN ATOMIC
                        SELECT x.local_id COLLATE "C",
                               sync_row_match_key($2, %L, x.texts) COLLATE "C",
                               sync_row_fingerprint($2, %2$L, x.texts)
                        FROM (%3$s OFFSET 0) x; END', layout_id, (sync_layout_pieces(layout_id)).names, sync_scan_query(layout_id));
    EXECUTE format('CREATE OR REPLACE FUNCTION @extschema@.sync_read_%s(org uuid, ids text[])
                    RETURNS TABLE (local_id text, record jsonb)
                    LANGUAGE sql STABLE ROWS 1000 BEGIN ATOMIC
                        %s; END', layout_id, sync_read_query(layout_id, '$2', 'to_jsonb(n.*) - ''org_id'''));
    EXECUTE format('COMMENT ON FUNCTION @extschema@.sync_scan_%s(uuid, text) IS %L', layout_id,
                   format('Keys and fingerprints of all local %s. Generated.', records));
    EXECUTE format('COMMENT ON FUNCTION @extschema@.sync_read_%s(uuid, text[]) IS %L', layout_id,
                   format('Local %s by their ids. Generated.', records));
END
$$;
COMMENT ON FUNCTION sync_generate_readers(int) IS 'Makes the functions that read a built-in table: sync_scan_N, sync_read_N.';

-- For the FROM of a query whose $1 is the organisation and $4 the comparison.
CREATE FUNCTION sync_scan_source(layout_id int) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT CASE WHEN l.bound_by IS NULL THEN format('@extschema@.sync_scan_%s($1, $4)', l.id)
                -- called in a SELECT list, its rows are not stored before they are joined
                ELSE format('(SELECT (y.x).local_id COLLATE "C" AS local_id, (y.x).match_key COLLATE "C" AS match_key, (y.x).fingerprint
                              FROM (SELECT @extschema@.sync_scan_of(%s, %s, %L, %L, $1, $4, %L) AS x OFFSET 0) y)',
                            l.bound_by::oid, l.relation::oid, sync_scan_query(l.id), l.tracking = 'scan',
                            (sync_layout_pieces(l.id)).names) END
    FROM sync_layout l WHERE l.id = layout_id
$$;
COMMENT ON FUNCTION sync_scan_source(int) IS 'SQL for a layout''s rows as (local_id, match_key, fingerprint).';

-- Time zone and date style are fixed: a view must not show other rows to another session.
CREATE FUNCTION sync_local_records(layout_id int, org uuid, ids text[]) RETURNS TABLE (local_id text, record jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp SET datestyle = 'ISO, YMD' SET timezone = 'UTC'
AS $$
DECLARE
    l sync_layout;
BEGIN
    SELECT * INTO l FROM sync_layout x WHERE x.id = layout_id;
    IF l.bound_by IS NULL THEN
        RETURN QUERY EXECUTE format('SELECT r.local_id, r.record FROM @extschema@.sync_read_%s($1, $2) r', layout_id) USING org, ids;
    ELSIF cardinality(ids) > 0 THEN
        RETURN QUERY
            SELECT x.local_id, x.value::jsonb
            FROM sync_rows_of(l.bound_by, l.relation, sync_read_query(layout_id, '$3', '(%s)::text, NULL::uuid'), org, NULL, ids) x;
    END IF;
END
$$;
COMMENT ON FUNCTION sync_local_records(int, uuid, text[]) IS 'Local records by their ids, whatever relation holds them.';

-- Here and in all other blocks: an upgrade runs them again.
DO $$
BEGIN
    INSERT INTO sync_layout (id, entity, relation, tracking)
    SELECT e.number, e.number, format('%s.%I', '@extschema@', e.local_table)::regclass, 'trigger' FROM sync_entity e
    ON CONFLICT DO NOTHING;
    DELETE FROM sync_layout_column x USING sync_layout l WHERE l.id = x.layout AND l.bound_by IS NULL;
    INSERT INTO sync_layout_column
    SELECT l.id, row_number() OVER (PARTITION BY l.id ORDER BY x.purpose, x.position),
           x.purpose, x.field, x.kind, a.attname, a.attnum, a.atttypid, l.relation
    FROM sync_layout l
    JOIN sync_entity e ON e.number = l.entity
    CROSS JOIN LATERAL (
        SELECT 'field' AS purpose, f.position, f.field, f.kind, f.field AS column_name FROM sync_fields(e.name) f
        WHERE f.compared OR f.field IN ('custom', 'sync_type')
        UNION ALL VALUES ('key', 0, NULL, NULL, 'id'), ('org', 0, NULL, NULL, 'org_id')) x
    JOIN pg_attribute a ON a.attrelid = l.relation AND a.attname = x.column_name
    WHERE l.bound_by IS NULL;
    PERFORM sync_generate_readers(l.id) FROM sync_layout l WHERE l.bound_by IS NULL;
END
$$;
