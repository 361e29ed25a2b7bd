//! Applying what the preview showed.

use serde_json::{json, Value};
use sync_sandbox::Version;

use crate::shop::{Shop, ENTITIES};

/// Counts of a reply: created, updated, deleted, failed.
pub fn counted(done: &Value) -> [i64; 4] {
    ["created", "updated", "deleted", "failed"].map(|name| {
        done[name]
            .as_i64()
            .unwrap_or_else(|| panic!("no {name} in {done}"))
    })
}

/// What a fresh preview says is left: new, updated, deleted.
pub fn left(shop: &mut Shop, entity: &str) -> [i64; 3] {
    let preview = shop.fresh_preview(entity);
    ["new", "updated", "deleted"].map(|class| preview["delta"][class]["count"].as_i64().unwrap())
}

#[track_caller]
pub fn apply(shop: &mut Shop, entity: &str) -> Value {
    shop.ask("SELECT sync_apply($1, $2)", entity)
}

/// The customers' rows as they are, in full.
fn rows(shop: &mut Shop) -> Vec<String> {
    let org = shop.org;
    let rows = shop.root.query(
        "SELECT c::text FROM sync_customers c WHERE org_id = $1 ORDER BY id",
        &[&org],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn what_a_preview_shows_is_applied_and_then_nothing_is_left() {
    for version in [Version::V8, Version::V11] {
        let mut shop = Shop::new(version);
        for entity in ENTITIES {
            let [new, ..] = left(&mut shop, entity);
            assert!(new > 0);
            let done = apply(&mut shop, entity);
            assert_eq!(done["status"], "completed", "{done}");
            assert_eq!(counted(&done), [new, 0, 0, 0]);
            assert_eq!(done["unequal"], 0, "{done}");
            assert_eq!(left(&mut shop, entity), [0, 0, 0]);
            shop.assert_mirrored(entity);
            assert_eq!(shop.number(&format!("SELECT count(*) FROM sync_{entity}")), new);
        }
    }
}

#[test]
fn all_entity_types_are_applied_in_one_call() {
    let mut shop = Shop::new(Version::V11);
    shop.sql.execute("SELECT sync_all('woocommerce')", &[]).unwrap();
    let done: Value = shop
        .sql
        .query_one("SELECT sync_apply('woocommerce', 'all')", &[])
        .unwrap()
        .get(0);
    assert_eq!(done["status"], "completed", "{done}");
    for entity in ENTITIES {
        assert!(done["entityTypes"][entity]["created"].as_i64() > Some(0));
        assert!(shop.delta(entity).is_empty());
    }
}

#[test]
fn only_what_differs_is_written() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    apply(&mut shop, "customers");
    let before = rows(&mut shop);
    let ids = shop.listed("customers");
    shop.change(json!({"op": "edit", "entity": "customers", "id": ids[2], "set": {"first_name": "Renamed"}}));
    shop.change(
        json!({"op": "edit", "entity": "customers", "id": ids[5], "set": {"billing.city": "Elsewhere"}}),
    );
    shop.change(json!({"op": "create", "entity": "customers"}));
    shop.change(json!({"op": "delete", "entity": "customers", "ids": [ids[7]]}));
    shop.pull("customers");
    let done = shop.ask("SELECT sync_apply($1, $2, include_deleted => true)", "customers");
    assert_eq!(counted(&done), [1, 2, 1, 0]);
    let after = rows(&mut shop);
    let same = after.iter().filter(|row| before.contains(row)).count();
    assert_eq!((before.len() - same, after.len() - same), (3, 3));
    assert_eq!(left(&mut shop, "customers"), [0, 0, 0]);
    shop.assert_mirrored("customers");
    assert_eq!(counted(&apply(&mut shop, "customers")), [0, 0, 0, 0]);
    assert_eq!(rows(&mut shop), after);
}

#[test]
fn what_is_applied_follows_the_arguments_else_the_selection() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    shop.ask(
        "SELECT sync_select($2, include_new => false) || jsonb_build_object('of', $1::text)",
        "customers",
    );
    assert_eq!(counted(&apply(&mut shop, "customers")), [0, 0, 0, 0]);
    let done = shop.ask("SELECT sync_apply($1, $2, include_new => true)", "customers");
    assert_eq!(counted(&done)[0], shop.listed("customers").len() as i64);
    let gone = shop.listed("customers")[0];
    shop.change(json!({"op": "delete", "entity": "customers", "ids": [gone]}));
    shop.pull("customers");
    assert_eq!(counted(&apply(&mut shop, "customers")), [0, 0, 0, 0]);
    let done = shop.ask("SELECT sync_apply($1, $2, include_deleted => true)", "customers");
    assert_eq!(counted(&done), [0, 0, 1, 0]);
}

