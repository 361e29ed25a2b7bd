-- Row-level security on every table, and nothing for PUBLIC.

-- One row per part of the extension: tables that are read, tables that are written too, and functions.
DELETE FROM sync_privilege;
INSERT INTO sync_privilege (level, object_kind, object_name, privilege)
SELECT g.level, g.kind, name, privilege
FROM (VALUES
    ('read', 'table', '{SELECT}'::text[],
     '{sync_record,sync_changes,sync_links,sync_metadata,sync_state,sync_run,sync_workers,sync_connectors,sync_kinds}'::text[]),
    ('read', 'table', '{SELECT}', '{sync_preview_cache,sync_selective_config,sync_activity_log,sync_progress,sync_progress_live}'),
    ('read', 'table', '{SELECT}',
     '{sync_customers,sync_products,sync_orders,sync_categories,sync_warehouses,sync_purchases,sync_sales,sync_transfers}'),
    ('read', 'table', '{SELECT}', '{sync_bindings,sync_field_map}'),
    ('read', 'table', '{SELECT}', '{sync_history,saved_search_patterns,sync_list,sync_idempotency_log}'),
    ('read', 'table', '{SELECT}', '{sync_apply_failure}'),
    ('operate', 'table', '{INSERT,UPDATE,DELETE}', '{sync_preview_cache,sync_selective_config,sync_activity_log,sync_progress}'),
    ('operate', 'table', '{INSERT,UPDATE,DELETE}',
     '{sync_customers,sync_products,sync_orders,sync_categories,sync_warehouses,sync_purchases,sync_sales,sync_transfers}'),
    ('operate', 'table', '{INSERT,UPDATE,DELETE}', '{saved_search_patterns,sync_list}'),
    ('operate', 'table', '{INSERT}', '{sync_history}'),
    ('read', 'function', '{EXECUTE}',
     '{sync_current_org,sync_writable_org,sync_own_rows,sync_worker_alive,sync_count,'
     'sync_known_kinds,sync_kind_entities,sync_connector_entities,sync_binding_problem,sync_health,sync_verify}'),
    ('read', 'function', '{EXECUTE}',
     '{sync_fingerprint,sync_row_fingerprint,sync_match_key,sync_row_match_key,sync_diff,'
     'sync_fields,sync_plain,sync_depth,sync_item_entity,sync_item_is_stock}'),
    ('read', 'function', '{EXECUTE}',
     '{sync_preview,compute_delta,sync_delta_stream,sync_count_open,'
     'detect_customer_delta,detect_product_delta,detect_order_delta}'),
    ('read', 'function', '{EXECUTE}', '{sync_pattern_preview,sync_category_tree}'),
    ('operate', 'function', '{EXECUTE}', '{sync_pull,sync_all,sync_refresh_preview,sync_test_connection,sync_reset,sync_maintain}'),
    ('operate', 'function', '{EXECUTE}', '{sync_invalidate_preview,auto_cleanup_preview_cache,sync_select}'),
    ('operate', 'function', '{EXECUTE}',
     '{sync_list_add_from_pattern,sync_delta,sync_full,sync_scheduled,sync_settle_creation,sync_ingest_webhook}'),
    ('operate', 'function', '{EXECUTE}', '{sync_apply,sync_undo}'),
    ('admin', 'function', '{EXECUTE}', '{sync_connect,sync_disconnect,sync_grant,sync_revoke}'),
    ('admin', 'function', '{EXECUTE}', '{sync_bind,sync_unbind,sync_map,sync_unmap}')
) AS g (level, kind, privileges, names), unnest(g.names) AS name, unnest(g.privileges) AS privilege;

DO $$
DECLARE
    t regclass;
    given name;
