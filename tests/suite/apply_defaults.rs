//! What a column holds of its own where the remote has nothing.

use serde_json::json;

use crate::bound::{text, Bound};

const TABLE: &str = "
CREATE SEQUENCE numbers;
CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text, label text,
    phone text NOT NULL DEFAULT '', city varchar(20) DEFAULT 'Springfield', zip text DEFAULT upper('x') || '1',
    login text NOT NULL DEFAULT 'u' || nextval('numbers'), first text);
INSERT INTO people (mail, label, phone, city, zip, login, first)
VALUES ('a@example.com', 'A', '1', 'Shelbyville', '9', 'mine', 'Ada')";
const COLUMNS: &str = r#"'{"email": "mail", "name": "label", "billing_phone": "phone", "billing_city": "city", "billing_postcode": "zip",
    "username": "login", "first_name": "first"}'"#;

fn apply(app: &mut Bound) -> String {
    app.text(
        "SELECT concat_ws(' ', a ->> 'created', a ->> 'updated', a ->> 'failed') FROM sync_apply('woocommerce', 'customers') a",
    )
}

fn rows(app: &mut Bound) -> String {
    app.text("SELECT string_agg(concat_ws(',', label, phone, city, zip, login, first), ' | ' ORDER BY id) FROM people")
}

#[test]
fn a_default_stays_where_the_remote_has_nothing() {
    for tracking in ["trigger", "scan"] {
        let mut app = Bound::new(TABLE);
        app.run(&format!(
            "SELECT sync_bind('customers', 'people', {COLUMNS}, '{{id}}', '{tracking}')"
        ));
        app.remote(&json!([{"id": "1", "email": "a@example.com", "name": "B"}, {"id": "2", "email": "n@example.com", "name": "N"}]));
        assert_eq!(apply(&mut app), "1 1 0", "{tracking}");
        // emptied is what has no default; a constant comes back, and what is made anew each time is left
        assert_eq!(rows(&mut app), "B,,Springfield,9,mine | N,,Springfield,X1,u1");
        assert_eq!(
            (apply(&mut app).as_str(), app.delta("customers")),
            ("0 0 0", String::new())
        );
        app.remote(
            &json!([{"id": "2", "email": "n@example.com", "name": "M", "billing_city": "Ogdenville"}]),
        );
        assert_eq!(apply(&mut app), "0 1 0", "{tracking}");
        assert_eq!(rows(&mut app), "B,,Springfield,9,mine | M,,Ogdenville,X1,u1");
        app.remote(&json!([{"id": "2", "email": "n@example.com", "name": "M"}]));
        assert_eq!(apply(&mut app), "0 1 0", "{tracking}");
        assert_eq!(rows(&mut app), "B,,Springfield,9,mine | M,,Springfield,X1,u1");
        assert_eq!(
            (app.delta("customers"), app.drift("customers")),
            Default::default()
        );
        assert_eq!(text(&mut app.root, "SELECT last_value FROM crm.numbers"), "1");
    }
}

#[test]
fn what_a_table_computes_itself_is_compared_and_never_written() {
    let mut app = Bound::new(
        "CREATE TABLE people (code text PRIMARY KEY DEFAULT gen_random_uuid(), mail text, first text,
             label text GENERATED ALWAYS AS ('Mx ' || first) STORED, number int GENERATED ALWAYS AS IDENTITY);
         INSERT INTO people (mail, first) VALUES ('a@example.com', 'Ada'), ('b@example.com', 'Bo')",
    );
    app.run(
        r#"SELECT sync_bind('customers', 'people', '{"email": "mail", "first_name": "first", "name": "label", "billing_phone": "number"}', '{code}')"#,
    );
    app.remote(&json!([
        {"id": "1", "email": "a@example.com", "first_name": "Eve", "name": "Mx Eve", "billing_phone": "1"},
        {"id": "2", "email": "b@example.com", "first_name": "Bo", "name": "Another", "billing_phone": "7"},
        {"id": "3", "email": "c@example.com", "first_name": "Cy", "name": "Mx Cy", "billing_phone": "9"}]));
    assert_eq!(
        app.text("SELECT string_agg(change || external_id, ' ' ORDER BY external_id) FROM compute_delta('woocommerce', 'customers')"),
        "updated1 updated2 new3"
    );
    assert_eq!(apply(&mut app), "1 2 0");
    let rows = "SELECT string_agg(concat_ws(',', first, label, number), ' | ' ORDER BY mail) FROM people";
    assert_eq!(app.text(rows), "Eve,Mx Eve,1 | Bo,Mx Bo,2 | Cy,Mx Cy,9");
    // where the table says otherwise, it has the last word, and that is told
    let told =
        "SELECT metadata #> '{warnings,0,fields,name}' FROM sync_history ORDER BY created_at DESC LIMIT 1";
    assert_eq!(app.text(told), r#"{"held": "Mx Bo", "sent": "Another"}"#);
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        Default::default()
    );
    // a column that is numbered from now on keeps its place
    app.run("ALTER TABLE people ALTER number DROP IDENTITY");
    app.remote(&json!([{"id": "1", "email": "a@example.com", "first_name": "Eve", "name": "Mx Eve", "billing_phone": "5"}]));
    assert_eq!(apply(&mut app), "0 1 0");
    app.run("ALTER TABLE people ALTER number ADD GENERATED ALWAYS AS IDENTITY");
    app.remote(&json!([{"id": "1", "email": "a@example.com", "first_name": "Al", "name": "Mx Al", "billing_phone": "6"}]));
    assert_eq!(apply(&mut app), "0 1 0");
    assert_eq!(app.text(rows), "Al,Mx Al,5 | Bo,Mx Bo,2 | Cy,Mx Cy,9");
    // and all of it is undone
    app.run("SELECT sync_undo(id) FROM sync_history WHERE metadata ->> 'operation' = 'apply' ORDER BY created_at DESC LIMIT 1");
    assert_eq!(app.text(rows), "Eve,Mx Eve,5 | Bo,Mx Bo,2 | Cy,Mx Cy,9");
}
