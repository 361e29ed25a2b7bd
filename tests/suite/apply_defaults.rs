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
