-- Who may do what. The organisation comes from app.current_org_id; a role sees only what sync_grant gave it.

CREATE TABLE sync_access (
    grantee regrole NOT NULL,
    org_id uuid CHECK (org_id <> '00000000-0000-0000-0000-000000000000'),
    level text NOT NULL CHECK (level IN ('read', 'operate', 'admin')),
    own_rows boolean NOT NULL DEFAULT false,
    granted_at timestamptz NOT NULL DEFAULT now()
);
-- one level per role and organisation; NULL (any organisation) counts as a value of its own
CREATE UNIQUE INDEX sync_access_key
    ON sync_access (grantee, coalesce(org_id, '00000000-0000-0000-0000-000000000000'));

COMMENT ON TABLE sync_access IS
    'Grants: which role may read, operate or administer which organisation (NULL: any). '
    'Written by sync_grant and sync_revoke.';
COMMENT ON COLUMN sync_access.level IS
    'read: see; operate: previews, pulls, applies; admin: connectors, bindings, grants. Each includes the ones before.';

COMMENT ON COLUMN sync_access.own_rows IS 'Of patterns, sync lists and histories, only the rows of app.current_user_id.';

CREATE FUNCTION sync_level_rank(level text) RETURNS int
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE level WHEN 'read' THEN 1 WHEN 'operate' THEN 2 WHEN 'admin' THEN 3 END;
COMMENT ON FUNCTION sync_level_rank(text) IS 'Orders the levels of sync_access: read < operate < admin.';

-- pg_has_role instead of a join on names: a grant to a group role counts for its members.
-- A role that was dropped after its grant must not lend it to whoever gets its oid next: hence the check on pg_roles.
CREATE FUNCTION sync_role_has(role_oid oid, org uuid, needed text, all_rows boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
            SELECT
            FROM sync_access a
            JOIN pg_roles g ON g.oid = a.grantee
            WHERE (a.org_id IS NULL OR a.org_id = org)
              AND sync_level_rank(a.level) >= sync_level_rank(needed)
              AND NOT (all_rows AND a.own_rows)
              AND pg_has_role(role_oid, a.grantee, 'USAGE'))
        OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = role_oid AND r.rolsuper);
END
$$;
COMMENT ON FUNCTION sync_role_has(oid, uuid, text, boolean) IS
    'Whether a role holds at least this level for an organisation, or, with all_rows, holds it for the rows of all users. '
    'Superusers hold all.';

COMMENT ON FUNCTION sync_require_writable() IS
    'Raises 25006 in a READ ONLY transaction and on a standby: whoever writes, or starts a worker that does, asks first.';
COMMENT ON FUNCTION sync_raw_org() IS
    'What app.current_org_id says, unchecked; NULL when unset. '
    'While code of a bound relation runs, the organisation it runs for.';

-- Of names, and for the extension alone: whoever could take one by itself could keep others from working.
COMMENT ON FUNCTION sync_try_hold(text) IS 'Takes a lock of the extension until the transaction ends; false where somebody else has it.';
COMMENT ON FUNCTION sync_hold(text) IS 'Takes a lock of the extension until the transaction ends, once nobody else has it.';

CREATE FUNCTION sync_current_org() RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_raw_org();
BEGIN
    RETURN CASE WHEN org IS NOT NULL AND sync_role_has(sync_caller(), org, 'read') THEN org END;
END
$$;
COMMENT ON FUNCTION sync_current_org() IS
    'The organisation of this session (app.current_org_id) if the calling role may read it, else NULL.';

CREATE FUNCTION sync_writable_org() RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_raw_org();
BEGIN
    RETURN CASE WHEN org IS NOT NULL AND sync_role_has(sync_caller(), org, 'operate') THEN org END;
END
$$;
COMMENT ON FUNCTION sync_writable_org() IS 'The organisation of this session if the calling role may operate on it, else NULL.';

