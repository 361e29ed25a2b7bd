//! JSON that is nested deeper than anybody reads.

use serde_json::{json, Value};
use sync_ext_tests::sqlstate;
use sync_sandbox::{ListFault, Version};

use crate::apply::{apply, counted, left};
use crate::shop::Shop;

/// Deeper than serde_json reads, and Postgres doesn't mind.
fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn a_local_row_of_any_depth_is_compared_like_the_others() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    apply(&mut shop, "customers");
    let deepen = format!(
        "UPDATE sync_customers SET custom = '{{\"a\": {}}}', phone = 'mine'
         WHERE id = (SELECT min(id::text)::uuid FROM sync_customers)",
        nested(500)
    );
    assert_eq!(shop.sql.execute(&deepen, &[]).unwrap(), 1);
    assert_eq!(left(&mut shop, "customers"), [0, 1, 0]);
    assert_eq!(shop.delta("customers").len(), 1);
    let detected = shop.ask(
        "SELECT detect_customer_delta($1) || jsonb_build_object('of', $2::text)",
        "customers",
    );
    let fields = &detected["delta"]["updated"]["records"][0]["changedFields"];
    assert_eq!(fields["phone"]["old"], "mine", "{detected}");
    shop.assert_verified("customers");
    assert_eq!(counted(&apply(&mut shop, "customers")), [0, 1, 0, 0]);
    assert_eq!(left(&mut shop, "customers"), [0, 0, 0]);
}

#[test]
fn a_compared_column_of_any_depth_stands_for_itself_and_is_overwritten() {
    for tracking in ["trigger", "scan"] {
        let mut shop = Shop::new(Version::V11);
        let role: String = shop
            .sql
            .query_one("SELECT current_user::text", &[])
            .unwrap()
            .get(0);
        shop.root
            .batch_execute(&format!(
                "CREATE TABLE app_goods (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org uuid, code text, tags jsonb);
                 ALTER TABLE app_goods OWNER TO {role}"
            ))
            .unwrap();
        shop.sql
            .execute(
                "SELECT sync_bind('products', 'app_goods', '{\"sku\": \"code\", \"tags\": \"tags\"}', '{id}',
                                  tracking => $1, org_column => 'org')",
                &[&tracking],
            )
            .unwrap();
        shop.pull("products");
        apply(&mut shop, "products");
        let deepen = format!(
            "UPDATE app_goods SET tags = '{}' WHERE id = (SELECT min(id) FROM app_goods)",
            nested(500)
        );
        assert_eq!(shop.sql.execute(&deepen, &[]).unwrap(), 1);
        assert_eq!(left(&mut shop, "products"), [0, 1, 0], "{tracking}");
        shop.assert_verified("products");
        assert_eq!(counted(&apply(&mut shop, "products")), [0, 1, 0, 0]);
        assert_eq!(left(&mut shop, "products"), [0, 0, 0]);
    }
}

#[test]
fn what_a_call_is_given_may_be_nested_64_levels_deep() {
    let mut shop = Shop::new(Version::V11);
    let deep = |levels: usize| format!("{{\"custom\": {}}}", nested(levels - 1));
    let print = |levels| format!("SELECT sync_fingerprint('customers', '{}')", deep(levels));
    assert_eq!(shop.sql.simple_query(&print(64)).unwrap().len(), 3);
    for levels in [65, 5000] {
        for call in [
            print(levels),
            format!(
                "SELECT sync_connector_entities('woocommerce', '{}')",
                deep(levels)
            ),
            format!(
                "SELECT sync_ingest_webhook('woocommerce', '{}', '')",
                deep(levels)
            ),
            format!(
                "SELECT sync_connect('woocommerce', 'http://127.0.0.1:1', '{{}}', settings => '{}')",
                deep(levels)
            ),
            format!(
                "SELECT sync_connect('woocommerce', 'http://127.0.0.1:1', '{}')",
                deep(levels)
            ),
        ] {
            assert_eq!(sqlstate(shop.sql.simple_query(&call)), "22023", "{}", &call[..40]);
        }
    }
}

#[test]
fn an_item_that_is_nested_too_deep_fails_alone() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    apply(&mut shop, "customers");
    shop.root
        .batch_execute(&format!(
            "UPDATE sync_customers SET custom = '{}' WHERE id = (SELECT min(id::text)::uuid FROM sync_customers)",
            nested(300)
        ))
        .unwrap();
    shop.sql
        .batch_execute(
            "INSERT INTO sync_list (item_type, source_platform, target_platform, source_id)
             SELECT 'customers', 'local', 'woocommerce', id::text FROM (SELECT id FROM sync_customers ORDER BY id::text LIMIT 3) c",
        )
        .unwrap();
    let done: Value = shop.sql.query_one("SELECT sync_full()", &[]).unwrap().get(0);
    let failed = "SELECT count(*) FROM sync_list WHERE last_sync_status = 'failed'";
    assert_eq!(shop.number(failed), 1, "{done}");
    let why = "SELECT count(*) FROM sync_list WHERE error_message LIKE '%nested deeper than 64 levels%'";
    assert_eq!(shop.number(why), 1);
    assert_eq!(done["itemsFailed"], 1, "{done}");
}

#[test]
fn a_remote_record_that_is_nested_too_deep_is_named_and_kept() {
    // the first is read by serde_json, and the second is not
    for levels in [70, 400] {
        let mut shop = Shop::new(Version::V11);
        shop.pull("customers");
        apply(&mut shop, "customers");
        let ids = shop.listed("customers");
        let (deep, other) = (ids[5], ids[8]);
        for id in [deep, other] {
            shop.change(json!({"op": "edit", "entity": "customers", "id": id, "set": {"first_name": "Zoë"}}));
        }
        let value = (0..levels).fold(json!(1), |inner, _| json!([inner]));
        shop.lie(
            "customers",
            ListFault::Set {
                ids: vec![deep],
                field: "meta_data".to_owned(),
                value: json!([{"id": 1, "key": "deep", "value": value}]),
            },
        );
        let pulled = shop.pull("customers");
        assert_eq!(
            (&pulled["status"], &pulled["unreadable"], &pulled["deleted"]),
            (&json!("partial"), &json!(1), &json!(0)),
            "{levels} {pulled}"
        );
        let warning = pulled["warnings"][0].as_str().unwrap();
        assert!(
            warning.contains(&deep.to_string()) && warning.contains("64 levels"),
            "{warning}"
        );
        assert_eq!(
            shop.delta("customers").keys().collect::<Vec<_>>(),
            [&other.to_string()]
        );
        shop.sandbox.clear_faults(None);
        shop.pull("customers");
        shop.assert_mirrored("customers");
    }
}
