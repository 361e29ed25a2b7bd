-- What happens to a bound relation after it was bound: renamings, dropped columns, other types, partitions.

CREATE FUNCTION sync_layout_problem(layout_id int) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(
        l.broken,
        CASE WHEN c.oid IS NULL THEN 'it was dropped' END,
        (SELECT CASE WHEN a.attname IS NULL THEN format('its column "%s" was dropped', x.column_name)
                     ELSE format('its column "%s" is of type %s now, and was %s', a.attname,
                                 format_type(a.atttypid, NULL), format_type(x.type, NULL)) END
         FROM sync_layout_column x
         LEFT JOIN pg_attribute a ON a.attrelid = l.relation AND a.attname = x.column_name AND NOT a.attisdropped
         WHERE x.layout = l.id AND a.atttypid IS DISTINCT FROM x.type
         ORDER BY x.position LIMIT 1))
    FROM sync_layout l LEFT JOIN pg_class c ON c.oid = l.relation
    WHERE l.id = layout_id
$$;
COMMENT ON FUNCTION sync_layout_problem(int) IS 'Why a layout no longer fits its relation; NULL where it does.';

CREATE FUNCTION sync_layout_usable(layout_id int) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    problem text := sync_layout_problem(layout_id);
BEGIN
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'the relation bound to % can''t be used: %',
            (SELECT e.name FROM sync_layout l JOIN sync_entity e ON e.number = l.entity WHERE l.id = layout_id), problem
            USING ERRCODE = '55000', HINT = 'Call sync_bind anew, or sync_unbind.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_layout_usable(int) IS '55000 where a bound relation has changed so that it can''t be the local side any more.';

-- Follows renamings and partitions. What can't be followed stops the tracking, so that the app's own statements go on,
-- and is told by the next call.
CREATE FUNCTION sync_refresh_layout(layout_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    l sync_layout;
    problem text;
BEGIN
    -- where a dump was restored, columns may have got other numbers
    UPDATE sync_layout_column x SET attnum = a.attnum
    FROM sync_layout y, pg_attribute a
    WHERE x.layout = layout_id AND y.id = layout_id AND y.relation <> ALL (y.members)
      AND a.attrelid = y.relation AND a.attname = x.column_name AND a.attnum > 0;
    UPDATE sync_layout_column x SET column_name = a.attname
    FROM sync_layout y, pg_attribute a
    WHERE x.layout = layout_id AND y.id = layout_id AND a.attrelid = y.relation AND a.attnum = x.attnum
      AND NOT a.attisdropped AND a.attname <> x.column_name;
    problem := sync_layout_problem(layout_id);
    SELECT * INTO l FROM sync_layout y WHERE y.id = layout_id;
    IF problem IS NOT NULL THEN
        UPDATE sync_layout y SET broken = problem WHERE y.id = layout_id AND y.broken IS NULL;
        EXECUTE format('DROP FUNCTION IF EXISTS @extschema@.sync_track_%s() CASCADE', layout_id);
        RETURN;
    END IF;
    PERFORM sync_generate_layout(layout_id);
    IF l.members <> (SELECT y.members FROM sync_layout y WHERE y.id = layout_id) THEN
        PERFORM sync_rescan(layout_id);
    END IF;
END
$$;
COMMENT ON FUNCTION sync_refresh_layout(int) IS 'Makes a layout fit its relation again after DDL, or notes why it can''t.';

CREATE FUNCTION sync_after_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    layout_id int;
BEGIN
    IF NOT EXISTS (SELECT FROM sync_layout l WHERE l.bound_by IS NOT NULL) THEN
        RETURN;
    END IF;
    FOR layout_id IN
        WITH RECURSIVE touched AS (
            SELECT d.objid FROM pg_event_trigger_ddl_commands() d WHERE d.classid = 'pg_class'::regclass
            UNION
            SELECT i.inhparent FROM pg_inherits i JOIN touched t ON t.objid = i.inhrelid)
        SELECT l.id FROM sync_layout l
        WHERE l.bound_by IS NOT NULL AND l.broken IS NULL
          AND (l.relation IN (SELECT objid FROM touched) OR l.members && ARRAY(SELECT objid FROM touched))
    LOOP
        PERFORM sync_refresh_layout(layout_id);
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_after_ddl() IS 'Event trigger: bound relations are followed through renamings, and new or detached partitions.';

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
        WHERE l.bound_by IS NOT NULL AND l.broken IS NULL
          AND l.members && ARRAY(SELECT d.objid FROM pg_event_trigger_dropped_objects() d WHERE d.classid = 'pg_class'::regclass)
    LOOP
        PERFORM sync_refresh_layout(layout_id);
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_after_drop() IS 'Event trigger: a bound relation, column or partition was dropped.';

CREATE EVENT TRIGGER sync_after_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'CREATE VIEW')
    EXECUTE FUNCTION sync_after_ddl();
CREATE EVENT TRIGGER sync_after_drop ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP VIEW', 'DROP MATERIALIZED VIEW', 'DROP FOREIGN TABLE', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION sync_after_drop();
COMMENT ON EVENT TRIGGER sync_after_ddl IS 'Follows bound relations through DDL.';
COMMENT ON EVENT TRIGGER sync_after_drop IS 'Notes that a bound relation is gone.';
