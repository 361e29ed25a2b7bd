//! Bindings, mappings and DDL by many at once: what was checked holds, and nobody meets the catalogue's own errors.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use postgres::{Client, Error};
use sync_ext_tests::wait_until;
use uuid::Uuid;

use crate::bound::{connect, plain, text, Bound};

/// An administrator of another organisation, who may read and track what the app has.
fn neighbour(app: &mut Bound) -> (Uuid, Client) {
    let org = Uuid::new_v4();
    let role = app.db.role("admin", org);
    connect(&mut app.root, org, "woocommerce", "woocommerce");
    app.root
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA crm TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA crm TO {role}"
        ))
        .unwrap();
    let sql = app.db.connect_as(&role, org);
    (org, sql)
}

fn bind(tracking: &str) -> String {
    format!(r#"SELECT sync_bind('customers', 'people', '{{"email": "mail"}}', '{{id}}', '{tracking}')"#)
}

fn is_waiting(root: &mut Client) -> bool {
    text(
        root,
        "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()",
    ) == "true"
}

/// The state of an error, and of a success.
fn state(result: &Result<(), Error>) -> String {
    match result {
        Ok(()) => "bound".into(),
        Err(error) => error.code().map_or("?".into(), |code| code.code().to_owned()),
    }
}

/// One organisation has bound a relation and not committed, when another one comes.
fn second_of_two(tracking: &str, isolation: &str, end: &str) -> String {
    let mut app = Bound::new(
        "CREATE TABLE people (id int PRIMARY KEY, mail text); INSERT INTO people VALUES (1, 'a@example.com')",
    );
    let (_, mut second) = neighbour(&mut app);
    app.run(&format!("BEGIN; {}", bind(tracking)));
    second
        .batch_execute(&format!(
            "BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM sync_bindings"
        ))
        .unwrap();
    let told = thread::scope(|scope| {
        let call = scope.spawn(|| second.batch_execute(&bind(tracking)));
        wait_until(Duration::from_secs(30), || {
            call.is_finished() || is_waiting(&mut app.root)
        });
        app.sql.batch_execute(end).unwrap();
        state(&call.join().unwrap())
    });
    let holders = text(
        &mut app.root,
        "SELECT count(DISTINCT b.org_id) FROM sync_binding b",
    );
    assert!(holders == "1" || end == "ROLLBACK", "{holders}");
    told
}

#[test]
fn of_two_that_bind_one_relation_at_once_one_is_refused() {
    for tracking in ["trigger", "scan"] {
        assert_eq!(
            second_of_two(tracking, "READ COMMITTED", "COMMIT"),
            "42501",
            "{tracking}"
        );
        assert_eq!(
            second_of_two(tracking, "REPEATABLE READ", "COMMIT"),
            "40001",
            "{tracking}"
        );
        assert_eq!(
            second_of_two(tracking, "READ COMMITTED", "ROLLBACK"),
            "bound",
            "{tracking}"
        );
    }
}

#[test]
fn a_connector_that_is_made_meanwhile_goes_by_the_new_binding() {
    let mut app = Bound::new(
        "CREATE TABLE people (id int PRIMARY KEY, mail text); INSERT INTO people VALUES (1, 'a@example.com')",
    );
    app.run(&bind("scan"));
    app.run("CREATE VIEW others AS SELECT id + 10 AS id, mail FROM people");
    app.run(&format!(
        "BEGIN; {}",
        bind("scan").replace("'people'", "'others'")
    ));
    let (org, mut maker, mut observer) = (app.org, app.db.client(), app.db.client());
    thread::scope(|scope| {
        let call = scope.spawn(|| connect(&mut maker, org, "second", "woocommerce"));
        wait_until(Duration::from_secs(30), || {
            call.is_finished() || is_waiting(&mut observer)
        });
        app.run("COMMIT");
        call.join().unwrap();
    });
    let compared = "SELECT count(*) FROM sync_comparison k JOIN sync_binding b USING (org_id, entity) WHERE k.layout = b.layout";
    assert_eq!(text(&mut app.root, compared), "2");
    assert_eq!(
        text(
            &mut app.root,
            "SELECT string_agg(local_id, ' ') FROM sync_record WHERE entity = 1 AND local_id IS NOT NULL"
        ),
        "11 11"
    );
}

/// One relation of many organisations: its functions are made anew by every one of them, and by its owner's DDL.
#[test]
fn many_may_bind_map_and_alter_one_relation_at_once() {
    const SESSIONS: usize = 5;
    let mut app = Bound::new(
        "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE people (id int PRIMARY KEY, org uuid, mail text, feeling mood);
         GRANT USAGE ON SCHEMA crm TO PUBLIC; GRANT ALL ON people TO PUBLIC",
    );
    let backend = app.db.role("admin", None);
    let orgs: Vec<Uuid> = (0..SESSIONS).map(|_| Uuid::new_v4()).collect();
    for org in &orgs {
        connect(&mut app.root, *org, "woocommerce", "woocommerce");
    }
    let start = Barrier::new(SESSIONS + 1);
    let run = |sql: &mut Client, call: &str| {
        sql.batch_execute(call)
            .unwrap_or_else(|error| panic!("{call}: {}", plain(&error)))
    };
    thread::scope(|scope| {
        for org in &orgs {
            let (db, backend, start) = (&app.db, &backend, &start);
            scope.spawn(move || {
                let mut sql = db.connect_as(backend, *org);
                start.wait();
                for _ in 0..3 {
                    run(&mut sql, r#"SELECT sync_bind('customers', 'people', '{"email": "mail", "name": "feeling"}', '{id}', org_column => 'org')"#);
                    run(&mut sql, "SELECT sync_map('woocommerce', 'customers', 'name', compared => false)");
                    run(&mut sql, "SELECT sync_unmap('woocommerce', 'customers', 'name')");
                    run(&mut sql, "SELECT sync_unbind('customers')");
                }
            });
        }
        let mut owner = app.db.connect_as(&app.role, app.org);
        start.wait();
        for n in 0..6 {
            run(
                &mut owner,
                &format!("ALTER TYPE mood RENAME TO mood{n}; ALTER TYPE mood{n} RENAME TO mood"),
            );
        }
    });
    assert_eq!(
        text(
            &mut app.root,
            "SELECT count(*) FROM sync_layout WHERE bound_by IS NOT NULL"
        ),
        "0"
    );
    assert_eq!(
        text(
            &mut app.root,
            "SELECT count(*) FROM pg_proc WHERE proname ~ '^sync_(track|write)_[0-9]{3}'"
        ),
        "0"
    );
}
