-- Who may do what. The organisation comes from app.current_org_id; a role sees only what sync_grant gave it.

CREATE TABLE sync_access (
    grantee regrole NOT NULL,
    org_id uuid CHECK (org_id <> '00000000-0000-0000-0000-000000000000'),
    level text NOT NULL CHECK (level IN ('read', 'operate', 'admin')),
    granted_at timestamptz NOT NULL DEFAULT now()
);
-- one level per role and organisation; NULL (any organisation) counts as a value of its own
CREATE UNIQUE INDEX sync_access_key
    ON sync_access (grantee, coalesce(org_id, '00000000-0000-0000-0000-000000000000'));

COMMENT ON TABLE sync_access IS 'Grants: which role may read, operate or administer which organisation (NULL: any). Written by sync_grant and sync_revoke.';
COMMENT ON COLUMN sync_access.level IS 'read: see; operate: previews, pulls, applies; admin: connectors, bindings, grants. Each includes the ones before.';

CREATE FUNCTION sync_level_rank(level text) RETURNS int
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE level WHEN 'read' THEN 1 WHEN 'operate' THEN 2 WHEN 'admin' THEN 3 END;
COMMENT ON FUNCTION sync_level_rank(text) IS 'Orders the levels of sync_access: read < operate < admin.';

-- pg_has_role instead of a join on names: a grant to a group role counts for its members.
-- A role that was dropped after its grant must not lend it to whoever gets its oid next: hence the check on pg_roles.
CREATE FUNCTION sync_role_has(role_oid oid, org uuid, needed text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
            SELECT
            FROM sync_access a
            JOIN pg_roles g ON g.oid = a.grantee
            WHERE (a.org_id IS NULL OR a.org_id = org)
              AND sync_level_rank(a.level) >= sync_level_rank(needed)
              AND pg_has_role(role_oid, a.grantee, 'USAGE'))
        OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = role_oid AND r.rolsuper);
END
$$;
COMMENT ON FUNCTION sync_role_has(oid, uuid, text) IS 'Whether a role holds at least this level for an organisation. Superusers hold all.';

COMMENT ON FUNCTION sync_require_writable() IS 'Raises 25006 in a READ ONLY transaction and on a standby: whoever writes, or starts a worker that does, asks first.';
COMMENT ON FUNCTION sync_raw_org() IS 'What app.current_org_id says, unchecked; NULL when unset.';

CREATE FUNCTION sync_current_org() RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_raw_org();
BEGIN
    RETURN CASE WHEN org IS NOT NULL AND sync_role_has(sync_caller(), org, 'read') THEN org END;
END
$$;
COMMENT ON FUNCTION sync_current_org() IS 'The organisation of this session (app.current_org_id) if the calling role may read it, else NULL.';

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
COMMENT ON FUNCTION sync_require(text) IS 'The organisation of this session; 28000 when none is set, 42501 when the calling role lacks the level, 25006 when the level is for writing and nothing can be written.';

-- What each level may call and touch. One place: sync_grant, sync_revoke and the tests read it.
CREATE TABLE sync_privilege (
    level text NOT NULL CHECK (level IN ('read', 'operate', 'admin')),
    object_kind text NOT NULL CHECK (object_kind IN ('table', 'function')),
    object_name text NOT NULL,
    privilege text NOT NULL,
    PRIMARY KEY (object_kind, object_name, privilege, level)
);
COMMENT ON TABLE sync_privilege IS 'Which SQL privileges a level of sync_grant carries.';

CREATE FUNCTION sync_change_privileges(verb text, role regrole, granted_level text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    p record;
BEGIN
    IF verb = 'GRANT' THEN
        -- never revoked: the schema may hold more than this extension
        -- the schema's name comes quoted where it has to be
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', '@extschema@', role);
    END IF;
    FOR p IN
        SELECT CASE object_kind
                   WHEN 'table' THEN format('TABLE %s.%I', '@extschema@', object_name)
                   ELSE format('FUNCTION %s', f.oid::regprocedure)
               END AS target,
               privilege
        FROM sync_privilege v
        LEFT JOIN pg_proc f ON v.object_kind = 'function' AND f.proname = v.object_name
                           AND f.pronamespace = '@extschema@'::regnamespace
        WHERE sync_level_rank(v.level) <= sync_level_rank(granted_level)
    LOOP
        EXECUTE format('%s %s ON %s %s %s', verb, p.privilege, p.target,
                       CASE verb WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END, role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_change_privileges(text, regrole, text) IS 'Grants or revokes the SQL privileges behind a level.';

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
COMMENT ON FUNCTION sync_require_admin_of(uuid) IS 'Raises 42501 unless the calling role administers the organisation (NULL: all of them), 25006 when nothing can be written.';

CREATE FUNCTION sync_grant(role regrole, org_id uuid DEFAULT NULL, level text DEFAULT 'operate') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF sync_level_rank(sync_grant.level) IS NULL THEN
        RAISE EXCEPTION 'unknown level "%"', sync_grant.level USING ERRCODE = '22023',
            HINT = 'Use read, operate or admin.';
    END IF;
    IF sync_grant.org_id = '00000000-0000-0000-0000-000000000000' THEN
        RAISE EXCEPTION 'the nil UUID is no organisation' USING ERRCODE = '22023',
            HINT = 'org_id => NULL grants on all organisations.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = sync_grant.role) THEN
        RAISE EXCEPTION 'there is no role with the oid %', sync_grant.role::oid USING ERRCODE = '42704';
    END IF;
    PERFORM sync_require_admin_of(sync_grant.org_id);
    INSERT INTO sync_access (grantee, org_id, level)
    VALUES (sync_grant.role, sync_grant.org_id, sync_grant.level)
    ON CONFLICT (grantee, coalesce(sync_access.org_id, '00000000-0000-0000-0000-000000000000'))
    DO UPDATE SET level = excluded.level, granted_at = now();
    PERFORM sync_align_privileges(sync_grant.role);
END
$$;
COMMENT ON FUNCTION sync_grant(regrole, uuid, text) IS 'Lets a role read, operate or administer one organisation, or any (org_id NULL).';

CREATE FUNCTION sync_revoke(role regrole, org_id uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM sync_require_admin_of(sync_revoke.org_id);
    DELETE FROM sync_access a
    WHERE a.grantee = sync_revoke.role AND a.org_id IS NOT DISTINCT FROM sync_revoke.org_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM sync_align_privileges(sync_revoke.role);
    RETURN true;
END
$$;
COMMENT ON FUNCTION sync_revoke(regrole, uuid) IS 'Takes back what sync_grant gave a role on one organisation (NULL: on any). False when there was nothing.';

CREATE FUNCTION sync_align_privileges(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    best text := (SELECT level FROM sync_access WHERE grantee = role ORDER BY sync_level_rank(level) DESC LIMIT 1);
BEGIN
    -- a role that was dropped has taken its privileges with it
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
        RETURN;
    END IF;
    PERFORM sync_change_privileges('REVOKE', role, 'admin');
    IF best IS NOT NULL THEN
        PERFORM sync_change_privileges('GRANT', role, best);
    END IF;
END
$$;
COMMENT ON FUNCTION sync_align_privileges(regrole) IS 'Gives a role the SQL privileges of the highest level it holds anywhere, and no other; row-level security keeps the organisations apart.';
