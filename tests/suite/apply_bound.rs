//! Applying to a table of the app's own, which has its own opinion.

use serde_json::{json, Value};
use sync_sandbox::{Config, Version};

use crate::apply::{apply, counted, left};
use crate::shop::{small, Shop};

const COLUMNS: &str = r#"{"email": "mail", "first_name": "given", "last_name": "family", "billing_city": "town", "is_active": "active"}"#;

fn bound(config: Config, table: &str) -> Shop {
    bound_by(config, table, &format!("{COLUMNS} id"))
}

/// A shop whose customers go to `app_clients`, owned by a role that is no superuser: columns as JSON, and the key column.
pub fn bound_by(config: Config, table: &str, columns_and_key: &str) -> Shop {
    let mut shop = Shop::with(config, json!({}));
    let role: String = shop
        .sql
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    shop.root
        .batch_execute(&format!(
            "CREATE TABLE towns (name text PRIMARY KEY); GRANT ALL ON towns TO {role};
             {table}; ALTER TABLE app_clients OWNER TO {role}"
        ))
        .unwrap();
    let (columns, key) = columns_and_key.rsplit_once(' ').unwrap();
    shop.sql
        .execute(
            "SELECT sync_bind('customers', 'app_clients', $1::text::jsonb, ARRAY[$2::text], org_column => 'org')",
            &[&columns, &key],
        )
        .unwrap();
    shop
}

const PLAIN: &str = "CREATE TABLE app_clients (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org uuid, mail varchar(60), given text, family text, town text,
    active boolean, points int NOT NULL DEFAULT 7, changed_at timestamptz DEFAULT now())";

#[test]
fn new_rows_get_their_keys_and_defaults_from_the_table() {
    let mut shop = bound(small(Version::V11), PLAIN);
    let [new, ..] = left(&mut shop, "customers");
    let done = apply(&mut shop, "customers");
    assert_eq!(
        (counted(&done), &done["unequal"]),
        ([new, 0, 0, 0], &json!(0)),
        "{done}"
    );
    assert_eq!(
        shop.number("SELECT count(*) FROM app_clients WHERE points = 7 AND id > 0"),
        new
    );
    assert_eq!(left(&mut shop, "customers"), [0, 0, 0]);
    shop.assert_mirrored("customers");
    assert_eq!(shop.number("SELECT count(*) FROM sync_customers"), 0);

    let id = shop.listed("customers")[4];
    shop.change(json!({"op": "edit", "entity": "customers", "id": id, "set": {"first_name": "Renamed", "billing.phone": "not bound"}}));
    shop.pull("customers");
    let done = apply(&mut shop, "customers");
    assert_eq!(counted(&done), [0, 1, 0, 0]);
    let undone: Value = shop
        .sql
        .query_one("SELECT sync_undo(($1::jsonb ->> 'historyId')::uuid)", &[&done])
        .unwrap()
        .get(0);
    assert_eq!(undone["restored"], 1);
    assert_eq!(
        shop.number("SELECT count(*) FROM app_clients WHERE given = 'Renamed'"),
        0
    );
}

/// Seven records that the table refuses, each for a reason of its own.
fn spoil(shop: &mut Shop) -> Vec<u64> {
    let ids: Vec<u64> = shop
        .listed("customers")
        .into_iter()
        .step_by(700)
        .take(7)
        .collect();
    let long = "x".repeat(70) + "@example.org";
    for (n, set) in [
        json!({"email": ""}),
        json!({"first_name": "forbidden"}),
        json!({"email": long}),
        json!({"first_name": "unique", "last_name": "twin"}),
        json!({"billing.city": "Nowhere"}),
        json!({"first_name": "trigger"}),
        json!({"first_name": "skipped"}),
    ]
    .into_iter()
    .enumerate()
    {
        shop.change(json!({"op": "edit", "entity": "customers", "id": ids[n], "set": set}));
    }
    ids
}

