//! Who grants what to whom, and whose rights a call is judged by.

use postgres::Client;
use sync_ext_tests::{schema, TestDb};

use crate::worker_shop::*;

fn may_read(client: &mut Client) -> bool {
    match client.query_one("SELECT count(*) FROM sync_connectors", &[]) {
        Ok(row) => row.get::<_, i64>(0) > 0,
        Err(error) => {
            assert_eq!(error.code().unwrap().code(), "42501", "{error:?}");
            false
        }
    }
}

#[test]
fn each_level_may_do_what_it_says_and_no_more() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let [mut read, mut operate] =
        ["read", "operate"].map(|level| db.connect_as(&db.role(level, shop.org), shop.org));
    shop.client()
        .batch_execute("SELECT sync_preview('woocommerce', 'customers')")
        .unwrap();

    assert!(may_read(&mut read));
    read.batch_execute("SELECT sync_preview('woocommerce', 'customers')")
        .unwrap();
    for forbidden in [
        CUSTOMERS,
        "SELECT sync_preview('woocommerce', 'customers', true)",
        "SELECT sync_test_connection('woocommerce')",
        "SELECT sync_select('customers')",
        "SELECT sync_reset('woocommerce', 'customers')",
        "SELECT sync_maintain()",
        "INSERT INTO sync_customers (email) VALUES ('x@example.com')",
        "UPDATE sync_customers SET email = NULL",
        "DELETE FROM sync_preview_cache",
        "INSERT INTO sync_progress (sync_id, entity_type) VALUES ('x', 'customer')",
        "INSERT INTO sync_activity_log (activity_type) VALUES ('x')",
    ] {
        refused(read.batch_execute(forbidden), "42501");
    }
    operate.batch_execute(CUSTOMERS).unwrap();
    for forbidden in [
        shop.connect_sql().as_str(),
        "SELECT sync_disconnect('woocommerce')",
        "SELECT sync_grant(current_user::regrole, NULL, 'admin')",
        "SELECT sync_revoke(current_user::regrole, NULL)",
        "SELECT * FROM integration_connector",
        "SELECT credentials FROM integration_connector",
        "SELECT * FROM sync_access",
        "INSERT INTO sync_access VALUES (current_user::regrole, NULL, 'admin')",
        "INSERT INTO sync_record (org_id, connector, entity) VALUES (sync_current_org(), 1, 1)",
        "UPDATE sync_run SET status = 'done'",
        "UPDATE sync_metadata SET checkpoint = NULL",
    ] {
        refused(operate.batch_execute(forbidden), "42501");
    }
    for hidden in [
        "SELECT credentials FROM integration_connector",
        "SELECT * FROM sync_access",
        "SELECT * FROM sync_sweep",
    ] {
        refused(shop.client().batch_execute(hidden), "42501");
    }
}

#[test]
fn rights_in_one_organisation_are_no_rights_in_another() {
    let db = TestDb::new();
    let (a, b) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    // admin of a, and reader of b: the privileges on tables and functions are those of an admin
    db.psql(&format!("SELECT sync_grant('{}', '{}', 'read')", a.admin, b.org));
    let mut client = db.connect_as(&a.admin, b.org);
    assert!(may_read(&mut client));
    for forbidden in [
        CUSTOMERS,
        b.connect_sql().as_str(),
        "SELECT sync_disconnect('woocommerce')",
        "SELECT sync_reset('woocommerce', 'customers')",
        "INSERT INTO sync_customers (email) VALUES ('x@example.com')",
    ] {
        refused(client.batch_execute(forbidden), "42501");
    }
}

