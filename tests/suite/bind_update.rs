//! An UPDATE of a bound table takes a short way to the ledger where rows keep their keys. What it finds there, and when it
//! has to go the long way.

use serde_json::json;

use crate::bound::{text, Bound};

const BIND: &str = r#"SELECT sync_bind('customers', 'people', '{"email": "mail", "name": "label"}', '{id}')"#;

fn people() -> Bound {
    let mut app = Bound::new("CREATE TABLE people (id int PRIMARY KEY, mail text, label text, note text)");
    app.run("INSERT INTO people SELECT n, n || '@example.com', 'x' FROM generate_series(1, 20) n");
    app
}

/// In each ledger: how many local rows it holds, and whether all have the fingerprint and match key they should have.
fn drifts(app: &mut Bound, connectors: &[&str]) -> Vec<String> {
    let one = |name: &&str| {
        app.text(&format!(
            "SELECT count(*) FROM sync_verify('{name}', 'customers')"
        ))
    };
    connectors.iter().map(one).collect()
}

#[test]
fn one_statement_may_change_rows_in_all_ways() {
    let mut app = people();
    app.remote(&json!([{"id": "90", "email": "3@example.com", "name": "x"}, {"id": "91", "email": "30@example.com", "name": "x"}]));
    app.run(BIND);
    assert_eq!(app.delta("customers"), "new 91");
    // nothing, another column, a compared one, the match key (to one that is waited for), the key itself
    app.run(
        "UPDATE people SET label = CASE WHEN id IN (3, 4) THEN 'y' ELSE label END, note = CASE WHEN id > 2 THEN 'n' END,
                mail = CASE WHEN id = 5 THEN '30@example.com' ELSE mail END, id = CASE WHEN id = 6 THEN 600 ELSE id END",
    );
    assert_eq!(app.drift("customers"), "");
    assert_eq!(app.delta("customers"), "updated 90 3 name");
    assert!(app.local_ids().split(' ').any(|id| id == "600"));
    // a linked row that gets another key is linked again, by its match key
    app.run("UPDATE people SET id = id + 100, label = 'z' WHERE id IN (3, 4)");
    assert_eq!(app.drift("customers"), "");
    assert_eq!(app.delta("customers"), "updated 90 103 name");
}

/// A key that is not compared changes no fingerprint: the ledger has to notice it all the same.
#[test]
fn a_match_key_may_change_alone_or_in_its_spelling() {
    let mut app = people();
    app.remote(&json!([{"id": "90", "email": "30@example.com", "name": "x"}]));
    app.run("SELECT sync_map('woocommerce', 'customers', 'email', compared => false)");
    app.run(BIND);
    assert_eq!(app.delta("customers"), "new 90");
    app.run("UPDATE people SET mail = upper(mail)");
    assert_eq!(app.drift("customers"), "");
    app.run("UPDATE people SET mail = CASE id WHEN 7 THEN ' 30@Example.com' ELSE mail END WHERE id < 9");
    assert_eq!(app.drift("customers"), "");
    assert_eq!(app.delta("customers"), "");
    app.run("UPDATE people SET mail = CASE WHEN id = 8 THEN NULL ELSE mail END, label = CASE WHEN id = 7 THEN 'y' ELSE label END");
    assert_eq!(app.drift("customers"), "");
    assert_eq!(app.delta("customers"), "updated 90 7 name");
}

#[test]
fn a_statement_that_failed_leaves_nothing_behind() {
    let mut app = people();
    app.run(BIND);
    app.run("ALTER TABLE people ADD CHECK (label <> 'z')");
    app.run(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'late'; END $$;
         CREATE TRIGGER zz_late AFTER UPDATE ON people FOR EACH STATEMENT EXECUTE FUNCTION late();",
    );
    app.refused("UPDATE people SET label = 'late'");
    app.run("DROP TRIGGER zz_late ON people");
    app.refused("UPDATE people SET label = CASE id WHEN 20 THEN 'z' ELSE 'w' END");
    assert_eq!(app.drift("customers"), "");
    app.run("UPDATE people SET label = 'y' WHERE id < 3; UPDATE people SET note = 'y'");
    assert_eq!(app.drift("customers"), "");
}

/// The comparisons stand in the trigger's function: it has to be made anew with each of them.
#[test]
fn connectors_and_mappings_that_come_and_go_are_followed_at_once() {
    let mut app = people();
    app.run(BIND);
    app.run("UPDATE people SET label = 'first'");
    assert_eq!(drifts(&mut app, &["woocommerce"]), ["0"]);
    app.connect("second");
    app.run("UPDATE people SET label = 'two' WHERE id < 9");
    assert_eq!(drifts(&mut app, &["woocommerce", "second"]), ["0", "0"]);
    app.run("SELECT sync_map('second', 'customers', 'name', compared => false)");
    app.run("UPDATE people SET label = 'left out' WHERE id < 5; UPDATE people SET mail = 'm' || mail WHERE id = 6");
    assert_eq!(drifts(&mut app, &["woocommerce", "second"]), ["0", "0"]);
    app.run("SELECT sync_unmap('second', 'customers', 'name')");
    app.run("UPDATE people SET label = 'back' WHERE id < 7");
    assert_eq!(drifts(&mut app, &["woocommerce", "second"]), ["0", "0"]);
    app.run("SELECT sync_disconnect('woocommerce')");
    app.run("UPDATE people SET label = 'alone'");
    assert_eq!(drifts(&mut app, &["second"]), ["0"]);
    app.run("SELECT sync_disconnect('second'); UPDATE people SET label = 'nobody', id = id + 100");
    assert_eq!(text(&mut app.root, "SELECT count(*) FROM sync_record"), "0");
    app.connect("third");
    app.run("UPDATE people SET label = 'third'");
    assert_eq!(drifts(&mut app, &["third"]), ["0"]);
    assert_eq!(text(&mut app.root, "SELECT count(*) FROM sync_record"), "20");
}

/// Nobody's settings decide what a row's fingerprint is made of, nor what a plan is made like.
#[test]
fn settings_of_a_session_change_nothing() {
    let mut app = Bound::new(
        "CREATE TABLE events (id date PRIMARY KEY, mail text, label text, born date, weight real);
         INSERT INTO events SELECT date '2026-01-01' + n, n || '@example.com', 'x', '2000-02-03', 0.1 FROM generate_series(1, 9) n",
    );
    app.run(
        r#"SELECT sync_map('woocommerce', 'customers', 'born', '_born', 'time');
           SELECT sync_map('woocommerce', 'customers', 'weight', '_weight', 'number');
           SELECT sync_bind('customers', 'events', '{"email": "mail", "name": "label", "custom.born": "born", "custom.weight": "weight"}', '{id}')"#,
    );
    app.run("SET datestyle = 'German'; SET extra_float_digits = -5; SET timezone = 'Asia/Tokyo'");
    app.run("UPDATE events SET label = 'y', born = born + 1, weight = 1.0 / 3 WHERE id < '2026-01-05'");
    app.run("RESET ALL; RESET datestyle");
    let org = app.org;
    app.run(&format!("SET app.current_org_id = '{org}'"));
    assert_eq!(app.drift("customers"), "");
}
