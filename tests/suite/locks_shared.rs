//! Relations that organisations share: a transaction that one of them leaves open keeps the others from nothing, and its own
//! writers only until it is known by what their rows are compared.

use std::thread;
use std::time::Duration;

use postgres::Client;
use sync_ext_tests::wait_until;
use uuid::Uuid;

use crate::bound::{connect, plain, text, Bound};

const BIND: &str = r#"SELECT sync_bind('customers', 'people', '{"email": "mail", "name": "label"}', '{id}', org_column => 'org')"#;
const PATIENCE: Duration = Duration::from_secs(30);

/// Two organisations that share `people`, and the built-in tables.
struct Shared {
    app: Bound,
    other: Uuid,
    /// The other organisation's administrator.
    others: Client,
    others_role: String,
}

#[track_caller]
fn run(client: &mut Client, sql: &str) {
    client
        .batch_execute(sql)
        .unwrap_or_else(|error| panic!("{sql}: {}", plain(&error)));
}

/// `org` is the type of the column for the organisation.
fn shared(org: &str) -> Shared {
    let mut app = Bound::new(&format!(
        "CREATE TABLE people (id int PRIMARY KEY, org {org}, mail text, label text);
         CREATE TABLE own (id int PRIMARY KEY, code text); GRANT USAGE ON SCHEMA crm TO PUBLIC; GRANT ALL ON people TO PUBLIC"
    ));
    let other = Uuid::new_v4();
    let role = app.db.role("admin", other);
    connect(&mut app.root, other, "woocommerce", "woocommerce");
    let mut others = app.db.connect_as(&role, other);
    app.run(BIND);
    run(&mut others, BIND);
    for (id, org) in [(1, app.org), (2, other)] {
        run(
            &mut app.root,
            &format!(
                "INSERT INTO people VALUES ({id}, '{org}', '{id}@example.com', 'L');
                 INSERT INTO sync_products (org_id, sku, name) VALUES ('{org}', 'sku', 'P')"
            ),
        );
    }
    Shared {
        app,
        other,
        others,
        others_role: role,
    }
}

impl Shared {
    /// Every kind of statement, on every relation, of the other organisation alone.
    #[track_caller]
    fn others_write(&mut self, meanwhile: &str) {
        let Shared { other, others, .. } = self;
        for statement in [
            "SET lock_timeout = '10s'".to_owned(),
            format!("INSERT INTO people VALUES (12, '{other}', 'n@example.com', 'N')"),
            "UPDATE people SET label = label || '!' WHERE id = 12".to_owned(),
            format!("DELETE FROM people WHERE org = '{other}' AND id = 12"),
            "INSERT INTO sync_products (sku, name) VALUES ('new', 'N')".to_owned(),
            "UPDATE sync_products SET name = name || '!'".to_owned(),
            "DELETE FROM sync_products WHERE sku = 'new'".to_owned(),
            "SELECT sync_map('woocommerce', 'products', 'name', compared => false)".to_owned(),
            "SELECT sync_unmap('woocommerce', 'products', 'name')".to_owned(),
            "SELECT sync_map('woocommerce', 'customers', 'name', compared => false)".to_owned(),
            "SELECT sync_unmap('woocommerce', 'customers', 'name')".to_owned(),
            "INSERT INTO sync_activity_log (activity_type) VALUES ('note')".to_owned(),
        ] {
            let done = others.batch_execute(&statement);
            done.unwrap_or_else(|error| panic!("{statement}, while {meanwhile} is open: {}", plain(&error)));
        }
        let drift = text(
            others,
            "SELECT count(*) FROM sync_verify('woocommerce', 'customers')",
        );
        assert_eq!(drift, "0", "{meanwhile}");
    }
}

/// What the functions of an administrator do to shared relations is theirs until the transaction ends. This one has no rights on
/// the relation: whoever may write it may lock it without us.
#[test]
fn what_one_organisation_leaves_open_is_in_no_others_way() {
    let mut shared = shared("uuid");
    let role = shared.app.db.role("admin", shared.app.org);
    shared.app.sql = shared.app.db.connect_as(&role, shared.app.org);
    run(
        &mut shared.app.root,
        &format!(
            "REVOKE ALL ON people FROM PUBLIC; GRANT ALL ON own TO {role}; GRANT ALL ON people TO {}",
            shared.others_role
        ),
    );
    let calls = [
        "sync_map('woocommerce', 'products', 'name', compared => false)".to_owned(),
        "sync_map('woocommerce', 'customers', 'name', compared => false)".to_owned(),
        "sync_map('woocommerce', 'customers', 'vip', 'vip', type => 'boolean')".to_owned(),
        "sync_unmap('woocommerce', 'categories', 'name')".to_owned(),
        "sync_connect('woocommerce', 'https://other.example', '{\"consumer_key\": \"ck_1\", \"consumer_secret\": \"cs_1\"}', name => 'more')".to_owned(),
        "sync_disconnect('woocommerce')".to_owned(),
        "sync_bind('categories', 'own', '{\"slug\": \"code\"}', '{id}')".to_owned(),
        "sync_unbind('customers')".to_owned(),
        "sync_maintain()".to_owned(),
        "sync_reset('woocommerce')".to_owned(),
        "sync_select('customers')".to_owned(),
        "sync_invalidate_preview()".to_owned(),
        "auto_cleanup_preview_cache()".to_owned(),
        "sync_verify('woocommerce', 'customers', repair => true)".to_owned(),
        format!("sync_grant('{role}', '{}', 'admin')", shared.app.org),
        format!("sync_revoke('{role}', '{}')", shared.app.org),
    ];
    shared
        .app
        .run("SELECT sync_map('woocommerce', 'categories', 'name', compared => false)");
    // grants are changed by one session at a time, which is in the way of other grants alone
    let strong = "SELECT coalesce(string_agg(DISTINCT format('%s %s', l.relation::regclass, l.mode), ', '), '') FROM pg_locks l
                  WHERE l.locktype = 'relation' AND l.pid <> pg_backend_pid() AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND l.relation <> 'sync_access'::regclass
                    AND l.relation <> to_regclass('crm.own') AND l.relation::regclass::text !~ '(_pkey|_idx|_key)$'
                    AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";
    for call in &calls {
        shared.app.run(&format!("BEGIN; SELECT * FROM {call}"));
        assert_eq!(text(&mut shared.app.root, strong), "", "{call}");
        shared.others_write(call);
        shared.app.run("ROLLBACK");
    }
    let known = calls.iter().map(|call| call.split_once('(').unwrap().0);
    let left_out = text(
        &mut shared.app.root,
        &format!(
            "SELECT coalesce(string_agg(object_name, ' '), '') FROM sync_privilege
             WHERE level = 'admin' AND object_kind = 'function' AND object_name <> ALL ('{{{}}}')",
            known.collect::<Vec<_>>().join(",")
        ),
    );
    assert_eq!(left_out, "");
}

