-- What happens to a bound relation after it was bound: renamings, dropped columns, other types, partitions.

CREATE FUNCTION sync_layout_misfit(layout_id int) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(
        l.broken,
        CASE WHEN c.oid IS NULL THEN 'it was dropped'
             WHEN l.bound_by IS NOT NULL AND r.oid IS NULL THEN 'the role that bound it was dropped' END,
        (SELECT CASE WHEN a.attname IS NULL THEN format('its column "%s" was dropped', x.column_name)
                     ELSE format('its column "%s" is of type %s now, and was %s', a.attname, format_type(a.atttypid, NULL),
                                 coalesce(format_type(nullif(x.type::oid, 0), NULL), 'another')) END
         FROM sync_layout_column x
         LEFT JOIN pg_attribute a ON a.attrelid = l.relation AND a.attname = x.column_name AND a.attnum > 0 AND NOT a.attisdropped
         WHERE x.layout = l.id AND a.atttypid IS DISTINCT FROM x.type
         ORDER BY x.position LIMIT 1),
        CASE WHEN l.bound_by IS NOT NULL AND l.tracking = 'trigger' AND NOT sync_is_key(l.relation, k.names)
             THEN 'it has no unique index over its key columns any more'
             WHEN l.bound_by IS NOT NULL AND l.tracking = 'trigger'
                  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = l.relation AND a.attname = ANY (k.names) AND NOT a.attnotnull)
             THEN 'a key column of it may be null now' END)
    FROM sync_layout l
    LEFT JOIN pg_class c ON c.oid = l.relation
    LEFT JOIN pg_roles r ON r.oid = l.bound_by
    CROSS JOIN LATERAL (SELECT array_agg(x.column_name::text) AS names FROM sync_layout_column x
                        WHERE x.layout = l.id AND x.purpose = 'key') k
    WHERE l.id = layout_id
$$;
COMMENT ON FUNCTION sync_layout_misfit(int) IS 'Why a layout no longer fits its relation; NULL where it does.';

-- Rights come back: a layout is not broken by their loss, but by what was written meanwhile.
CREATE FUNCTION sync_layout_problem(layout_id int) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(sync_layout_misfit(layout_id), (
        SELECT 'the role that bound it, ' || l.bound_by || ', ' || CASE
                   WHEN NOT (has_function_privilege(l.bound_by, '@extschema@.sync_row_fingerprint(text, text, text[])', 'EXECUTE')
                             AND has_schema_privilege(l.bound_by, '@extschema@', 'USAGE')) THEN 'has no grant of sync_grant any more'
                   WHEN sync_unread(l.bound_by, l.relation) = 'relation' THEN 'may not read it any more'
                   WHEN sync_unread(l.bound_by, l.relation) = 'rows' THEN 'may not read all of its rows (row-level security)'
                   WHEN EXISTS (SELECT FROM sync_layout_loss x WHERE x.layout = l.id)
                       THEN 'could not read what was written to it for a while' END
        FROM sync_layout l WHERE l.id = layout_id AND l.bound_by IS NOT NULL))
$$;
COMMENT ON FUNCTION sync_layout_problem(int) IS 'Why a layout can''t be used; NULL where it can.';

CREATE FUNCTION sync_layout_usable(layout_id int) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    problem text := sync_layout_problem(layout_id);
BEGIN
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'the relation bound to % can''t be used: %',
            (SELECT e.name FROM sync_layout l JOIN sync_entity e ON e.number = l.entity WHERE l.id = layout_id), problem
            USING ERRCODE = '55000', HINT = 'Call sync_bind anew, or sync_unbind; sync_bindings shows what is bound.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_layout_usable(int) IS '55000 where a bound relation has changed so that it can''t be the local side any more.';

-- Whoever's statement it was is told, rather than that triggers go which they never made.
CREATE FUNCTION sync_break_layout(layout_id int, problem text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning
AS $$
BEGIN
    PERFORM sync_hold_layout(layout_id);
    UPDATE sync_layout l SET broken = problem WHERE l.id = layout_id AND l.broken IS NULL;
    IF FOUND THEN
        RAISE WARNING 'the relation bound to % is not followed any more: %',
            (SELECT e.name FROM sync_layout l JOIN sync_entity e ON e.number = l.entity WHERE l.id = layout_id), problem
            USING HINT = 'Call sync_bind anew, or sync_unbind; sync_bindings shows what is bound.';
    END IF;
    -- a number that is nobody's today may be another relation's where a dump is restored
    UPDATE sync_layout l SET relation = 0 WHERE l.id = layout_id AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = l.relation);
    UPDATE sync_layout_column x SET relation = 0
    FROM sync_layout l WHERE l.id = layout_id AND x.layout = l.id AND l.relation = 0;
    EXECUTE format('DROP FUNCTION IF EXISTS @extschema@.sync_track_%s() CASCADE', layout_id);