#[test]
fn an_admin_grants_in_the_own_organisation_only() {
    let db = TestDb::new();
    let (a, b) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let somebody = db.login_role();
    let mut admin = a.client();
    let grant = |org: String| format!("SELECT sync_grant('{somebody}', {org}, 'operate')");
    for foreign in [format!("'{}'", b.org), "NULL".to_string()] {
        refused(admin.batch_execute(&grant(foreign)), "42501");
    }
    // whatever organisation the session speaks for
    let mut pretending = db.connect_as(&a.admin, b.org);
    refused(pretending.batch_execute(&grant(format!("'{}'", b.org))), "42501");
    refused(
        admin.batch_execute(&format!("SELECT sync_revoke('{}', '{}')", b.admin, b.org)),
        "42501",
    );
    refused(
        admin.batch_execute(&format!("SELECT sync_grant('{somebody}', '{}', 'owner')", a.org)),
        "22023",
    );
    assert!(may_read(&mut b.client()));

    admin.batch_execute(&grant(format!("'{}'", a.org))).unwrap();
    db.connect_as(&somebody, a.org).batch_execute(CUSTOMERS).unwrap();
    assert!(!may_read(&mut db.connect_as(&somebody, b.org)));
}

#[test]
fn who_administers_any_organisation_grants_any() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let (backend, somebody) = (db.role("admin", None), db.login_role());
    let mut client = db.connect_as(&backend, None);
    client
        .batch_execute(&format!(
            "SELECT sync_grant('{somebody}', '{}', 'read')",
            shop.org
        ))
        .unwrap();
    assert!(may_read(&mut db.connect_as(&somebody, shop.org)));
}

#[test]
fn a_revoked_role_is_a_stranger_again_at_once() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let role = db.role("operate", shop.org);
    let mut client = db.connect_as(&role, shop.org);
    assert!(may_read(&mut client));
    let mut admin = shop.client();
    let revoke = format!("SELECT sync_revoke('{role}', '{}')", shop.org);
    assert_eq!(first_value(&mut admin, &revoke).unwrap(), "t");
    assert_eq!(first_value(&mut admin, &revoke).unwrap(), "f");
    for forbidden in [
        CUSTOMERS,
        "SELECT * FROM sync_connectors",
        "SELECT sync_health()",
        "SELECT * FROM sync_customers",
    ] {
        let told = refused(client.batch_execute(forbidden), "42501");
        assert!(told.starts_with("permission denied"), "{told}");
    }
}

#[test]
fn a_lower_level_takes_the_higher_ones_privileges_away() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let role = db.role("admin", shop.org);
    db.psql(&format!("SELECT sync_grant('{role}', '{}', 'read')", shop.org));
    let mut client = db.connect_as(&role, shop.org);
    assert!(may_read(&mut client));
    refused(client.batch_execute(CUSTOMERS), "42501");
    refused(client.batch_execute(&shop.connect_sql()), "42501");
}

#[test]
fn a_grant_to_a_group_counts_for_its_members_while_they_are_members() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let (group, member) = (db.nologin_role(), db.login_role());
    db.psql(&format!(
        "SELECT sync_grant('{group}', '{}', 'operate'); GRANT {group} TO {member}",
        shop.org
    ));
    let mut client = db.connect_as(&member, shop.org);
    client.batch_execute(CUSTOMERS).unwrap();
    db.psql(&format!("REVOKE {group} FROM {member}"));
    refused(client.batch_execute(CUSTOMERS), "42501");
    assert!(!may_read(&mut client));
}

#[test]
fn a_new_role_does_not_inherit_what_one_of_its_name_was_granted() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let role = db.role("admin", shop.org);
    db.psql(&format!("DROP OWNED BY {role}"));
    db.psql(&format!("DROP ROLE {role}"));
    db.psql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {} TO {role}",
        schema()
    ));
    assert!(!may_read(&mut db.connect_as(&role, shop.org)));
    // nor when it gets the SQL privileges by another grant
    db.psql(&format!("SELECT sync_grant('{role}', '{}', 'admin')", db.org()));
    assert!(!may_read(&mut db.connect_as(&role, shop.org)));
    refused(db.connect_as(&role, shop.org).batch_execute(CUSTOMERS), "42501");
}