#[test]
fn the_triggers_of_a_binding_that_ended_go_when_nobody_has_to_wait() {
    let mut shared = shared("uuid");
    let own = shared.app.org;
    let stranger = shared.app.db.role("admin", own);
    run(&mut shared.app.root, "REVOKE ALL ON people FROM PUBLIC");
    let mut sql = shared.app.db.connect_as(&stranger, own);
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'people'::regclass AND tgname ~ '^sync_'";
    assert_eq!(text(&mut shared.app.root, triggers), "8");
    run(&mut sql, "SELECT sync_unbind('customers')");
    assert_eq!(text(&mut shared.app.root, triggers), "8");
    let ledger = format!("SELECT count(*) FROM sync_record WHERE org_id = '{own}' AND entity = 1");
    assert_eq!(text(&mut shared.app.root, &ledger), "0");
    shared.app.run(&format!(
        "INSERT INTO people VALUES (9, '{own}', 'x@example.com'); UPDATE people SET label = 'y'; DELETE FROM people WHERE id = 9"
    ));
    assert_eq!(text(&mut shared.app.root, &ledger), "0");
    run(&mut sql, "SELECT sync_maintain()");
    assert_eq!(text(&mut shared.app.root, triggers), "4");
    assert_eq!(shared.app.text("SELECT count(*) FROM people"), "2");
    // bound anew, it is followed again
    shared.app.run(BIND);
    assert_eq!(text(&mut shared.app.root, triggers), "8");
    assert_eq!(shared.app.drift("customers"), "");
}

/// A statement of a session that the other one holds up; once that has committed, nothing is wrong with the ledger.
#[track_caller]
fn waits(shared: &mut Shared, first: (&mut Client, &str), second: (&mut Client, &str)) {
    let Shared { app, others, .. } = shared;
    let (opener, statement) = first;
    let (client, second_statement) = second;
    run(opener, &format!("BEGIN; {statement}"));
    let waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'";
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            client
                .batch_execute(second_statement)
                .map_err(|error| plain(&error))
        });
        wait_until(PATIENCE, || {
            call.is_finished() || text(&mut app.root, waiting) == "true"
        });
        assert!(
            !call.is_finished(),
            "{second_statement} does not wait for {statement}"
        );
        run(opener, "COMMIT");
        call.join().unwrap().unwrap();
    });
    for entity in ["customers", "products"] {
        let drift = format!("SELECT count(*) FROM sync_verify('woocommerce', '{entity}')");
        for sql in [&mut app.sql, &mut *others] {
            assert_eq!(text(sql, &drift), "0", "{}, then {}", statement, second_statement);
        }
    }
}

#[test]
fn own_writers_wait_and_are_compared_by_the_new_rule() {
    for org in ["uuid", "text"] {
        let mut shared = shared(org);
        let own = shared.app.org;
        let mapper_role = shared.app.role.clone();
        let mut mapper = shared.app.db.connect_as(&mapper_role, own);
        let mut writer = shared.app.db.connect_as(&mapper_role, own);
        // nobody's organisation is set, and rows of both are written
        let mut superuser = shared.app.db.client();
        let mut is_compared = false;
        for (entity, statements) in [
            (
                "customers",
                [
                    "UPDATE people SET label = label || 'x'".to_owned(),
                    format!("INSERT INTO people SELECT n, '{own}', n || '@example.com', 'x' FROM generate_series(20, 22) n ON CONFLICT (id) DO UPDATE SET label = people.label || 'y'"),
                    "DELETE FROM people WHERE id > 20".to_owned(),
                ],
            ),
            (
                "products",
                [
                    "UPDATE sync_products SET name = name || 'x'".to_owned(),
                    format!("INSERT INTO sync_products (org_id, sku, name) VALUES ('{own}', md5(random()::text), 'x')"),
                    format!("DELETE FROM sync_products WHERE sku <> 'sku' AND org_id = '{own}'"),
                ],
            ),
        ] {
            for statement in &statements {
                for client in [&mut writer, &mut superuser] {
                    let map = format!("SELECT sync_map('woocommerce', '{entity}', 'name', compared => {is_compared})");
                    is_compared = !is_compared;
                    // something to write
                    run(client, &statements[1]);
                    waits(&mut shared, (&mut mapper, &map), (client, statement));
                    let back = format!("SELECT sync_map('woocommerce', '{entity}', 'name', compared => {is_compared})");
                    is_compared = !is_compared;
                    run(client, &statements[1]);
                    waits(&mut shared, (client, statement), (&mut mapper, &back));
                }
            }
        }
        assert_ne!(shared.other, own);
    }
}
