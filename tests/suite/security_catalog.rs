//! What the catalog says of every object of the extension, so that one that is added later is tested too.

use sync_ext_tests::{schema, TestDb};

use crate::worker_shop::*;

/// A database in which the monthly partitions have been made as well.
fn settled(db: &TestDb) {
    assert_eq!(db.psql("SELECT count(*) > 0 FROM sync_maintain()"), "t");
    assert_ne!(
        db.psql("SELECT count(*) FROM pg_class WHERE relname ~ '^sync_activity_log_2'"),
        "0"
    );
}

#[test]
fn public_has_no_privilege_on_anything() {
    let db = TestDb::new();
    settled(&db);
    let open = db.psql(
        "SELECT c.oid::regclass::text, a.privilege_type
         FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, c.relowner))) a
         WHERE c.relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND a.grantee = 0
         UNION ALL
         SELECT t.attrelid::regclass::text, a.privilege_type
         FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a
         WHERE c.relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND a.grantee = 0
         UNION ALL
         SELECT p.oid::regprocedure::text, a.privilege_type
         FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         WHERE p.pronamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND a.grantee = 0",
    );
    assert_eq!(open, "");
}

#[test]
fn default_privileges_of_the_database_give_nothing_away() {
    let db = TestDb::new();
    let app = db.nologin_role();
    db.psql("DROP EXTENSION sync_ext");
    db.psql(&format!(
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, {app};
         ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC, {app};
         ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO {app};
         CREATE EXTENSION sync_ext"
    ));
    let open = db.psql(
        "SELECT c.oid::regclass::text, a.grantee FROM pg_class c, aclexplode(c.relacl) a
         WHERE c.relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND a.grantee <> c.relowner
         UNION
         SELECT p.oid::regprocedure::text, a.grantee FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         WHERE p.pronamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND a.grantee <> p.proowner",
    );
    assert_eq!(open, "");
}

#[test]
fn a_role_that_was_granted_nothing_can_do_nothing() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let role = db.login_role();
    let mut stranger = db.connect_as(&role, shop.org);
    let relations = db.psql(
        "SELECT oid::regclass FROM pg_class WHERE relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND relkind IN ('r', 'p', 'v')",
    );
    assert!(relations.lines().count() > 20, "{relations}");
    for relation in relations.lines() {
        let told = refused(
            stranger.batch_execute(&format!("SELECT FROM {relation}")),
            "42501",
        );
        assert!(told.starts_with("permission denied for"), "{relation}: {told}");
        let any = "'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'";
        assert_eq!(
            db.psql(&format!(
                "SELECT has_table_privilege('{role}', '{relation}', {any})"
            )),
            "f"
        );
    }
    for call in [
        "sync_health()",
        "sync_caller()",
        "sync_worker_alive(1)",
        "sync_maintain()",
    ] {
        refused(stranger.batch_execute(&format!("SELECT {call}")), "42501");
    }
    let callable = format!(
        "SELECT oid::regprocedure FROM pg_proc
         WHERE pronamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND has_function_privilege('{role}', oid, 'EXECUTE')"
    );
    assert_eq!(db.psql(&callable), "");
}

#[test]
fn every_table_has_row_level_security_and_a_policy_for_every_command() {
    let db = TestDb::new();
    settled(&db);
    let unprotected = db.psql(
        "SELECT relname FROM pg_class
         WHERE relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND relkind IN ('r', 'p') AND NOT relrowsecurity",
    );
    assert_eq!(unprotected, "");
    // a table without any policy is closed to all but its owner: right for partitions and for those without org_id
    let partial = db.psql(
        "SELECT c.relname, string_agg(p.polcmd::text, '' ORDER BY p.polcmd::text)
         FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid AND p.polpermissive
         WHERE c.relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND c.relkind IN ('r', 'p') AND NOT (c.relispartition AND p.oid IS NULL)
         GROUP BY 1
         HAVING string_agg(p.polcmd::text, '' ORDER BY p.polcmd::text) IS DISTINCT FROM 'adrw'
         ORDER BY 1",
    );
    assert_eq!(
        partial,
        "sync_access|\nsync_claim|\nsync_entity|\nsync_given|\nsync_layout|\nsync_layout_column|\nsync_layout_loss|\nsync_privilege|"
    );
    let open_views = db.psql(
        "SELECT relname FROM pg_class
         WHERE relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND relkind = 'v'
           AND NOT coalesce('security_barrier=true' = ANY (reloptions) OR 'security_barrier' = ANY (reloptions), false)",
    );
    assert_eq!(open_views, "");
}