#[test]
fn an_emptied_shop_deletes_nothing_unless_told_to_and_an_undo_brings_all_back() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    apply(&mut shop, "customers");
    let before = rows(&mut shop);
    let all = shop.listed("customers");
    shop.change(json!({"op": "delete", "entity": "customers", "ids": all}));
    let preview = shop.fresh_preview("customers");
    assert_eq!(preview["delta"]["deleted"]["massDelete"], true);
    let call = "SELECT sync_apply('woocommerce', 'customers', include_deleted => true)";
    let refused = shop.sql.query_one(call, &[]).unwrap_err();
    let refused = refused.as_db_error().unwrap();
    assert_eq!(refused.code().code(), "23514");
    assert!(refused.hint().unwrap().contains("allow_mass_delete"));
    assert_eq!(rows(&mut shop), before);

    let done = shop.ask(
        "SELECT sync_apply($1, $2, include_deleted => true, allow_mass_delete => true)",
        "customers",
    );
    assert_eq!(counted(&done), [0, 0, before.len() as i64, 0]);
    assert!(rows(&mut shop).is_empty());
    let undone: Value = shop
        .sql
        .query_one("SELECT sync_undo(($1::jsonb ->> 'historyId')::uuid)", &[&done])
        .unwrap()
        .get(0);
    assert_eq!(
        (&undone["restored"], &undone["refused"]),
        (&json!(before.len()), &json!(0))
    );
    assert_eq!(rows(&mut shop), before);
    shop.assert_mirrored("customers");
    // still gone over there: the deletions are pending again
    assert_eq!(left(&mut shop, "customers"), [0, 0, before.len() as i64]);
}

#[test]
fn an_undo_restores_what_nobody_has_touched_since_and_tells_the_rest() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    let first = apply(&mut shop, "customers");
    let ids = shop.listed("customers");
    let before = rows(&mut shop);
    for id in &ids[..3] {
        shop.change(json!({"op": "edit", "entity": "customers", "id": id, "set": {"last_name": "Changed"}}));
    }
    shop.pull("customers");
    let second = apply(&mut shop, "customers");
    assert_eq!(counted(&second), [0, 3, 0, 0]);
    let touched = "UPDATE sync_customers SET phone = 'mine' WHERE id = (SELECT min(id::text)::uuid FROM sync_customers WHERE last_name = 'Changed')";
    assert_eq!(shop.sql.execute(touched, &[]).unwrap(), 1);
    let undo = "SELECT sync_undo(($1::jsonb ->> 'historyId')::uuid)";
    let undone: Value = shop.sql.query_one(undo, &[&second]).unwrap().get(0);
    assert_eq!((&undone["restored"], &undone["refused"]), (&json!(2), &json!(1)));
    assert_eq!(undone["refusals"][0]["operation"], "update");
    let now = rows(&mut shop);
    assert_eq!(now.iter().filter(|row| !before.contains(row)).count(), 1);

    let again = shop.sql.query_one(undo, &[&second]).unwrap_err();
    assert_eq!(again.code().unwrap().code(), "55000");
    let undone: Value = shop.sql.query_one(undo, &[&first]).unwrap().get(0);
    assert_eq!(undone["status"], "partial_success");
    assert_eq!(rows(&mut shop).len() as i64, undone["refused"].as_i64().unwrap());
    shop.assert_mirrored("customers");
    let nothing = "SELECT sync_undo('00000000-0000-4000-8000-000000000000')";
    let unknown = shop.sql.query_one(nothing, &[]).unwrap_err();
    assert_eq!(unknown.code().unwrap().code(), "42704");
}