const STRICT: &str = "CREATE TABLE app_clients (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org uuid, mail varchar(60) NOT NULL, given text, family text, town text REFERENCES towns,
    active boolean, CHECK (given <> 'forbidden'));
    CREATE UNIQUE INDEX ON app_clients (family) WHERE given = 'unique';
    CREATE FUNCTION opinion() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.given = 'trigger' THEN RAISE EXCEPTION 'not this one'; END IF;
        IF NEW.given = 'skipped' THEN RETURN NULL; END IF;
        RETURN NEW; END $$;
    CREATE TRIGGER opinion BEFORE INSERT OR UPDATE ON app_clients FOR EACH ROW EXECUTE FUNCTION opinion();
    INSERT INTO app_clients (mail, given, family) VALUES ('first@example.org', 'unique', 'twin')";

#[test]
fn records_that_the_table_refuses_stand_alone_and_the_next_apply_brings_them() {
    let config = Config {
        customers: 5000,
        ..small(Version::V11)
    };
    let mut shop = bound(config, STRICT);
    let mut spoiled = spoil(&mut shop);
    shop.pull("customers");
    shop.root
        .batch_execute("INSERT INTO towns SELECT DISTINCT remote ->> 'billing_city' FROM sync_record WHERE remote ->> 'billing_city' <> 'Nowhere'")
        .unwrap();
    let [new, ..] = left(&mut shop, "customers");
    let trial = shop.ask("SELECT sync_apply($1, $2, dry_run => true)", "customers");
    assert_eq!(counted(&trial), [new - 7, 0, 0, 7]);
    assert_eq!(
        shop.number("SELECT count(*) FROM app_clients WHERE org IS NOT NULL"),
        0
    );
    assert_eq!(left(&mut shop, "customers")[0], new);

    let done = apply(&mut shop, "customers");
    assert_eq!(done["status"], "partial_success");
    assert_eq!(counted(&done), [new - 7, 0, 0, 7]);
    let named = |reply: &Value| {
        let mut all: Vec<(String, String)> = reply["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| {
                (
                    e["external_id"].as_str().unwrap().to_owned(),
                    e["sqlstate"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(named(&trial), named(&done));
    let mut states: Vec<String> = named(&done).into_iter().map(|(_, state)| state).collect();
    states.sort();
    assert_eq!(
        states,
        ["22001", "23502", "23503", "23505", "23514", "P0001", "P0001"]
    );
    let mut failed: Vec<u64> = named(&done).iter().map(|(id, _)| id.parse().unwrap()).collect();
    failed.sort_unstable();
    spoiled.sort_unstable();
    assert_eq!(failed, spoiled);
    assert_eq!(shop.number("SELECT count(*) FROM sync_apply_failure"), 7);
    let kept = shop.number("SELECT items_failed FROM sync_history WHERE metadata ->> 'operation' = 'apply'");
    assert_eq!(kept, 7);
    shop.assert_mirrored("customers");

    shop.root
        .batch_execute(
            "DROP TRIGGER opinion ON app_clients; ALTER TABLE app_clients DROP CONSTRAINT app_clients_given_check, DROP CONSTRAINT app_clients_town_fkey;
             ALTER TABLE app_clients ALTER mail DROP NOT NULL, ALTER mail TYPE varchar(90); DROP INDEX app_clients_family_idx",
        )
        .unwrap();
    let done = apply(&mut shop, "customers");
    assert_eq!(counted(&done), [7, 0, 0, 0], "{done}");
    assert_eq!(left(&mut shop, "customers"), [0, 0, 0]);
}

#[test]
fn the_table_is_written_with_the_binders_rights_only() {
    let mut shop = bound(small(Version::V11), PLAIN);
    shop.pull("customers");
    let role: String = shop
        .sql
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    shop.root
        .batch_execute(&format!(
            "ALTER TABLE app_clients OWNER TO postgres; REVOKE ALL ON app_clients FROM {role}; GRANT SELECT ON app_clients TO {role}"
        ))
        .unwrap();
    let refused = shop
        .try_ask("SELECT sync_apply($1, $2)", "customers")
        .unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42501");
    assert_eq!(shop.number("SELECT count(*) FROM app_clients"), 0);
    let status: String = shop
        .sql
        .query_one("SELECT status FROM sync_history", &[])
        .unwrap()
        .get(0);
    assert_eq!(status, "failed");
}

#[test]
fn a_soft_deleted_row_is_marked_and_comes_back() {
    let mut shop = bound(small(Version::V11), PLAIN);
    shop.sql
        .execute("ALTER TABLE app_clients ADD gone_at timestamptz", &[])
        .unwrap();
    shop.sql
        .execute(
            "SELECT sync_bind('customers', 'app_clients', $1::text::jsonb, '{id}', org_column => 'org', deleted_column => 'gone_at')",
            &[&COLUMNS],
        )
        .unwrap();
    shop.pull("customers");
    apply(&mut shop, "customers");
    let id = shop.listed("customers")[4];
    shop.change(json!({"op": "delete", "entity": "customers", "ids": [id]}));
    shop.pull("customers");
    let done = shop.ask("SELECT sync_apply($1, $2, include_deleted => true)", "customers");
    assert_eq!(counted(&done), [0, 0, 1, 0], "{done}");
    assert_eq!(
        shop.number("SELECT count(*) FROM app_clients WHERE gone_at IS NOT NULL"),
        1
    );
    assert_eq!(left(&mut shop, "customers"), [0, 0, 0]);
    shop.assert_mirrored("customers");
    shop.sql
        .query_one("SELECT sync_undo(($1::jsonb ->> 'historyId')::uuid)", &[&done])
        .unwrap();
    assert_eq!(
        shop.number("SELECT count(*) FROM app_clients WHERE gone_at IS NOT NULL"),
        0
    );
    assert_eq!(left(&mut shop, "customers"), [0, 0, 1]);
}

#[test]
fn a_view_that_takes_writes_is_applied_to_as_well() {
    let mut shop = bound(small(Version::V11), PLAIN);
    shop.sql.execute("SELECT sync_unbind('customers')", &[]).unwrap();
    let role: String = shop
        .sql
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    shop.root
        .batch_execute(&format!(
            "CREATE VIEW clients AS SELECT id, org, mail, given, family, town, active FROM app_clients; ALTER VIEW clients OWNER TO {role};
             ALTER TABLE app_clients ALTER id SET GENERATED BY DEFAULT; ALTER VIEW clients ALTER id SET DEFAULT nextval('app_clients_id_seq')"
        ))
        .unwrap();
    shop.sql
        .execute(
            "SELECT sync_bind('customers', 'clients', $1::text::jsonb, '{id}', tracking => 'scan', org_column => 'org')",
            &[&COLUMNS],
        )
        .unwrap();
    let [new, ..] = left(&mut shop, "customers");
    assert_eq!(counted(&apply(&mut shop, "customers")), [new, 0, 0, 0]);
    assert_eq!(left(&mut shop, "customers"), [0, 0, 0]);
    let id = shop.listed("customers")[4];
    shop.change(json!({"op": "edit", "entity": "customers", "id": id, "set": {"first_name": "Renamed"}}));
    shop.pull("customers");
    assert_eq!(counted(&apply(&mut shop, "customers")), [0, 1, 0, 0]);
    assert_eq!(
        shop.number("SELECT count(*) FROM app_clients WHERE given = 'Renamed'"),
        1
    );
    shop.assert_mirrored("customers");
}

/// Postgres tells with each failure what the row holds: of a wide table, more than a reply has room for.
#[test]
fn as_many_failures_are_shown_as_fit_into_the_reply() {
    let wide: Vec<String> = (0..40)
        .map(|n| format!("w{n} text DEFAULT repeat('x', 64)"))
        .collect();
    let table = format!(
        "{}, {}, CHECK (points < 0))",
        PLAIN.strip_suffix(')').unwrap(),
        wide.join(", ")
    );
    let mut shop = bound(small(Version::V11), &table);
    let [new, ..] = left(&mut shop, "customers");
    let done = apply(&mut shop, "customers");
    assert_eq!(counted(&done), [0, 0, 0, new], "{}", done["status"]);
    let shown = done["errors"].as_array().unwrap().len();
    assert!(shown > 5 && shown < 100, "{shown}");
    assert_eq!(shop.number("SELECT count(*) FROM sync_apply_failure"), new);
}
