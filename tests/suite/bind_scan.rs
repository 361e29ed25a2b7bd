//! What triggers can't follow is scanned: views, foreign tables, tables that are to have no triggers.

use serde_json::json;
use sync_ext_tests::sqlstate;
use sync_sandbox::Version;

use crate::bound::{text, Bound};
use crate::shop::{small, Shop};

const COLUMNS: &str = r#"'{"email": "mail", "name": "label"}'"#;

const TABLES: &str = "
CREATE TABLE contacts (id int PRIMARY KEY, mail text, label text);
CREATE TABLE extra (id int PRIMARY KEY, mail text, label text);
CREATE VIEW people AS SELECT * FROM contacts UNION ALL SELECT * FROM extra;
INSERT INTO contacts VALUES (1, 'a@example.com', 'A'), (2, 'b@example.com', 'B')";

fn scanned(relation: &str) -> Bound {
    let mut app = Bound::new(TABLES);
    app.remote(&json!([{"id": "8", "email": "a@example.com", "name": "A"}, {"id": "9", "email": "c@example.com", "name": "C"}]));
    app.run(&format!(
        "SELECT sync_bind('customers', '{relation}', {COLUMNS}, '{{id}}', tracking => 'scan')"
    ));
    app
}

/// What a preview does before it looks at the ledger; how many rows differed.
fn scan(app: &mut Bound) -> String {
    let org = app.org;
    text(&mut app.root, &format!("SELECT sync_scan_local('{org}', number, 1::smallint) FROM integration_connector ORDER BY number LIMIT 1"))
}

#[test]
fn a_view_is_read_when_it_is_bound_and_by_every_scan() {
    let mut app = scanned("people");
    assert_eq!(app.delta("customers"), "new 9");
    assert_eq!(app.local_ids(), "1 2");
    app.run("INSERT INTO extra VALUES (3, 'c@example.com', 'Other'); UPDATE contacts SET label = 'Z' WHERE id = 1; DELETE FROM contacts WHERE id = 2");
    assert_eq!(app.delta("customers"), "new 9");
    assert_eq!(scan(&mut app), "3");
    assert_eq!(app.delta("customers"), "updated 8 1 name\nupdated 9 3 name");
    assert_eq!(
        (app.local_ids(), app.drift("customers")),
        ("1 3".into(), String::new())
    );
    // nothing is written where nothing has changed
    let places = "SELECT string_agg(ctid::text, ' ' ORDER BY id) FROM sync_record";
    let before = text(&mut app.root, places);
    assert_eq!(scan(&mut app), "0");
    assert_eq!(text(&mut app.root, places), before);
    app.run("DELETE FROM contacts; DELETE FROM extra");
    assert_eq!(scan(&mut app), "2");
    assert_eq!(app.delta("customers"), "new 8\nnew 9");
}

#[test]
fn a_scanned_table_has_no_triggers() {
    let mut app = scanned("contacts");
    assert_eq!(
        app.text("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'contacts'::regclass"),
        "0"
    );
    app.run("UPDATE contacts SET label = 'Z' WHERE id = 1");
    assert_eq!(scan(&mut app), "1");
    assert_eq!(app.delta("customers"), "new 9\nupdated 8 1 name");
    app.run("SELECT sync_unbind('customers')");
    assert_eq!(app.local_ids(), "");
}

#[test]
fn two_connectors_see_one_table_each_in_its_own_ledger() {
    for tracking in ["scan", "trigger"] {
        let mut app = Bound::new(TABLES);
        app.connect("second");
        for (connector, name) in [("woocommerce", "A"), ("second", "Z")] {
            app.remote_of(
                connector,
                "customers",
                &json!([{"id": "8", "email": "a@example.com", "name": name}]),
            );
        }
        app.run(&format!(
            "SELECT sync_bind('customers', 'contacts', {COLUMNS}, '{{id}}', tracking => '{tracking}')"
        ));
        let deltas = |app: &mut Bound| {
            if tracking == "scan" {
                let org = app.org;
                app.root
                    .batch_execute(&format!(
                        "SELECT sync_scan_local('{org}', number, 1::smallint) FROM integration_connector"
                    ))
                    .unwrap();
            }
            ["woocommerce", "second"].map(|name| {
                app.text(&format!(
                    "SELECT count(*) FROM compute_delta('{name}', 'customers')"
                ))
            })
        };
        assert_eq!(deltas(&mut app), ["0", "1"], "{tracking}");
        app.run("UPDATE contacts SET label = 'Z' WHERE id = 1");
        assert_eq!(deltas(&mut app), ["1", "0"], "{tracking}");
        app.run("UPDATE contacts SET mail = 'x@example.com' WHERE id = 1; UPDATE contacts SET id = 7 WHERE id = 1");
        assert_eq!(
            app.drift("customers"),
            if tracking == "trigger" {
                ""
            } else {
                "local row of the ledger does not exist 1; local row is missing from the ledger 7"
            }
        );
        deltas(&mut app);
        assert_eq!(app.drift("customers"), "");
        assert_eq!(
            text(
                &mut app.root,
                "SELECT count(*) FROM sync_record WHERE local_id = '7'"
            ),
            "2"
        );
    }
}