END
$$;
COMMENT ON FUNCTION sync_break_layout(int, text) IS 'Marks a layout as one that can''t be used any more, and stops tracking its relation.';

-- Follows renamings and partitions. What can't be followed stops the tracking, so that the app's own statements go on,
-- and is told by the next call.
CREATE FUNCTION sync_refresh_layout(layout_id int, is_rewritten boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    before sync_layout;
    members oid[];
    problem text;
    moved boolean;
BEGIN
    IF NOT sync_hold_layout(layout_id) THEN
        RETURN;
    END IF;
    UPDATE sync_layout_column x SET column_name = a.attname
    FROM pg_attribute a
    WHERE x.layout = layout_id AND a.attrelid = x.relation AND a.attnum = x.attnum AND NOT a.attisdropped AND a.attname <> x.column_name;
    problem := sync_layout_misfit(layout_id);
    IF problem IS NOT NULL THEN
        PERFORM sync_break_layout(layout_id, problem);
        RETURN;
    END IF;
    SELECT * INTO before FROM sync_layout l WHERE l.id = layout_id;
    PERFORM sync_generate_layout(layout_id);
    -- a column has got, or lost, its default or NOT NULL (sync_tells_no)
    PERFORM sync_compare_anew(layout_id);
    IF before.tracking = 'trigger' THEN
        SELECT l.members INTO members FROM sync_layout l WHERE l.id = layout_id;
        moved := NOT before.members <@ members;
        -- a new partition is empty, one that was attached is not
        FOR i IN 1 .. cardinality(members) LOOP
            CONTINUE WHEN moved OR members[i] = ANY (before.members);
            -- a query would do what the functions in its indexes and partition keys do when it is planned, with our rights
            moved := pg_relation_size(members[i]) > 0;
        END LOOP;
        IF moved OR is_rewritten THEN
            PERFORM sync_rescan(layout_id);
        END IF;
    END IF;
EXCEPTION WHEN OTHERS THEN
    PERFORM sync_break_layout(layout_id, format('it could not be followed: %s', SQLERRM));
END
$$;
COMMENT ON FUNCTION sync_refresh_layout(int, boolean) IS 'Makes a layout fit its relation again after DDL, or notes why it can''t.';

-- A restore brings functions and triggers by itself, with what it has of the tables; its sessions set both.
CREATE FUNCTION sync_is_restoring() RETURNS boolean
    LANGUAGE sql STABLE
    RETURN current_setting('row_security') = 'off' AND current_setting('check_function_bodies') = 'off';
COMMENT ON FUNCTION sync_is_restoring() IS 'Whether this session restores a dump.';

-- Which relations a command rewrites is known before it does, that it has done so afterwards. A setting of the
-- transaction carries it from here to there.
CREATE FUNCTION sync_on_rewrite() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM sync_layout l WHERE l.bound_by IS NOT NULL AND pg_event_trigger_table_rewrite_oid() = ANY (l.members)) THEN
        PERFORM set_config('sync_ext_rewrite.done', 'yes', true);
    END IF;
END
$$;
COMMENT ON FUNCTION sync_on_rewrite() IS 'Event trigger: notes that a bound relation is rewritten, which no trigger of its own sees.';

