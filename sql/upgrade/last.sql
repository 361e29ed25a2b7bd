-- Views and functions that had to be dropped and made again: who held something on them holds it again, whoever gave it.
DO $$
DECLARE
    g record;
BEGIN
    FOR g IN
        SELECT b.name, n.kind, a.privilege_type AS privilege, r.rolname AS grantee, a.is_grantable
        FROM pg_temp.sync_ext_before b
        CROSS JOIN LATERAL (
            SELECT 'TABLE' AS kind, to_regclass(b.name)::oid AS oid WHERE b.classid = 'pg_class'::regclass
            UNION ALL
            SELECT 'FUNCTION', to_regprocedure(b.name)::oid WHERE b.classid = 'pg_proc'::regclass) n
        CROSS JOIN LATERAL aclexplode(b.acl) a
        JOIN pg_roles r ON r.oid = a.grantee
        WHERE n.oid <> b.objid AND a.grantee <> b.owner
    LOOP
        EXECUTE format('GRANT %s ON %s %s TO %I %s', g.privilege, g.kind, g.name, g.grantee,
                       CASE WHEN g.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END
$$;

-- What levels carry may be more by now.
SELECT sync_align_privileges(a.grantee) FROM (SELECT DISTINCT x.grantee FROM sync_access x) a;

-- Functions of bound relations are made anew by what makes them now. They are no members of the extension, and a script of it
-- may replace only those that are: so for a moment they become members.
DO $$
DECLARE
    l sync_layout;
    routine regprocedure;
    routines regprocedure[];
BEGIN
    FOR l IN SELECT * FROM sync_layout x WHERE x.bound_by IS NOT NULL AND x.broken IS NULL ORDER BY x.id LOOP
        routines := ARRAY(SELECT p.oid FROM pg_proc p
                          WHERE p.pronamespace = '@extschema@'::regnamespace
                            AND p.proname IN (format('sync_write_%s', l.id), format('sync_track_%s', l.id)));
        FOREACH routine IN ARRAY routines LOOP
            EXECUTE format('ALTER EXTENSION sync_ext ADD FUNCTION %s', routine);
        END LOOP;
        PERFORM sync_refresh_layout(l.id, false);
        FOR routine IN SELECT p.oid FROM pg_proc p WHERE p.oid = ANY (routines) LOOP
            EXECUTE format('ALTER EXTENSION sync_ext DROP FUNCTION %s', routine);
        END LOOP;
    END LOOP;
END
$$;

-- What is compared may be more by now. What the remote has of it is read by the next pull, in full.
DO $$
DECLARE
    pair record;
    c integration_connector;
    e sync_entity;
BEGIN
    FOR pair IN
        SELECT i AS connector, x AS entity
        FROM integration_connector i CROSS JOIN sync_entity x
        ORDER BY i.org_id, i.number, x.number
    LOOP
        c := pair.connector;
        e := pair.entity;
        CONTINUE WHEN NOT sync_compare(c.org_id, c, e);
        PERFORM sync_refingerprint(c.org_id, c.number, e.number);
        UPDATE sync_metadata m SET last_sync_timestamp = NULL, last_full_at = NULL, checkpoint = NULL
        WHERE m.org_id = c.org_id AND m.sync_type = c.name AND m.data_type = e.name;
    END LOOP;
END
$$;

-- What records are compared by may be another list of fields by now.
SELECT sync_compare_anew(l.id) FROM sync_layout l WHERE l.bound_by IS NULL;

DROP TABLE pg_temp.sync_ext_before;