BEGIN
    FOR t IN
        SELECT c.oid FROM pg_class c
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext'
        WHERE c.relkind IN ('r', 'p')
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
        IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t AND a.attname = 'org_id') AND t <> 'sync_access'::regclass THEN
            FOR given IN SELECT p.polname FROM pg_policy p WHERE p.polrelid = t LOOP
                EXECUTE format('DROP POLICY %I ON %s', given, t);
            END LOOP;
            -- the sub-select makes the planner ask once per statement, not once per row
            EXECUTE format('CREATE POLICY sync_read ON %s FOR SELECT USING (org_id = (SELECT sync_current_org()))', t);
            EXECUTE format('CREATE POLICY sync_insert ON %s FOR INSERT WITH CHECK (org_id = (SELECT sync_writable_org()))', t);
            EXECUTE format('CREATE POLICY sync_update ON %s FOR UPDATE USING (org_id = (SELECT sync_writable_org()))
                            WITH CHECK (org_id = (SELECT sync_writable_org()))', t);
            EXECUTE format('CREATE POLICY sync_delete ON %s FOR DELETE USING (org_id = (SELECT sync_writable_org()))', t);
        END IF;
    END LOOP;
END
$$;

-- Rows of users, where a role was granted its user's own alone. (What an apply could not write belongs to its history.)
DO $$
DECLARE
    t regclass;
    mine text;
BEGIN
    FOREACH t IN ARRAY '{saved_search_patterns,sync_list,sync_history,sync_apply_failure}'::regclass[] LOOP
        mine := CASE WHEN t = 'sync_apply_failure'::regclass
            THEN 'EXISTS (SELECT FROM sync_history h WHERE h.org_id = sync_apply_failure.org_id AND h.id = sync_apply_failure.history_id)'
            ELSE 'user_id = (SELECT nullif(current_setting(''app.current_user_id'', true), ''''))' END;
        EXECUTE format('CREATE POLICY sync_read_own ON %s AS RESTRICTIVE FOR SELECT
                        USING (NOT (SELECT sync_own_rows(''read'')) OR %s)', t, mine);
        EXECUTE format('CREATE POLICY sync_insert_own ON %s AS RESTRICTIVE FOR INSERT
                        WITH CHECK (NOT (SELECT sync_own_rows(''operate'')) OR %s)', t, mine);
        EXECUTE format('CREATE POLICY sync_update_own ON %1$s AS RESTRICTIVE FOR UPDATE
                        USING (NOT (SELECT sync_own_rows(''operate'')) OR %2$s)
                        WITH CHECK (NOT (SELECT sync_own_rows(''operate'')) OR %2$s)', t, mine);
        EXECUTE format('CREATE POLICY sync_delete_own ON %s AS RESTRICTIVE FOR DELETE
                        USING (NOT (SELECT sync_own_rows(''operate'')) OR %s)', t, mine);
    END LOOP;
END
$$;

-- Whatever the creating role's default privileges gave away: TRUNCATE asks no policy, and who may write a connector's
-- base_url gets its credentials sent. What was there before an upgrade holds what somebody has given on purpose.
DO $$
DECLARE
    o record;
    known oid[] := '{}';
BEGIN
    IF to_regclass('pg_temp.sync_ext_before') IS NOT NULL THEN
        known := ARRAY(SELECT b.objid FROM pg_temp.sync_ext_before b);
    END IF;
    FOR o IN
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass AS target, a.grantee
        FROM pg_depend d
        JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext'
        JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('r', 'p', 'v', 'S'),
             aclexplode(c.relacl) a
        WHERE d.deptype = 'e' AND a.grantee <> c.relowner AND c.oid <> ALL (known)
        UNION
        SELECT 'FUNCTION ' || p.oid::regprocedure, a.grantee
        FROM pg_depend d
        JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext'
        JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid,
             aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE d.deptype = 'e' AND a.grantee <> p.proowner AND p.oid <> ALL (known)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', o.target,
                       CASE o.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o.grantee)) END);
    END LOOP;
END
$$;

-- A call that fails would be logged word for word, with the credentials in it.
ALTER FUNCTION sync_connect(text, text, jsonb, text, jsonb, boolean) SET log_min_error_statement = 'panic';

-- Functions that run with the owner's rights look into this schema after pg_catalog, and what fits a call's arguments best is
-- called wherever it stands.
DO $$
BEGIN
    IF has_schema_privilege('public', '@extschema@'::regnamespace, 'CREATE') THEN
        RAISE WARNING 'everybody may create functions in schema %, and could take over what sync_ext runs as its owner', '@extschema@'
            USING HINT = 'REVOKE CREATE ON SCHEMA @extschema@ FROM PUBLIC; or create the extension in a schema of its own.';
    END IF;
END
$$;
