//! What a column makes of a value counts as that value, until either side changes.

use serde_json::{json, Value};
use sync_sandbox::Version;

use crate::apply::{apply, counted, left};
use crate::shop::{small, Shop};

const TABLE: &str = "CREATE TABLE app_goods (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org uuid, code text, title text, weight numeric(12, 2), sale_on date, sold_from timestamp(0))";
const COLUMNS: &str =
    r#"{"sku": "code", "name": "title", "weight": "weight", "sale_from": "sold_from", "sale_to": "sale_on"}"#;

/// A shop whose products go to a table of narrow types, and one of them that these can't hold.
fn narrow(tracking: &str) -> (Shop, u64) {
    let mut shop = Shop::with(small(Version::V11), json!({}));
    let role: String = shop
        .sql
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    shop.root
        .batch_execute(&format!("{TABLE}; ALTER TABLE app_goods OWNER TO {role}"))
        .unwrap();
    shop.sql
        .execute(
            "SELECT sync_bind('products', 'app_goods', $1::text::jsonb, '{id}', tracking => $2, org_column => 'org')",
            &[&COLUMNS, &tracking],
        )
        .unwrap();
    let id = shop.listed("products")[2];
    shop.change(json!({"op": "edit", "entity": "products", "id": id, "set": {"weight": "12.345"}}));
    shop.pull("products");
    (shop, id)
}

#[track_caller]
fn undo(shop: &mut Shop, done: &Value) -> Value {
    let call = "SELECT sync_undo(($1::jsonb ->> 'historyId')::uuid)";
    shop.sql.query_one(call, &[done]).unwrap().get(0)
}

#[test]
fn what_a_type_cannot_hold_is_a_warning_once_and_differs_no_more() {
    for tracking in ["trigger", "scan"] {
        let (mut shop, id) = narrow(tracking);
        let done = apply(&mut shop, "products");
        let warnings = done["warnings"].as_array().unwrap();
        let rounded = json!({"weight": {"sent": 12.345, "held": 12.35}});
        let told = warnings.iter().find(|w| w["externalId"] == json!(id.to_string()));
        assert_eq!(told.unwrap()["fields"], rounded, "{tracking}: {done}");
        assert_eq!(done["unequal"], json!(warnings.len()));
        let kept: Value = shop
            .sql
            .query_one("SELECT metadata -> 'warnings' FROM sync_history", &[])
            .unwrap()
            .get(0);
        assert_eq!(kept, done["warnings"]);
        assert_eq!(left(&mut shop, "products"), [0, 0, 0], "{tracking}");
        assert!(shop.delta("products").is_empty());
        shop.assert_verified("products");
        let again = apply(&mut shop, "products");
        assert_eq!((counted(&again), &again["warnings"]), ([0, 0, 0, 0], &json!([])));

        // another change of the record itself shows, and is written
        shop.change(json!({"op": "edit", "entity": "products", "id": id, "set": {"name": "Renamed"}}));
        shop.pull("products");
        assert_eq!(left(&mut shop, "products"), [0, 1, 0]);
        let second = apply(&mut shop, "products");
        assert_eq!((counted(&second), &second["unequal"]), ([0, 1, 0, 0], &json!(1)));
        assert_eq!(left(&mut shop, "products"), [0, 0, 0]);

        // taken back, it differs again
        undo(&mut shop, &second);
        assert_eq!(left(&mut shop, "products"), [0, 1, 0], "{tracking}");
        apply(&mut shop, "products");
        assert_eq!(left(&mut shop, "products"), [0, 0, 0]);
        shop.assert_verified("products");
    }
}

#[test]
fn a_change_of_the_local_value_shows() {
    let (mut shop, id) = narrow("trigger");
    apply(&mut shop, "products");
    let weigh = |shop: &mut Shop, weight: &str| {
        let sql = format!(
            "UPDATE app_goods SET weight = {weight} WHERE id = (SELECT local_id::bigint FROM sync_record WHERE external_id = '{id}')"
        );
        assert_eq!(shop.sql.execute(&sql, &[]).unwrap(), 1);
    };
    weigh(&mut shop, "12.34");
    assert_eq!(
        shop.delta("products").get(&id.to_string()).map(String::as_str),
        Some("updated")
    );
    // what was made of it then is what is made of it now
    weigh(&mut shop, "12.35");
    assert!(shop.delta("products").is_empty());
    weigh(&mut shop, "12.34");
    assert_eq!(counted(&apply(&mut shop, "products")), [0, 1, 0, 0]);
    assert!(shop.delta("products").is_empty());
    // the value that fits it is another one
    shop.change(json!({"op": "edit", "entity": "products", "id": id, "set": {"weight": "12.35"}}));
    shop.pull("products");
    assert!(shop.delta("products").is_empty());
    shop.change(json!({"op": "edit", "entity": "products", "id": id, "set": {"weight": "12.345"}}));
    shop.pull("products");
    assert!(shop.delta("products").is_empty());
}

#[test]
fn what_a_trigger_of_the_app_makes_of_a_value_counts_as_well() {
    let (mut shop, _) = narrow("trigger");
    shop.root
        .batch_execute(
            "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := upper(NEW.title); RETURN NEW; END $$;
             CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON app_goods FOR EACH ROW EXECUTE FUNCTION shout()",
        )
        .unwrap();
    let done = apply(&mut shop, "products");
    assert!(done["unequal"].as_i64() > Some(20), "{done}");
    assert_eq!(left(&mut shop, "products"), [0, 0, 0]);
    shop.assert_verified("products");
}