-- Who is told apart by app.current_user_id is the app's word, as the organisation is not.
CREATE FUNCTION sync_own_rows(needed text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    RETURN NOT sync_role_has(sync_caller(), sync_raw_org(), needed, all_rows => true);
END
$$;
COMMENT ON FUNCTION sync_own_rows(text) IS
    'Whether the calling role holds this level for the rows of app.current_user_id alone (sync_grant with own_rows), '
    'if it holds it at all.';

CREATE FUNCTION sync_is_mine(owner text, needed text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
    RETURN coalesce(NOT sync_own_rows(needed) OR owner = nullif(current_setting('app.current_user_id', true), ''), false);
COMMENT ON FUNCTION sync_is_mine(text, text) IS 'Whether a row of that user is one for the calling role.';

CREATE FUNCTION sync_require(needed text) RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_raw_org();
BEGIN
    IF org IS NULL THEN
        RAISE EXCEPTION 'no organisation is set' USING ERRCODE = '28000',
            HINT = 'SET app.current_org_id to the id of your organisation.';
    END IF;
    IF NOT sync_role_has(sync_caller(), org, needed) THEN
        RAISE EXCEPTION 'not granted: level "%" on this organisation', needed USING ERRCODE = '42501',
            HINT = 'An administrator of the organisation grants it with sync_grant(role, org_id, level).';
    END IF;
    -- who needs more than to read is about to write
    IF needed <> 'read' THEN
        PERFORM sync_require_writable();
    END IF;
    RETURN org;
END
$$;
COMMENT ON FUNCTION sync_require(text) IS
    'The organisation of this session; 28000 when none is set, 42501 when the calling role lacks the level, '
    '25006 when the level is for writing and nothing can be written.';

-- What each level may call and touch. One place: sync_grant, sync_revoke and the tests read it.
CREATE TABLE sync_privilege (
    level text NOT NULL CHECK (level IN ('read', 'operate', 'admin')),
    object_kind text NOT NULL CHECK (object_kind IN ('table', 'function')),
    object_name text NOT NULL,
    privilege text NOT NULL,
    PRIMARY KEY (object_kind, object_name, privilege, level)
);
COMMENT ON TABLE sync_privilege IS 'Which SQL privileges a level of sync_grant carries.';

-- What sync_revoke may take away: what was there before sync_grant came is somebody else's.
CREATE TABLE sync_given (
    grantee regrole NOT NULL,
    object_kind text NOT NULL,
    object_name text NOT NULL,
    privilege text NOT NULL,
    PRIMARY KEY (grantee, object_kind, object_name, privilege)
);
COMMENT ON TABLE sync_given IS
    'SQL privileges that sync_grant has given, and that the role did not have already. '
    'Written by sync_grant and sync_revoke.';
COMMENT ON COLUMN sync_given.object_name IS 'A table, or a function with the types of its arguments.';

-- Privileges of each grantor stand apart: only those of the owner, in whose name sync_grant gives them, are looked at.
CREATE FUNCTION sync_privileges_of(role regrole)
    RETURNS TABLE (object_kind text, object_name text, privilege text, rank int, is_held boolean, is_grantable boolean, is_given boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH carried AS (
        SELECT v.object_kind, v.object_name, v.privilege, min(sync_level_rank(v.level)) AS rank FROM sync_privilege v GROUP BY 1, 2, 3),
    members AS (
        SELECT 'table' AS kind, c.relname AS name, c.relname::text AS object, c.relowner AS owner,
               coalesce(c.relacl, acldefault('r', c.relowner)) AS acl, 'pg_class'::regclass AS class, c.oid
        FROM pg_class c WHERE c.relnamespace = '@extschema@'::regnamespace
        UNION ALL
        SELECT 'function', p.proname, p.oid::regprocedure::text, p.proowner,
               coalesce(p.proacl, acldefault('f', p.proowner)), 'pg_proc'::regclass, p.oid
        FROM pg_proc p WHERE p.pronamespace = '@extschema@'::regnamespace)
    SELECT m.kind, m.object, c.privilege, c.rank, h.is_held, coalesce(h.is_grantable, false),
           EXISTS (SELECT FROM sync_given g
                   WHERE g.grantee = role AND g.object_kind = m.kind AND g.object_name = m.object AND g.privilege = c.privilege)
    FROM carried c
    JOIN members m ON m.kind = c.object_kind AND m.name = c.object_name
    JOIN pg_depend d ON d.classid = m.class AND d.objid = m.oid AND d.deptype = 'e'
    JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext',
    LATERAL (SELECT count(*) > 0 AS is_held, bool_or(a.is_grantable) AS is_grantable FROM aclexplode(m.acl) a
             WHERE a.grantee = role AND a.grantor = m.owner AND a.privilege_type = c.privilege) h
$$;
COMMENT ON FUNCTION sync_privileges_of(regrole) IS
    'The SQL privileges that levels carry, by the rank of the lowest such level, and which of them a role holds, '
    'may pass on, was given by sync_grant.';

CREATE FUNCTION sync_give_privilege(role regrole, kind text, object text, privilege text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    EXECUTE format('GRANT %s ON %s %s TO %s', privilege, kind, CASE kind WHEN 'table' THEN quote_ident(object) ELSE object END, role);
    INSERT INTO sync_given VALUES (role, kind, object, privilege) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION sync_give_privilege(regrole, text, text, text) IS 'Grants a SQL privilege, and notes that it was sync_grant that did.';

-- A table's privilege takes those on its columns along, which sync_grant never gives: they are given back.
CREATE FUNCTION sync_take_privilege(role regrole, kind text, object text, privilege text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    target text := CASE kind WHEN 'table' THEN quote_ident(object) ELSE object END;
    columns text[] := ARRAY(
        SELECT format('GRANT %s (%I) ON %s TO %s %s', privilege, t.attname, target, role,
                      CASE WHEN a.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END)
        FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped, aclexplode(t.attacl) a
        WHERE kind = 'table' AND c.relnamespace = '@extschema@'::regnamespace AND c.relname = object
          AND a.grantee = role AND a.grantor = c.relowner AND a.privilege_type = privilege);
    again text;
BEGIN
    EXECUTE format('REVOKE %s ON %s %s FROM %s', privilege, kind, target, role);
    FOREACH again IN ARRAY columns LOOP
        EXECUTE again;
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_take_privilege(regrole, text, text, text) IS
    'Revokes a SQL privilege on a table or function, and leaves those on columns.';

CREATE FUNCTION sync_require_admin_of(target uuid) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM sync_require_writable();
    -- a grant on any organisation (NULL) is given by superusers and by who holds it themselves
    IF EXISTS (SELECT FROM pg_roles WHERE oid = sync_caller() AND rolsuper) THEN
        RETURN;
    END IF;
    IF NOT sync_role_has(sync_caller(), target, 'admin') THEN
        RAISE EXCEPTION 'not granted: level "admin" on %', coalesce('organisation ' || target, 'any organisation')
            USING ERRCODE = '42501',
            HINT = 'Ask a superuser, or an administrator of that organisation.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_require_admin_of(uuid) IS
    'Raises 42501 unless the calling role administers the organisation (NULL: all of them), '
    '25006 when nothing can be written.';

-- One at a time: two that change the privileges on one object at once would fail ("tuple concurrently updated"). Asked before
-- and after waiting: nobody without the right keeps others waiting, and it may have been taken meanwhile.
CREATE FUNCTION sync_begin_grant(target uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM sync_require_admin_of(target);
    LOCK TABLE sync_access IN SHARE ROW EXCLUSIVE MODE;
    PERFORM sync_require_admin_of(target);
END
$$;
COMMENT ON FUNCTION sync_begin_grant(uuid) IS
    'Keeps others from granting and revoking until the transaction ends; 42501 unless the calling role administers the '
    'organisation (NULL: all).';

CREATE FUNCTION sync_grant(role regrole, org_id uuid DEFAULT NULL, level text DEFAULT 'operate', own_rows boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF sync_level_rank(sync_grant.level) IS NULL THEN
        RAISE EXCEPTION 'unknown level "%"', sync_grant.level USING ERRCODE = '22023',
            HINT = 'Use read, operate or admin.';
    END IF;
    IF sync_grant.own_rows IS NULL OR sync_grant.own_rows AND sync_grant.level = 'admin' THEN
        RAISE EXCEPTION 'own_rows must be true or false, and false for level admin' USING ERRCODE = '22023',
            DETAIL = 'Who administers an organisation grants to others, and so sees the rows of all.';
    END IF;
    IF sync_grant.org_id = '00000000-0000-0000-0000-000000000000' THEN
        RAISE EXCEPTION 'the nil UUID is no organisation' USING ERRCODE = '22023',
            HINT = 'org_id => NULL grants on all organisations.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = sync_grant.role) THEN
        RAISE EXCEPTION 'there is no role with the oid %', sync_grant.role::oid USING ERRCODE = '42704';
    END IF;
    PERFORM sync_begin_grant(sync_grant.org_id);
    INSERT INTO sync_access (grantee, org_id, level, own_rows)
    VALUES (sync_grant.role, sync_grant.org_id, sync_grant.level, sync_grant.own_rows)
    ON CONFLICT (grantee, coalesce(sync_access.org_id, '00000000-0000-0000-0000-000000000000'))
    DO UPDATE SET level = excluded.level, own_rows = excluded.own_rows, granted_at = now();
    PERFORM sync_align_privileges(sync_grant.role);
END
$$;
COMMENT ON FUNCTION sync_grant(regrole, uuid, text, boolean) IS
    'Lets a role read, operate or administer one organisation, or any (org_id NULL); '
    'with own_rows, of patterns, sync lists and histories only the rows of app.current_user_id.';

CREATE FUNCTION sync_revoke(role regrole, org_id uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM sync_begin_grant(sync_revoke.org_id);
    DELETE FROM sync_access a
    WHERE a.grantee = sync_revoke.role AND a.org_id IS NOT DISTINCT FROM sync_revoke.org_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM sync_align_privileges(sync_revoke.role);
    RETURN true;
END
$$;
COMMENT ON FUNCTION sync_revoke(regrole, uuid) IS
    'Takes back what sync_grant gave a role on one organisation (NULL: on any). False when there was nothing.';

CREATE FUNCTION sync_align_privileges(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    best int := coalesce((SELECT max(sync_level_rank(x.level)) FROM sync_access x WHERE x.grantee = role), 0);
    p record;
BEGIN
    -- a role that was dropped has taken its privileges with it
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
        DELETE FROM sync_given g WHERE g.grantee = role;
        RETURN;
    END IF;
    -- never revoked: the schema may hold more than this extension
    IF best > 0 AND NOT EXISTS (SELECT FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
                                WHERE n.oid = '@extschema@'::regnamespace AND a.grantee = role AND a.privilege_type = 'USAGE') THEN
        -- the schema's name comes quoted where it has to be
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', '@extschema@', role);
    END IF;
    FOR p IN SELECT * FROM sync_privileges_of(role) LOOP
        IF p.rank <= best AND NOT p.is_held THEN
            PERFORM sync_give_privilege(role, p.object_kind, p.object_name, p.privilege);
        ELSIF p.rank > best AND p.is_given THEN
            DELETE FROM sync_given g
            WHERE g.grantee = role AND g.object_kind = p.object_kind AND g.object_name = p.object_name AND g.privilege = p.privilege;
            -- what may be passed on has been widened by somebody else, who means it to be there
            IF p.is_held AND NOT p.is_grantable THEN
                PERFORM sync_take_privilege(role, p.object_kind, p.object_name, p.privilege);
            END IF;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_align_privileges(regrole) IS
    'Gives a role the SQL privileges of the highest level it holds anywhere, and takes what it was given beyond; '
    'row-level security keeps the organisations apart.';