#[test]
fn keys_that_are_not_unique_are_refused() {
    let mut app = scanned("people");
    app.run("INSERT INTO extra VALUES (1, 'x@example.com', 'X')");
    let org = app.org;
    let again = format!("SELECT sync_scan_local('{org}', number, 1::smallint) FROM integration_connector");
    let error = app.root.batch_execute(&again).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(
        (error.code().code(), error.message()),
        ("21000", "two local rows have the key 1")
    );
    assert!(error.hint().is_some());
    assert_eq!(app.local_ids(), "1 2");
    app.run("UPDATE extra SET id = 5");
    app.root.batch_execute(&again).unwrap();
    assert_eq!(app.local_ids(), "1 2 5");
    app.run("DROP VIEW people; CREATE VIEW people AS SELECT nullif(id, 1) AS id, mail, label FROM contacts");
    let bind = format!("SELECT sync_bind('customers', 'people', {COLUMNS}, '{{id}}', tracking => 'scan')");
    assert_eq!(sqlstate(app.sql.batch_execute(&bind)), "21000");
}

#[test]
fn nothing_is_bound_or_mapped_while_a_run_is_under_way() {
    let mut app = Bound::new(TABLES);
    let org = app.org;
    let hold = format!(
        "BEGIN; SELECT sync_hold('sync_ext:run:{org}:' || number || ':customers') FROM integration_connector"
    );
    app.root.batch_execute(&hold).unwrap();
    let calls = [
        format!("SELECT sync_bind('customers', 'people', {COLUMNS}, '{{id}}', tracking => 'scan')"),
        "SELECT sync_map('woocommerce', 'customers', 'vat', '_vat')".into(),
        "SELECT sync_unbind('customers')".into(),
    ];
    for call in &calls {
        assert_eq!(sqlstate(app.sql.batch_execute(call)), "55006", "{call}");
    }
    app.root.batch_execute("COMMIT").unwrap();
    for call in &calls {
        app.run(call);
    }
}

#[test]
fn a_preview_and_an_apply_scan_first() {
    let mut shop = Shop::with(small(Version::V11), json!({}));
    let role: String = shop
        .sql
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    shop.root
        .batch_execute(&format!(
            "CREATE TABLE app_contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), mail text, label text);
             CREATE VIEW app_people AS SELECT * FROM app_contacts;
             ALTER TABLE app_contacts OWNER TO {role}; ALTER VIEW app_people OWNER TO {role}"
        ))
        .unwrap();
    shop.sql
        .batch_execute(r#"SELECT sync_bind('customers', 'app_people', '{"email": "mail", "name": "label"}', '{id}', tracking => 'scan')"#)
        .unwrap();
    let all = shop.fresh_preview("customers")["delta"]["new"]["count"]
        .as_i64()
        .unwrap();
    assert!(all > 0);
    shop.sql
        .batch_execute(
            "INSERT INTO app_contacts (mail, label) SELECT remote ->> 'email', remote ->> 'name' FROM compute_delta('woocommerce', 'customers')",
        )
        .unwrap();
    let preview = shop.fresh_preview("customers");
    assert_eq!(preview["delta"]["new"]["count"], 0, "{preview}");
    shop.sql
        .batch_execute("UPDATE app_contacts SET label = 'Somebody else'")
        .unwrap();
    let applied = shop.number(
        "SELECT (sync_apply('woocommerce', 'customers', allow_mass_update => true) ->> 'updated')::bigint",
    );
    assert_eq!(applied, all);
    assert_eq!(
        shop.number("SELECT count(*) FROM app_contacts WHERE label = 'Somebody else'"),
        0
    );
}

/// What a field's column is called in the built-in table: a layout could not be made otherwise.
#[test]
fn every_compared_field_is_a_column_of_the_built_in_table() {
    let mut app = Bound::new("");
    let missing = text(
        &mut app.root,
        "SELECT coalesce(string_agg(e.name || '.' || f.field, ' '), '')
         FROM sync_entity e CROSS JOIN LATERAL sync_fields(e.name) f
         WHERE (f.compared OR f.field = 'custom')
           AND NOT EXISTS (SELECT FROM sync_layout_column c WHERE c.layout = e.number AND c.purpose = 'field' AND c.field = f.field)",
    );
    assert_eq!(missing, "");
}
