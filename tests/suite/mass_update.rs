//! Many updates at once, or a field that most of them lose: more likely an accident than work.

use serde_json::{json, Value};
use sync_sandbox::{Config, Version};

use crate::apply::{apply, counted};
use crate::shop::{small, Shop};

const CALL: &str = "SELECT sync_apply('woocommerce', 'customers'";

/// A shop whose customers have been applied; their ids.
fn applied(customers: u32) -> (Shop, Vec<u64>) {
    let config = Config {
        customers,
        ..small(Version::V11)
    };
    let mut shop = Shop::with(config, json!({}));
    shop.pull("customers");
    apply(&mut shop, "customers");
    // of which each has what is going to be emptied
    let named = "SELECT external_id FROM sync_record WHERE remote ->> 'first_name' <> '' ORDER BY id";
    let rows = shop.root.query(named, &[]).unwrap();
    let ids = rows.iter().map(|row| row.get::<_, String>(0).parse().unwrap());
    let ids = ids.collect();
    (shop, ids)
}

fn all(shop: &mut Shop) -> usize {
    shop.number("SELECT count(*) FROM sync_customers") as usize
}

fn edit(shop: &mut Shop, ids: &[u64], field: &str, value: &str) {
    for id in ids {
        shop.change(
            json!({"op": "edit", "entity": "customers", "id": id, "set": {field: format!("{value}{id}")}}),
        );
    }
}

/// Empties a field that all of them hold something in.
fn empty(shop: &mut Shop, ids: &[u64], field: &str) {
    for id in ids {
        shop.change(json!({"op": "edit", "entity": "customers", "id": id, "set": {field: ""}}));
    }
}

#[track_caller]
fn refused(shop: &mut Shop, arguments: &str) -> String {
    let error = shop
        .sql
        .query_one(&format!("{CALL}{arguments})"), &[])
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "23514", "{error:?}");
    assert!(error.hint().unwrap().contains("allow_mass_update"), "{error:?}");
    error.detail().unwrap().to_owned()
}

fn updated(preview: &Value) -> &Value {
    &preview["delta"]["updated"]
}

#[test]
fn more_updates_than_half_are_marked_and_only_applied_where_told_to() {
    let (mut shop, ids) = applied(150);
    let half = all(&mut shop) / 2;
    edit(&mut shop, &ids[..half], "last_name", "Renamed ");
    let preview = shop.fresh_preview("customers");
    assert_eq!(updated(&preview)["count"], half);
    assert_eq!(updated(&preview)["massUpdate"], Value::Null);

    edit(&mut shop, &ids[half..half + 3], "last_name", "Renamed ");
    let preview = shop.fresh_preview("customers");
    assert_eq!(updated(&preview)["massUpdate"], true);
    assert_eq!(updated(&preview)["emptied"], Value::Null);
    let detected = shop.ask(
        "SELECT detect_customer_delta($1) || jsonb_build_object('of', $2::text)",
        "customers",
    );
    assert_eq!(updated(&detected)["massUpdate"], true);

    let id = preview["previewId"].as_str().unwrap();
    for arguments in [
        "".to_owned(),
        ", dry_run => true".to_owned(),
        ", allow_mass_delete => true".to_owned(),
        format!(", preview_id => '{id}'"),
    ] {
        let told = refused(&mut shop, &arguments);
        assert!(told.contains("sync_ext.mass_update_percent"), "{told}");
    }
    let none = "SELECT count(*) FROM sync_customers WHERE last_name LIKE 'Renamed %'";
    assert_eq!(shop.number(none), 0);
    let left_out = shop.ask("SELECT sync_apply($1, $2, include_updated => false)", "customers");
    assert_eq!(counted(&left_out), [0, 0, 0, 0]);
    let done = shop.ask(
        "SELECT sync_apply($1, $2, allow_mass_update => true)",
        "customers",
    );
    assert_eq!(counted(&done), [0, half as i64 + 3, 0, 0]);
}

#[test]
fn how_many_are_too_many_is_the_superusers_to_say() {
    let (mut shop, ids) = applied(120);
    edit(&mut shop, &ids[..15], "last_name", "Renamed ");
    shop.pull("customers");
    let denied = shop
        .sql
        .batch_execute("SET sync_ext.mass_update_percent = 100")
        .unwrap_err();
    assert_eq!(denied.code().unwrap().code(), "42501");
    shop.db.set("sync_ext.mass_update_percent", "10");
    let told = refused(&mut shop, "");
    assert!(told.contains("10 %"), "{told}");
}

#[test]
fn of_a_few_records_most_may_well_have_been_edited() {
    let (mut shop, ids) = applied(60);
    edit(&mut shop, &ids, "last_name", "Renamed ");
    empty(&mut shop, &ids, "first_name");
    let preview = shop.fresh_preview("customers");
    assert_eq!(updated(&preview)["massUpdate"], Value::Null);
    assert_eq!(updated(&preview)["emptied"], json!({"first_name": ids.len()}));
    assert_eq!(counted(&apply(&mut shop, "customers"))[1], ids.len() as i64);
}

#[test]
fn a_field_that_most_changed_records_lose_is_named() {
    let (mut shop, ids) = applied(600);
    edit(&mut shop, &ids[100..140], "last_name", "Renamed ");
    empty(&mut shop, &ids[..120], "first_name");
    let preview = shop.fresh_preview("customers");
    // less than half of all, but 120 lose what they had
    assert_eq!(updated(&preview)["count"], 140);
    assert_eq!(updated(&preview)["emptied"], json!({"first_name": 120}));
    assert_eq!(updated(&preview)["massUpdate"], true);
    let told = refused(&mut shop, "");
    assert!(told.contains("first_name") && told.contains("120"), "{told}");
    let done = shop.ask(
        "SELECT sync_apply($1, $2, allow_mass_update => true)",
        "customers",
    );
    assert_eq!(counted(&done), [0, 140, 0, 0]);
}

/// More than what is looked at first: the numbers are those of all.
#[test]
fn emptied_fields_are_counted_over_all_changed_records() {
    let (mut shop, _) = applied(3500);
    shop.root
        .batch_execute(
            "UPDATE sync_customers SET phone = 'P' || email, company = 'Company', last_name = last_name || '!'",
        )
        .unwrap();
    let preview = shop.fresh_preview("customers");
    assert_eq!(updated(&preview)["count"], all(&mut shop));
    let mut without = |field: &str| {
        shop.root
            .query_one(
                "SELECT count(*) FROM sync_record WHERE coalesce(remote ->> $1, '') = ''",
                &[&field],
            )
            .unwrap()
            .get::<_, i64>(0)
    };
    let expected = json!({"phone": without("phone"), "company": without("company")});
    assert_eq!(updated(&preview)["emptied"], expected);
}
