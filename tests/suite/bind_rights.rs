//! Whose rights a binding uses, and what a hostile owner can't do with it.

use sync_ext_tests::sqlstate;

use crate::bound::{text, Bound};

const COLUMNS: &str = r#"'{"email": "mail", "name": "label"}'"#;
const TABLE: &str = "CREATE TABLE contacts (id int PRIMARY KEY, mail text, label text, org uuid)";

fn bind(relation: &str, more: &str) -> String {
    format!("SELECT sync_bind('customers', '{relation}', {COLUMNS}, '{{id}}'{more})")
}

#[test]
fn a_binder_needs_the_rights_itself() {
    let mut app = Bound::new("");
    app.root
        .batch_execute(&format!("CREATE TABLE contacts (id int PRIMARY KEY, mail text, label text); CREATE SCHEMA closed; CREATE TABLE closed.contacts (LIKE contacts INCLUDING ALL); GRANT ALL ON closed.contacts TO {}", app.role))
        .unwrap();
    assert_eq!(sqlstate(app.sql.batch_execute(&bind("contacts", ""))), "42501");
    assert_eq!(
        sqlstate(app.sql.batch_execute(&bind("closed.contacts", ""))),
        "42501"
    );
    app.root
        .batch_execute(&format!("GRANT SELECT ON contacts TO {}", app.role))
        .unwrap();
    assert_eq!(sqlstate(app.sql.batch_execute(&bind("contacts", ""))), "42501");
    app.run(&bind("contacts", ", tracking => 'scan'"));
    app.root
        .batch_execute(&format!("GRANT TRIGGER ON contacts TO {}", app.role))
        .unwrap();
    app.run(&bind("contacts", ""));
    // what was lent can be taken back
    app.root
        .batch_execute(&format!(
            "REVOKE ALL ON contacts FROM {}; INSERT INTO contacts VALUES (1)",
            app.role
        ))
        .unwrap();
    assert_eq!(
        sqlstate(
            app.sql
                .batch_execute("SELECT * FROM sync_verify('woocommerce', 'customers')")
        ),
        "55000"
    );
    app.run("SELECT sync_unbind('customers')");
}

const LEDGER: &str = "SELECT coalesce(string_agg(concat_ws('/', local_id, local_match_key), ' ' ORDER BY local_id), '') FROM sync_record";
const BROKEN: &str = "SELECT broken FROM sync_bindings WHERE entity_type = 'customers'";