#[test]
fn an_authenticator_is_judged_by_the_role_it_sets() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let (authenticator, user, anonymous) = (db.login_role(), db.nologin_role(), db.nologin_role());
    db.psql(&format!(
        "ALTER ROLE {authenticator} NOINHERIT;
         GRANT {user}, {anonymous} TO {authenticator};
         SELECT sync_grant('{user}', '{}', 'operate')",
        shop.org
    ));
    let mut client = db.connect_as(&authenticator, None);
    let mut as_role = |role: &str, statement: &str| {
        client
            .batch_execute(&format!(
                "BEGIN; SET LOCAL ROLE {role}; SELECT set_config('app.current_org_id', '{}', true)",
                shop.org
            ))
            .unwrap();
        let result = first_value(&mut client, statement);
        client.batch_execute("ROLLBACK").unwrap();
        result
    };
    assert!(as_role(&user, CUSTOMERS).unwrap().contains("success"));
    assert_eq!(
        as_role(&user, "SELECT count(*) FROM sync_connectors").unwrap(),
        "1"
    );
    refused(as_role(&anonymous, CUSTOMERS), "42501");
    refused(
        as_role(&anonymous, "SELECT count(*) FROM sync_connectors"),
        "42501",
    );
    refused(as_role("NONE", CUSTOMERS), "42501");
}

#[test]
fn a_superuser_who_sets_a_lesser_role_has_that_roles_rights() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let reader = db.role("read", shop.org);
    let mut client = db.client();
    client
        .batch_execute(&format!(
            "SET app.current_org_id = '{}'; SET ROLE {reader}",
            shop.org
        ))
        .unwrap();
    assert!(may_read(&mut client));
    refused(client.batch_execute(CUSTOMERS), "42501");
    client
        .batch_execute(&format!("SET app.current_org_id = '{}'", db.org()))
        .unwrap();
    assert!(!may_read(&mut client));
}

#[test]
fn an_apps_security_definer_function_lends_nobody_its_owners_rights() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let stranger = db.login_role();
    db.psql(&format!(
        "CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO {}; GRANT USAGE ON SCHEMA app TO PUBLIC",
        shop.admin
    ));
    shop.client()
        .batch_execute(
            &"CREATE FUNCTION app.pull() RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                 AS $$ SELECT public.sync_pull('woocommerce', 'customers') $$;
             CREATE FUNCTION app.connectors() RETURNS bigint LANGUAGE sql SECURITY DEFINER
                 AS $$ SELECT count(*) FROM public.sync_connectors $$;
             CREATE FUNCTION app.log() RETURNS void LANGUAGE sql SECURITY DEFINER
                 AS $$ INSERT INTO public.sync_activity_log (activity_type) VALUES ('x') $$;
             CREATE FUNCTION app.let_in(who text) RETURNS void LANGUAGE sql SECURITY DEFINER
                 AS $$ SELECT public.sync_grant(who::regrole, public.sync_raw_org(), 'admin') $$"
                .replace("public.", &format!("{}.", schema())),
        )
        .unwrap();
    let mut client = db.connect_as(&stranger, shop.org);
    refused(client.batch_execute("SELECT app.pull()"), "42501");
    refused(
        client.batch_execute(&format!("SELECT app.let_in('{stranger}')")),
        "42501",
    );
    assert_eq!(first_value(&mut client, "SELECT app.connectors()").unwrap(), "0");
    assert!(client.batch_execute("SELECT app.log()").is_err());
    assert_eq!(shop.sandbox.stats().requests, 0);
    let mut admin = shop.client();
    assert!(first_value(&mut admin, "SELECT app.pull()")
        .unwrap()
        .contains("success"));
}

/// It stood for any organisation in the index behind the grants.
#[test]
fn the_nil_uuid_is_nobody_and_raises_nobodys_level() {
    let db = TestDb::new();
    let nil = "00000000-0000-0000-0000-000000000000";
    let mut root = db.client();
    root.batch_execute("CREATE ROLE nil_anyone; SELECT sync_grant('nil_anyone', NULL, 'read')")
        .unwrap();
    let grant = format!("SELECT sync_grant('nil_anyone', '{nil}', 'admin')");
    refused(root.batch_execute(&grant), "22023");
    let level = root.query_one(
        "SELECT string_agg(level, ' ') FROM sync_access WHERE grantee = 'nil_anyone'::regrole",
        &[],
    );
    assert_eq!(
        level.unwrap().get::<_, Option<String>>(0).as_deref(),
        Some("read")
    );
    root.batch_execute(
        "SELECT sync_revoke('nil_anyone', NULL); DROP OWNED BY nil_anyone; DROP ROLE nil_anyone",
    )
    .unwrap();
}
