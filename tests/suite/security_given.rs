//! What sync_grant gives, and that sync_revoke takes nothing else: a role may hold privileges that somebody else gave it.

use std::sync::Barrier;
use std::thread;

use sync_ext_tests::TestDb;

use crate::bound::{plain, text};

/// All that a role holds on tables, their columns and functions, with who gave it.
fn held(db: &TestDb, role: &str) -> String {
    text(
        &mut db.client(),
        &format!(
            "SELECT coalesce(string_agg(concat_ws(' ', h.what, h.acl), E'\\n' ORDER BY h.what, h.acl), '') FROM (
                SELECT c.oid::regclass::text AS what, a::text AS acl FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
                WHERE a.grantee = '{role}'::regrole AND c.oid >= 16384
                UNION ALL SELECT t.attrelid::regclass || '.' || t.attname, a::text FROM pg_attribute t, aclexplode(t.attacl) a WHERE a.grantee = '{role}'::regrole
                UNION ALL SELECT p.oid::regprocedure::text, a::text FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                WHERE a.grantee = '{role}'::regrole AND p.oid >= 16384) h"
        ),
    )
}

/// What somebody else gives a role, one by one.
const OTHERS: [&str; 7] = [
    "GRANT SELECT, UPDATE, TRUNCATE ON sync_customers TO {role}",
    "GRANT EXECUTE ON FUNCTION sync_health(), sync_grant(regrole, uuid, text, boolean), sync_caller() TO {role}",
    "GRANT SELECT (sku), UPDATE (name) ON sync_products TO {role}",
    "GRANT SELECT (status) ON sync_orders TO {role} WITH GRANT OPTION",
    "GRANT SELECT, INSERT ON sync_list TO {role} WITH GRANT OPTION",
    "GRANT SELECT ON sync_history TO PUBLIC",
    "GRANT SELECT ON sync_record TO {other} WITH GRANT OPTION; SET ROLE {other}; GRANT SELECT ON sync_record TO {role}; RESET ROLE",
];

#[test]
fn what_a_role_held_before_is_left_to_it() {
    let db = TestDb::new();
    let (role, other) = (db.login_role(), db.login_role());
    for given in OTHERS {
        db.psql(&given.replace("{role}", &role).replace("{other}", &other));
    }
    let before = held(&db, &role);
    let (a, b) = (db.org(), db.org());
    let change = |call: &str| {
        db.psql(&format!("SELECT {call}"));
        held(&db, &role)
    };
    let reading = change(&format!("sync_grant('{role}', '{a}', 'read')"));
    assert_ne!(reading, before);
    let administering = change(&format!("sync_grant('{role}', '{b}', 'admin')"));
    assert_ne!(administering, reading);
    assert_eq!(
        change(&format!("sync_grant('{role}', '{a}', 'operate')")),
        administering
    );
    assert_eq!(
        change(&format!("sync_grant('{role}', '{a}', 'read')")),
        administering
    );
    assert_eq!(change(&format!("sync_revoke('{role}', '{b}')")), reading);
    assert_eq!(change(&format!("sync_revoke('{role}', '{a}')")), before);
    assert_eq!(change("count(*) FROM sync_given"), before);
    assert_eq!(db.psql("SELECT count(*) FROM sync_given"), "0");
}

#[test]
fn what_others_gave_in_another_way_meanwhile_is_left_too() {
    let db = TestDb::new();
    let (role, other, org) = (db.login_role(), db.login_role(), db.org());
    db.psql(&format!("SELECT sync_grant('{role}', '{org}', 'admin')"));
    // the same privilege by the same owner is one and the same; whatever can be told apart from it is
    let kept = [
        "GRANT SELECT ON sync_record TO {other} WITH GRANT OPTION; SET ROLE {other}; GRANT SELECT ON sync_record TO {role}; RESET ROLE",
        "GRANT SELECT (sku), UPDATE (name) ON sync_products TO {role}",
        "GRANT SELECT (status) ON sync_orders TO {role} WITH GRANT OPTION",
        "GRANT SELECT ON sync_list TO {role} WITH GRANT OPTION",
        "GRANT TRUNCATE ON sync_customers TO {role}",
    ];
    for given in kept {
        db.psql(&given.replace("{role}", &role).replace("{other}", &other));
    }
    db.psql(&format!("SELECT sync_revoke('{role}', '{org}')"));
    let left = held(&db, &role);
    let names: Vec<&str> = left.lines().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(
        names,
        [
            "sync_customers",
            "sync_list",
            "sync_orders.status",
            "sync_products.name",
            "sync_products.sku",
            "sync_record"
        ],
        "{left}"
    );
}

#[test]
fn an_owner_keeps_what_is_its_own() {
    let db = TestDb::new();
    let org = db.org();
    let before = held(&db, "postgres");
    db.psql(&format!("SELECT sync_grant('postgres', '{org}', 'operate')"));
    db.psql(&format!("SELECT sync_revoke('postgres', '{org}')"));
    assert_eq!(held(&db, "postgres"), before);
}

/// The privileges on an object are one row of the catalogue: two that change it at once are one too many.
#[test]
fn many_may_grant_and_revoke_at_once() {
    let db = TestDb::new();
    const SESSIONS: usize = 8;
    let roles: Vec<String> = (0..SESSIONS).map(|_| db.login_role()).collect();
    let start = Barrier::new(SESSIONS);
    thread::scope(|scope| {
        for role in &roles {
            let (db, start) = (&db, &start);
            scope.spawn(move || {
                let (mut sql, org) = (db.client(), db.org());
                start.wait();
                for level in ["read", "admin", "operate"] {
                    for call in [
                        format!("SELECT sync_grant('{role}', '{org}', '{level}')"),
                        format!("SELECT sync_revoke('{role}', '{org}')"),
                    ] {
                        sql.batch_execute(&call)
                            .unwrap_or_else(|error| panic!("{call}: {}", plain(&error)));
                    }
                }
            });
        }
    });
    assert_eq!(db.psql("SELECT count(*) FROM sync_given, sync_access"), "0");
}