/// A table of somebody else that the administrator may read until `lost`, and again after `regained`.
fn what_is_written_meanwhile_stays_unseen(given: &str, lost: &str, regained: &str, reason: &str) {
    let mut app = Bound::new("");
    let role = app.role.clone();
    let told = |sql: &str| sql.replace("BINDER", &role);
    app.root
        .batch_execute(&told("CREATE TABLE contacts (id int PRIMARY KEY, mail text, label text); CREATE ROLE readers_of_BINDER;
                              INSERT INTO contacts VALUES (1, 'a@example.com')"))
        .unwrap();
    app.root.batch_execute(&told(given)).unwrap();
    app.run(&bind("contacts", ""));
    app.root.batch_execute(&told(lost)).unwrap();
    app.root
        .batch_execute(
            "INSERT INTO contacts VALUES (2, 'secret@example.com');
             UPDATE contacts SET mail = 'changed@example.com' WHERE id = 1; UPDATE contacts SET id = 3 WHERE id = 2; DELETE FROM contacts WHERE id = 1",
        )
        .unwrap();
    assert_eq!(text(&mut app.root, LEDGER), "1/a@example.com", "{lost}");
    let broken = app.text(BROKEN);
    assert!(broken.contains(reason), "{lost}: {broken}");
    let preview = "SELECT sync_preview('woocommerce', 'customers')";
    assert_eq!(sqlstate(app.sql.batch_execute(preview)), "55000", "{lost}");
    // what was missed is missing, whoever may read it again
    app.root.batch_execute(&told(regained)).unwrap();
    let broken = app.text(BROKEN);
    assert!(
        broken.contains("could not read what was written"),
        "{lost}: {broken}"
    );
    assert_eq!(sqlstate(app.sql.batch_execute(preview)), "55000", "{lost}");
    app.run(&bind("contacts", ""));
    assert_eq!(app.text(BROKEN), "");
    assert_eq!(app.local_ids(), "3");
    assert_eq!(app.drift("customers"), "");
    assert_eq!(text(&mut app.root, "SELECT count(*) FROM sync_layout_loss"), "0");
    app.root
        .batch_execute(&told("DROP ROLE readers_of_BINDER"))
        .unwrap();
}

#[test]
fn a_table_is_not_followed_without_the_right_to_read_it() {
    const GIVEN: &str = "GRANT SELECT, TRIGGER ON contacts TO BINDER";
    for (given, lost, regained, reason) in [
        (GIVEN, "REVOKE SELECT ON contacts FROM BINDER", GIVEN, "may not read it"),
        (
            "GRANT SELECT, TRIGGER ON contacts TO readers_of_BINDER; GRANT readers_of_BINDER TO BINDER",
            "REVOKE readers_of_BINDER FROM BINDER",
            "GRANT readers_of_BINDER TO BINDER; GRANT SELECT, TRIGGER ON contacts TO BINDER; DROP OWNED BY readers_of_BINDER",
            "may not read it",
        ),
        (GIVEN, "REVOKE USAGE ON SCHEMA crm FROM BINDER, PUBLIC", "GRANT USAGE ON SCHEMA crm TO BINDER", "may not read it"),
        (
            "GRANT SELECT, TRIGGER ON contacts TO BINDER; ALTER TABLE contacts ENABLE ROW LEVEL SECURITY; ALTER ROLE BINDER BYPASSRLS",
            "ALTER ROLE BINDER NOBYPASSRLS",
            "ALTER ROLE BINDER BYPASSRLS",
            "row-level security",
        ),
    ] {
        what_is_written_meanwhile_stays_unseen(given, lost, regained, reason);
    }
}

#[test]
fn row_level_security_that_comes_later_ends_the_following() {
    let mut app = Bound::new("");
    app.root
        .batch_execute(&format!(
            "CREATE TABLE contacts (id int PRIMARY KEY, mail text, label text); GRANT SELECT, TRIGGER ON contacts TO {}",
            app.role
        ))
        .unwrap();
    app.run(&bind("contacts", ""));
    app.root
        .batch_execute("ALTER TABLE contacts ENABLE ROW LEVEL SECURITY; INSERT INTO contacts VALUES (2, 'secret@example.com')")
        .unwrap();
    assert_eq!(text(&mut app.root, LEDGER), "");
    let broken = app.text(BROKEN);
    assert!(broken.contains("row-level security"), "{broken}");
}

#[test]
fn only_administrators_bind() {
    let mut app = Bound::new(TABLE);
    let operator = app.db.role("operate", app.org);
    app.run(&format!(
        "GRANT USAGE ON SCHEMA crm TO {operator}; GRANT ALL ON contacts TO {operator}"
    ));
    let mut sql = app.db.connect_as(&operator, app.org);
    for call in [
        bind("contacts", "").as_str(),
        "SELECT sync_unbind('customers')",
        "SELECT sync_map('woocommerce', 'customers', 'name', compared => false)",
    ] {
        assert_eq!(sqlstate(sql.batch_execute(call)), "42501", "{call}");
    }
}

#[test]
fn row_level_security_of_the_table_is_not_gone_around() {
    let mut app = Bound::new("");
    app.root
        .batch_execute(&format!(
            "CREATE TABLE contacts (id int PRIMARY KEY, mail text, label text);
             ALTER TABLE contacts ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON contacts USING (label = 'mine');
             INSERT INTO contacts VALUES (1, 'a@example.com', 'mine'), (2, 'b@example.com', 'theirs');
             GRANT SELECT, TRIGGER ON contacts TO {}", app.role))
        .unwrap();
    let error = app.refused(&bind("contacts", ""));
    assert_eq!(error.as_db_error().unwrap().code().code(), "42501");
    app.root
        .batch_execute("CREATE VIEW open AS SELECT * FROM contacts; GRANT SELECT ON open TO PUBLIC")
        .unwrap();
    app.run(&bind("open", ", tracking => 'scan'"));
    assert_eq!(app.local_ids(), "1 2");
}

#[test]
fn the_role_that_bound_may_go() {
    let mut app = Bound::new("");
    let admin = app.db.role("admin", app.org);
    app.root
        .batch_execute(&format!("CREATE TABLE contacts (id int PRIMARY KEY, mail text, label text); GRANT ALL ON contacts TO {admin}, {}; GRANT USAGE ON SCHEMA crm TO {admin}", app.role))
        .unwrap();
    let mut other = app.db.connect_as(&admin, app.org);
    other.batch_execute(&bind("contacts", "")).unwrap();
    assert_eq!(app.text("SELECT bound_by FROM sync_bindings"), admin);
    assert_eq!(app.drift("customers"), "");
    // its grant goes, then the role itself
    app.run(&format!("SELECT sync_revoke('{admin}', '{}')", app.org));
    assert_eq!(
        sqlstate(
            app.sql
                .batch_execute("SELECT * FROM sync_verify('woocommerce', 'customers')")
        ),
        "55000"
    );
    drop(other);
    app.root
        .batch_execute(&format!("DROP OWNED BY {admin}; DROP ROLE {admin}"))
        .unwrap();
    app.root
        .batch_execute("INSERT INTO contacts VALUES (1, 'a@example.com', 'A')")
        .unwrap();
    let error = app.refused("SELECT * FROM compute_delta('woocommerce', 'customers')");
    assert!(
        error
            .as_db_error()
            .unwrap()
            .message()
            .contains("role that bound it was dropped"),
        "{error}"
    );
    app.run(&bind("contacts", ""));
    assert_eq!(
        (app.local_ids(), app.drift("customers")),
        ("1".into(), String::new())
    );
}

#[test]
fn organisations_share_a_table_by_its_column() {
    for kind in ["uuid", "text", "varchar(40)"] {
        let mut app = Bound::new(&TABLE.replace("org uuid", &format!("org {kind}")));
        let other = app.db.org();
        app.run(&format!("INSERT INTO contacts VALUES (1, 'a@example.com', 'A', '{}'), (2, 'b@example.com', 'B', '{other}')", app.org));
        if kind != "uuid" {
            app.run(&format!("INSERT INTO contacts VALUES (5, 'x', 'X', 'nobody'), (6, 'y', 'Y', NULL), (7, 'z', 'Z', '{}')", app.org.simple()));
        }
        app.root
            .execute(
                &format!("SELECT sync_grant('{}', $1, 'admin')", app.role),
                &[&other],
            )
            .unwrap();
        crate::bound::connect(&mut app.root, other, "woocommerce", "woocommerce");
        let mut second = app.db.connect_as(&app.role, other);
        app.run(&bind("contacts", ", org_column => 'org'"));
        // not without the column: the rows of the first would be the second's
        assert_eq!(
            sqlstate(second.batch_execute(&bind("contacts", ""))),
            "42501",
            "{kind}"
        );
        second
            .batch_execute(&bind("contacts", ", org_column => 'org'"))
            .unwrap();
        let ledger = "SELECT string_agg(local_id, ' ' ORDER BY local_id) FROM sync_record WHERE org_id = sync_current_org()";
        assert_eq!(
            (app.text(ledger), text(&mut second, ledger)),
            ("1".into(), "2".into()),
            "{kind}"
        );
        let written = format!(
            "INSERT INTO contacts VALUES (3, 'c@example.com', 'C', upper('{}')::{kind}), (4, 'd@example.com', 'D', '{other}');
             UPDATE contacts SET org = '{other}' WHERE id = 1", app.org);
        app.run(&written);
        assert_eq!(
            (app.text(ledger), text(&mut second, ledger)),
            ("3".into(), "1 2 4".into()),
            "{kind}"
        );
        assert_eq!(app.drift("customers"), "", "{kind}");
        assert_eq!(
            text(
                &mut second,
                "SELECT count(*) FROM sync_verify('woocommerce', 'customers')"
            ),
            "0",
            "{kind}"
        );
        // one leaves, the other stays
        app.run("SELECT sync_unbind('customers')");
        app.run("UPDATE contacts SET label = 'new' WHERE id = 2");
        assert_eq!(
            text(
                &mut second,
                "SELECT count(*) FROM sync_verify('woocommerce', 'customers')"
            ),
            "0",
            "{kind}"
        );
        assert_eq!(
            sqlstate(app.sql.batch_execute(&bind("contacts", ""))),
            "42501",
            "{kind}"
        );
    }
}

#[test]
fn cascades_that_write_a_row_twice_go_on_where_the_binder_can_not_be_asked() {
    let mut app = Bound::new(
        "CREATE TABLE place (name text PRIMARY KEY);
         CREATE TABLE people (n int PRIMARY KEY, mail text, home text REFERENCES place ON UPDATE CASCADE,
                              work text REFERENCES place ON UPDATE CASCADE);
         INSERT INTO place VALUES ('a'), ('b'); INSERT INTO people VALUES (1, 'a@example.com', 'a', 'b'), (2, 'b@example.com', 'b', 'b')",
    );
    app.run(
        "SELECT sync_bind('customers', 'people', '{\"email\": \"mail\", \"billing_city\": \"home\", \"shipping_city\": \"work\"}', '{n}')",
    );
    app.run("UPDATE place SET name = name || '1'");
    assert_eq!(app.drift("customers"), "");
    let role = app.role.clone();
    app.root
        .batch_execute(&format!("SELECT sync_revoke('{role}', '{}')", app.org))
        .unwrap();
    app.root
        .batch_execute("UPDATE crm.place SET name = name || '2'")
        .unwrap();
    assert_eq!(
        text(
            &mut app.root,
            "SELECT string_agg(home || work, ' ' ORDER BY n) FROM crm.people"
        ),
        "a12b12 b12b12"
    );
    let broken = "SELECT broken FROM sync_layout WHERE bound_by IS NOT NULL";
    let broken = text(&mut app.root, broken);
    assert!(broken.starts_with("it could not be read: "), "{broken}");
}
