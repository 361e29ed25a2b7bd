//! A relation that organisations share, by keys that tell rows apart within an organisation only.

use postgres::Client;
use serde_json::json;
use uuid::Uuid;

use crate::bound::{connect, text, Bound};

const SHARED: &str =
    "CREATE TABLE wares (org uuid, code text, title text, gone boolean, PRIMARY KEY (org, code))";
const BIND: &str =
    r#"SELECT sync_bind('products', 'wares', '{"sku": "code", "name": "title"}', '{code}', 'scan', 'org'"#;
const APPLY: &str = "SELECT sync_apply('woocommerce', 'products', include_deleted => true, allow_mass_delete => true) ->> 'historyId'";

/// Two organisations whose shops have the same products, in one table; the administrator of the second.
fn shared(options: &str) -> (Bound, Uuid, Client) {
    let mut app = Bound::new(SHARED);
    let first = app.org;
    let second = app.db.org();
    let role = app.db.role("admin", second);
    app.run(&format!(
        "GRANT USAGE ON SCHEMA crm TO {role}; GRANT ALL ON wares TO {role}"
    ));
    connect(&mut app.root, second, "woocommerce", "woocommerce");
    let mut other = app.db.connect_as(&role, second);
    app.run(&format!("{BIND}{options})"));
    text(&mut other, &format!("{BIND}{options}) ->> 'relation'"));
    for (org, of) in [(second, "theirs"), (first, "ours")] {
        app.org = org;
        let product =
            |n: u32| json!({"id": n.to_string(), "sku": format!("S{n}"), "name": format!("{of} {n}")});
        app.remote_of(
            "woocommerce",
            "products",
            &json!([product(1), product(2), product(3)]),
        );
    }
    app.text(APPLY);
    text(&mut other, APPLY);
    (app, second, other)
}

/// The rows of an organisation in one line.
fn rows(app: &mut Bound, org: Uuid) -> String {
    app.text(&format!(
        "SELECT string_agg(concat_ws(' ', code, title, gone), ', ' ORDER BY code) FROM wares WHERE org = '{org}'"
    ))
}

#[test]
fn what_one_organisation_applies_and_takes_back_is_its_own() {
    for options in ["", ", 'gone'"] {
        let (mut app, second, mut other) = shared(options);
        let first = app.org;
        let (ours, theirs) = (rows(&mut app, first), rows(&mut app, second));
        assert_eq!(ours, "S1 ours 1, S2 ours 2, S3 ours 3");
        assert_eq!(theirs, "S1 theirs 1, S2 theirs 2, S3 theirs 3");

        // one changes, one goes, one comes: the other organisation has rows of the same keys
        app.run(&format!(
            "INSERT INTO wares VALUES ('{second}', 'S4', 'theirs 4')"
        ));
        let theirs = rows(&mut app, second);
        app.remote_of(
            "woocommerce",
            "products",
            &json!([{"id": "1", "sku": "S1", "name": "renamed"}, {"id": "4", "sku": "S4", "name": "ours 4"}]),
        );
        app.root
            .execute(
                "UPDATE sync_record SET remote_fingerprint = NULL WHERE org_id = $1 AND external_id = '2'",
                &[&first],
            )
            .unwrap();
        let history = app.text(APPLY);
        let gone = if options.is_empty() { "" } else { "S2 ours 2 t, " };
        assert_eq!(
            rows(&mut app, first),
            format!("S1 renamed, {gone}S3 ours 3, S4 ours 4")
        );
        assert_eq!(rows(&mut app, second), theirs, "{options}");
        assert_eq!(app.drift("products"), "");

        let undone = app.text(&format!(
            "SELECT concat_ws(' ', u ->> 'removed', u ->> 'restored', u ->> 'refused') FROM sync_undo('{history}') u"
        ));
        assert_eq!(undone, "1 2 0", "{options}");
        assert_eq!(rows(&mut app, first), ours);
        assert_eq!(rows(&mut app, second), theirs);
        assert_eq!(app.drift("products"), "");
        assert_eq!(
            text(
                &mut other,
                "SELECT count(*) FROM compute_delta('woocommerce', 'products')"
            ),
            "0"
        );
    }
}

/// A key that is unique over all organisations may have been taken since: that row isn't restored, and the others are.
#[test]
fn a_key_that_another_organisation_has_taken_since_is_not_restored() {
    let (mut app, second, _) = shared("");
    app.run("ALTER TABLE wares DROP CONSTRAINT wares_pkey; DELETE FROM wares WHERE title LIKE 'theirs%'; ALTER TABLE wares ADD PRIMARY KEY (code)");
    app.root
        .execute(
            "UPDATE sync_record SET remote_fingerprint = NULL WHERE org_id = $1 AND external_id <> '3'",
            &[&app.org],
        )
        .unwrap();
    let history = app.text(APPLY);
    app.run(&format!("INSERT INTO wares VALUES ('{second}', 'S2', 'taken')"));
    let undone = app.text(&format!(
        "SELECT concat_ws(' ', u ->> 'restored', u ->> 'refused') FROM sync_undo('{history}') u"
    ));
    assert_eq!(undone, "1 1");
    let org = app.org;
    assert_eq!(rows(&mut app, org), "S1 ours 1, S3 ours 3");
    assert_eq!(rows(&mut app, second), "S2 taken");
}