#[test]
fn every_policy_asks_for_the_sessions_organisation_once_per_statement() {
    let db = TestDb::new();
    let other = db.psql(
        "SELECT polrelid::regclass, polcmd, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
         FROM pg_policy
         WHERE polpermissive AND coalesce(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
               !~ CASE polcmd WHEN 'r' THEN '^\\(org_id = \\( SELECT sync_current_org' ELSE '^\\(org_id = \\( SELECT sync_writable_org' END",
    );
    assert_eq!(other, "");
    // beside these, users' own rows: of every table that has users' rows, for each command
    let own = db.psql(
        "SELECT polrelid::regclass, string_agg(polcmd::text, '' ORDER BY polcmd::text) FROM pg_policy
         WHERE NOT polpermissive
           AND coalesce(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
               ~ format('^\\(\\(NOT \\( SELECT sync_own_rows\\(''%s''::text\\) AS sync_own_rows\\)\\) OR', CASE polcmd WHEN 'r' THEN 'read' ELSE 'operate' END)
         GROUP BY polrelid ORDER BY polrelid::regclass::text COLLATE \"C\"",
    );
    assert_eq!(
        own,
        "saved_search_patterns|adrw\nsync_apply_failure|adrw\nsync_history|adrw\nsync_list|adrw"
    );
}

#[test]
fn every_function_pins_its_search_path() {
    let db = TestDb::new();
    let loose = db.psql(
        "SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
         WHERE p.pronamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext')
           -- bodies that were parsed when they were made name their objects by oid; C names none
           AND (p.prosecdef OR (l.lanname <> 'c' AND p.prosqlbody IS NULL))
           AND NOT coalesce(format('search_path=pg_catalog, %s, pg_temp', p.pronamespace::regnamespace) = ANY (p.proconfig), false)",
    );
    assert_eq!(loose, "");
}

#[test]
fn the_levels_carry_no_more_than_they_say() {
    let db = TestDb::new();
    let org = db.org();
    let written = "SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a
                   WHERE c.relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND a.privilege_type <> 'SELECT' AND a.grantee = $1::text::regrole";
    let count = |role: &String| -> i64 { db.client().query_one(written, &[role]).unwrap().get(0) };
    assert_eq!(count(&db.role("read", org)), 0);
    assert_ne!(count(&db.role("operate", org)), 0);
    let dangerous = db.psql(
        "SELECT c.oid::regclass, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
         WHERE c.relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND a.grantee <> c.relowner
           AND (a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES') OR a.is_grantable
                OR c.relname IN ('sync_access', 'sync_privilege', 'sync_entity', 'sync_sweep', 'integration_connector'))",
    );
    assert_eq!(dangerous, "");
}

#[test]
fn what_lies_before_the_extension_in_the_callers_search_path_is_never_used() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    shop.pull();
    db.psql(&format!(
        "CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO {}",
        shop.admin
    ));
    let mut evil = shop.client();
    let trap = |signature: &str, returns: &str| {
        format!("CREATE FUNCTION evil.{signature} RETURNS {returns} LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap'; END $$;")
    };
    let traps = [
        trap("now()", "timestamptz"),
        trap("clock_timestamp()", "timestamptz"),
        trap("gen_random_uuid()", "uuid"),
        trap("lower(text)", "text"),
        trap("count(anyelement)", "bigint"),
        trap("format(text, text)", "text"),
        trap("to_jsonb(anyelement)", "jsonb"),
        trap("sync_caller()", "oid"),
        trap("sync_role_has(oid, uuid, text)", "boolean"),
        trap("sync_current_org()", "uuid"),
        trap("sync_require(text)", "uuid"),
        trap("sync_fingerprint(text, jsonb)", "uuid"),
        trap("sync_match_keys(uuid, int, smallint, text[])", "bigint"),
        trap("equal(uuid, uuid)", "boolean"),
        trap("equal(text, text)", "boolean"),
        "CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = uuid, RIGHTARG = uuid);
         CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = text, RIGHTARG = text);"
            .to_string(),
    ];
    let (other, somebody) = (db.org(), db.login_role());
    evil.batch_execute(&traps.concat()).unwrap();
    let tables = |place: &str| {
        format!(
            "CREATE TABLE {place}.sync_record (LIKE {ours}.sync_record);
             CREATE TABLE {place}.sync_entity (number smallint, name text, singular text, local_table text);
             CREATE TABLE {place}.sync_access (grantee regrole, org_id uuid, level text, granted_at timestamptz);
             INSERT INTO {place}.sync_access VALUES ('{}', NULL, 'admin', pg_catalog.now());",
            shop.admin,
            ours = schema()
        )
    };
    evil.batch_execute(&tables("evil")).unwrap();
    let ours = |sql: &str| sql.replace("public.", &format!("{}.", schema()));
    let path = format!("SET search_path = evil, pg_catalog, {}", schema());
    for mut caller in [shop.client(), db.client()] {
        caller
            .batch_execute(&format!("SET app.current_org_id = '{}'", shop.org))
            .unwrap();
        caller.batch_execute(&tables("pg_temp")).unwrap();
        caller.batch_execute(&path).unwrap();
        caller
            .batch_execute(&ours(&format!(
                "SELECT public.sync_pull('woocommerce', 'customers');
                 SELECT public.sync_preview('woocommerce', 'customers', true);
                 SELECT * FROM public.compute_delta('woocommerce', 'customers');
                 SELECT public.detect_customer_delta('woocommerce');
                 SELECT public.sync_health();
                 SELECT * FROM public.sync_verify('woocommerce', 'customers');
                 SELECT public.sync_select('customers');
                 SELECT public.sync_invalidate_preview('woocommerce', 'customers');
                 SELECT public.auto_cleanup_preview_cache();
                 SELECT public.sync_maintain();
                 INSERT INTO public.sync_customers (first_name, email) VALUES ('x', 'x@example.com');
                 UPDATE public.sync_customers SET first_name = 'y';
                 DELETE FROM public.sync_customers;
                 INSERT INTO public.sync_progress (sync_id, entity_type, total_items, processed_count)
                     VALUES (pg_catalog.gen_random_uuid(), 'customer', 1, 1);
                 SELECT * FROM public.sync_connectors;
                 SELECT * FROM public.sync_changes;
                 SELECT * FROM public.sync_progress_live;
                 SELECT * FROM public.sync_workers;
                 SELECT public.sync_grant('{0}', '{1}', 'read');
                 SELECT public.sync_revoke('{0}', '{1}');
                 SELECT public.sync_grant('{0}', '{1}', 'admin')",
                somebody, shop.org
            )))
            .unwrap_or_else(|error| panic!("{error:?}"));
    }
    let mut forged = shop.client();
    forged.batch_execute(&tables("pg_temp")).unwrap();
    forged
        .batch_execute(&format!("{path}; SET app.current_org_id = '{other}'"))
        .unwrap();
    refused(
        forged.batch_execute(&ours("SELECT public.sync_health()")),
        "42501",
    );
}
