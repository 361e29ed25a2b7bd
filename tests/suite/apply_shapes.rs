//! Applying to tables whose names, types, keys and errors are of the app's own making.

use serde_json::{json, Value};
use sync_sandbox::Version;

use crate::apply::{apply, counted, left};
use crate::apply_bound::bound_by;
use crate::shop::{small, Shop};

fn bound(table: &str, columns: &str) -> Shop {
    bound_by(small(Version::V11), table, columns)
}

fn edit(shop: &mut Shop, id: u64, set: Value) {
    shop.change(json!({ "op": "edit", "entity": "customers", "id": id, "set": set }));
}

/// Named as what the statements that write it call their own rows and arguments.
const NAMES: &str = "CREATE TABLE app_clients (
    o bigint GENERATED ALWAYS AS IDENTITY, org uuid, n varchar(60), u text, data char(2), id text, image text DEFAULT 'kept', print int,
    ids int, records int, fields int, op text, x int, r int, k int, PRIMARY KEY (o))";

#[test]
fn columns_may_be_called_anything_and_fixed_lengths_are_not_cut() {
    let mut shop = bound(
        NAMES,
        r#"{"email": "n", "first_name": "u", "billing_country": "data", "username": "id"} o"#,
    );
    let [first, second, third, ..] = shop.listed("customers")[..] else {
        panic!("no customers");
    };
    edit(&mut shop, first, json!({ "billing.country": "DE" }));
    shop.pull("customers");
    let [new, ..] = left(&mut shop, "customers");
    let done = apply(&mut shop, "customers");
    assert_eq!(
        (counted(&done), &done["unequal"]),
        ([new, 0, 0, 0], &json!(0)),
        "{done}"
    );
    assert!(shop.number("SELECT count(*) FROM app_clients WHERE data = 'DE' AND image = 'kept'") > 0);
    assert_eq!(
        shop.number("SELECT count(*) FROM app_clients WHERE length(data) = 1"),
        0
    );

    let before = "SELECT string_agg(c::text, ';' ORDER BY o) FROM app_clients c";
    let rows: String = shop.sql.query_one(before, &[]).unwrap().get(0);
    edit(
        &mut shop,
        second,
        json!({ "first_name": "Renamed", "billing.country": "FR" }),
    );
    shop.change(json!({ "op": "delete", "entity": "customers", "ids": [third] }));
    shop.pull("customers");
    let done: Value = shop
        .sql
        .query_one(
            "SELECT sync_apply('woocommerce', 'customers', include_deleted => true)",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(counted(&done), [0, 1, 1, 0], "{done}");
    assert_eq!(
        shop.number("SELECT count(*) FROM app_clients WHERE u = 'Renamed' AND data = 'FR'"),
        1
    );
    shop.sql
        .execute("SELECT sync_undo(($1::jsonb ->> 'historyId')::uuid)", &[&done])
        .unwrap();
    assert_eq!(shop.sql.query_one(before, &[]).unwrap().get::<_, String>(0), rows);
}

const SHORT: &str = "CREATE DOMAIN short AS varchar(5); CREATE DOMAIN shorter AS short CHECK (VALUE <> 'never');
    CREATE TABLE app_clients (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org uuid, mail text, given short, family shorter)";

#[test]
fn what_is_too_long_for_a_domain_is_refused_and_not_cut() {
    let columns = r#"{"email": "mail", "first_name": "given", "last_name": "family"} id"#;
    let mut shop = bound(SHORT, columns);
    let ids = shop.listed("customers");
    for id in &ids {
        edit(&mut shop, *id, json!({ "first_name": "Ann", "last_name": "Lee" }));
    }
    edit(&mut shop, ids[1], json!({ "first_name": "Annette" }));
    edit(&mut shop, ids[2], json!({ "last_name": "Leeuwen" }));
    edit(&mut shop, ids[3], json!({ "last_name": "never" }));
    shop.pull("customers");
    let done = apply(&mut shop, "customers");
    assert_eq!(done["unequal"], 0, "{done}");
    let told = "SELECT string_agg(external_id || ' ' || sqlstate, ', ' ORDER BY external_id::int) FROM sync_apply_failure";
    let told: String = shop.sql.query_one(told, &[]).unwrap().get(0);
    assert_eq!(
        told,
        format!("{} 22001, {} 22001, {} 23514", ids[1], ids[2], ids[3])
    );
}

#[test]
fn a_table_that_gives_new_rows_no_key_says_so() {
    let table = "CREATE TABLE app_clients (id int PRIMARY KEY, org uuid, mail text)";
    let mut shop = bound(table, r#"{"email": "mail"} id"#);
    shop.pull("customers");
    let error = shop
        .sql
        .query_one("SELECT sync_apply('woocommerce', 'customers')", &[])
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "55000", "{error:?}");
    assert_eq!(error.message(), "a new row of public.app_clients can't get a key");
}

/// One trigger that refuses at once, and one at the end, both with codes that Postgres doesn't know.
const OWN_CODES: &str = "CREATE TABLE app_clients (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org uuid, mail text, given text);
    CREATE FUNCTION opinion() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.given = TG_ARGV[0] THEN RAISE EXCEPTION 'no %', NEW.given USING ERRCODE = TG_ARGV[1]; END IF;
        RETURN NEW; END $$;
    CREATE TRIGGER early BEFORE INSERT OR UPDATE ON app_clients FOR EACH ROW EXECUTE FUNCTION opinion('early', 'P0042');
    CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON app_clients DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION opinion('late', '22999')";

#[test]
fn errors_with_codes_of_the_apps_own_are_one_records_like_any_other() {
    let mut shop = bound(OWN_CODES, r#"{"email": "mail", "first_name": "given"} id"#);
    let ids = shop.listed("customers");
    edit(&mut shop, ids[3], json!({ "first_name": "early" }));
    edit(&mut shop, ids[5], json!({ "first_name": "late" }));
    shop.pull("customers");
    let [new, ..] = left(&mut shop, "customers");
    let done = apply(&mut shop, "customers");
    assert_eq!(counted(&done), [new - 2, 0, 0, 2], "{done}");
    let told = "SELECT string_agg(concat_ws(' ', external_id, sqlstate, message), '; ' ORDER BY external_id::int) FROM sync_apply_failure";
    let told: String = shop.sql.query_one(told, &[]).unwrap().get(0);
    assert_eq!(
        told,
        format!("{} P0042 no early; {} 22999 no late", ids[3], ids[5])
    );
}