-- Generated functions name types, and what defaults call: a type, sequence or function under another name is as much a change of
-- the relation as a column is. Those of a schema or an extension depend on it, as columns do on their types.
CREATE FUNCTION sync_relations_touched(classes oid[], objects oid[]) RETURNS oid[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH RECURSIVE touched AS (
        SELECT t.classid, t.objid FROM unnest(classes, objects) AS t (classid, objid)
        UNION
        SELECT n.classid, n.objid FROM touched t, LATERAL (
            SELECT d.classid, d.objid FROM pg_depend d
            WHERE t.classid IN ('pg_namespace'::regclass, 'pg_extension'::regclass, 'pg_type'::regclass)
              AND d.refclassid = t.classid AND d.refobjid = t.objid
            UNION ALL
            SELECT t.classid, i.inhparent FROM pg_inherits i WHERE t.classid = 'pg_class'::regclass AND i.inhrelid = t.objid) n)
    SELECT coalesce(array_agg(DISTINCT r.relation), '{}')
    FROM touched t, LATERAL (
        SELECT t.objid AS relation WHERE t.classid = 'pg_class'::regclass
        UNION ALL
        -- sequences of the relation's own
        SELECT d.refobjid FROM pg_depend d
        WHERE t.classid = 'pg_class'::regclass AND d.classid = t.classid AND d.objid = t.objid
          AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass
        UNION ALL
        SELECT a.adrelid FROM pg_depend d JOIN pg_attrdef a ON a.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = t.classid AND d.refobjid = t.objid) r
$$;
COMMENT ON FUNCTION sync_relations_touched(oid[], oid[]) IS
    'Relations whose columns, or their types and defaults, are named by any of these objects.';

CREATE FUNCTION sync_after_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    layout_id int;
    touched oid[];
    is_rewritten boolean := coalesce(current_setting('sync_ext_rewrite.done', true), '') = 'yes';
BEGIN
    IF NOT EXISTS (SELECT FROM sync_layout l WHERE l.bound_by IS NOT NULL) OR sync_is_restoring() THEN
        RETURN;
    END IF;
    IF is_rewritten THEN
        PERFORM set_config('sync_ext_rewrite.done', '', true);
    END IF;
    SELECT sync_relations_touched(array_agg(d.classid), array_agg(d.objid)) INTO touched FROM pg_event_trigger_ddl_commands() d;
    FOR layout_id IN
        SELECT l.id FROM sync_layout l
        WHERE l.bound_by IS NOT NULL AND l.broken IS NULL AND (l.relation = ANY (touched) OR l.members && touched)
    LOOP
        PERFORM sync_refresh_layout(layout_id, is_rewritten);
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_after_ddl() IS
    'Event trigger: bound relations are followed through renamings, of what they are made of as well, '
    'and new or detached partitions.';

CREATE FUNCTION sync_after_drop() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    layout_id int;
BEGIN
    -- while the extension itself is dropped there is nothing to look at
    IF to_regclass('@extschema@.sync_layout') IS NULL OR to_regclass('@extschema@.sync_record') IS NULL THEN
        RETURN;
    END IF;
    FOR layout_id IN
        SELECT l.id FROM sync_layout l
        WHERE l.bound_by IS NOT NULL
          AND (l.members && ARRAY(SELECT d.objid FROM pg_event_trigger_dropped_objects() d WHERE d.classid = 'pg_class'::regclass)
               -- which relation an index was of isn't known any more
               OR l.broken IS NULL AND sync_layout_misfit(l.id) IS NOT NULL
                  AND EXISTS (SELECT FROM pg_event_trigger_dropped_objects() d WHERE d.object_type = 'index'))
    LOOP
        PERFORM sync_refresh_layout(layout_id, false);
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_after_drop() IS 'Event trigger: a bound relation, column or partition was dropped.';

CREATE EVENT TRIGGER sync_on_rewrite ON table_rewrite EXECUTE FUNCTION sync_on_rewrite();
CREATE EVENT TRIGGER sync_after_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE', 'ALTER SCHEMA',
                 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE VIEW', 'ALTER TYPE', 'ALTER DOMAIN', 'ALTER SEQUENCE', 'ALTER FUNCTION',
                 'ALTER ROUTINE', 'ALTER OPERATOR', 'ALTER COLLATION', 'ALTER EXTENSION')
    EXECUTE FUNCTION sync_after_ddl();
-- Whatever is dropped: relations and columns also go with what they depend on, as views with a column, and columns with a type.
CREATE EVENT TRIGGER sync_after_drop ON sql_drop EXECUTE FUNCTION sync_after_drop();
COMMENT ON EVENT TRIGGER sync_on_rewrite IS 'Notes that a bound relation is rewritten.';
COMMENT ON EVENT TRIGGER sync_after_ddl IS 'Follows bound relations through DDL.';
COMMENT ON EVENT TRIGGER sync_after_drop IS 'Notes that a bound relation is gone.';

CREATE FUNCTION sync_binding_problem(entity smallint) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('read');
BEGIN
    RETURN (SELECT sync_layout_problem(b.layout) FROM sync_binding b WHERE b.org_id = org AND b.entity = sync_binding_problem.entity);
END
$$;
COMMENT ON FUNCTION sync_binding_problem(smallint) IS 'Why what is bound for the current organisation can''t be used; NULL where it can.';

CREATE VIEW sync_bindings WITH (security_barrier) AS
SELECT b.org_id, e.name AS entity_type, (SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = l.relation) AS relation, l.tracking,
       (SELECT jsonb_object_agg(c.field, c.column_name) FROM sync_layout_column c WHERE c.layout = l.id AND c.purpose = 'field') AS columns,
       (SELECT array_agg(c.column_name::text ORDER BY c.position) FROM sync_layout_column c
        WHERE c.layout = l.id AND c.purpose = 'key') AS key_columns,
       (SELECT c.column_name::text FROM sync_layout_column c WHERE c.layout = l.id AND c.purpose = 'org') AS org_column,
       (SELECT c.column_name::text FROM sync_layout_column c WHERE c.layout = l.id AND c.purpose = 'deleted') AS deleted_column,
       l.bound_by::text AS bound_by, b.bound_at, sync_binding_problem(b.entity) AS broken
FROM sync_binding b
JOIN sync_layout l ON l.id = b.layout
JOIN sync_entity e ON e.number = b.entity
WHERE b.org_id = (SELECT sync_current_org());
COMMENT ON VIEW sync_bindings IS 'Which relations of the app are bound for the current organisation, and whether they can still be used.';
COMMENT ON COLUMN sync_bindings.relation IS 'The relation by its name today; NULL where it was dropped.';