#[test]
fn an_apply_bound_to_a_preview_writes_exactly_that_or_nothing() {
    let mut shop = Shop::new(Version::V11);
    let bound =
        "SELECT sync_apply('woocommerce', 'customers', preview_id => ($1::jsonb ->> 'previewId')::uuid)";
    let shown = shop.fresh_preview("customers");
    // what comes later is not part of it
    let new = shop.change(json!({"op": "create", "entity": "customers"}));
    shop.pull("customers");
    let done: Value = shop.sql.query_one(bound, &[&shown]).unwrap().get(0);
    assert_eq!(done["created"], shown["delta"]["new"]["count"]);
    assert_eq!(left(&mut shop, "customers"), [1, 0, 0]);

    let ids = shop.listed("customers");
    shop.change(json!({"op": "edit", "entity": "customers", "id": ids[1], "set": {"last_name": "Once"}}));
    let shown = shop.fresh_preview("customers");
    let before = rows(&mut shop);
    shop.change(json!({"op": "edit", "entity": "customers", "id": ids[1], "set": {"last_name": "Twice"}}));
    shop.pull("customers");
    let moved = shop.sql.query_one(bound, &[&shown]).unwrap_err();
    let moved = moved.as_db_error().unwrap();
    assert_eq!(moved.code().code(), "40001");
    assert!(moved.detail().unwrap().contains(&ids[1].to_string()), "{moved:?}");
    assert_eq!(rows(&mut shop), before);

    // the other side moves as well
    let shown = shop.fresh_preview("customers");
    shop.sql
        .execute("UPDATE sync_customers SET last_name = 'Ours' WHERE id::text = (SELECT local_id FROM compute_delta('woocommerce', 'customers') WHERE change = 'updated')", &[])
        .unwrap();
    let moved = shop.sql.query_one(bound, &[&shown]).unwrap_err();
    assert_eq!(moved.code().unwrap().code(), "40001");
    let shown = shop.fresh_preview("customers");
    let done: Value = shop.sql.query_one(bound, &[&shown]).unwrap().get(0);
    assert_eq!(counted(&done), [1, 1, 0, 0]);
    assert!(shop.ledger("customers").contains_key(&new[0].to_string()));
    let stale = shop.sql.query_one(
        bound,
        &[&json!({"previewId": "00000000-0000-4000-8000-000000000000"})],
    );
    assert_eq!(stale.unwrap_err().code().unwrap().code(), "40001");
}

#[test]
fn a_trial_leaves_the_preview_that_it_tries() {
    let mut shop = Shop::new(Version::V11);
    let preview = shop.preview("customers");
    let trial = shop.ask("SELECT sync_apply($1, $2, dry_run => true)", "customers");
    assert_eq!(trial["created"], preview["delta"]["new"]["count"], "{trial}");
    let again = shop.preview("customers");
    assert_eq!(
        (&again["cacheHit"], &again["previewId"]),
        (&json!(true), &preview["previewId"])
    );
    let bound = format!(
        "SELECT sync_apply($1, $2, preview_id => '{}')",
        preview["previewId"].as_str().unwrap()
    );
    let done = shop.ask(&bound, "customers");
    assert_eq!(done["created"], trial["created"], "{done}");
    assert_eq!(shop.preview("customers")["cacheHit"], false);
}
