//! Roles that were granted the rows of their user alone: patterns, sync lists and histories.

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::sqlstate;
use sync_sandbox::Version;
use uuid::Uuid;

use crate::contract_app::text;
use crate::shop::Shop;

const ITEM: &str =
    "INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customer', 'woocommerce'";

/// A shop, and a role of its organisation for what users do themselves.
struct Users {
    shop: Shop,
    role: String,
    customers: Vec<u64>,
}

impl Users {
    fn new() -> Users {
        let shop = Shop::new(Version::V11);
        let customers = shop.listed("customers");
        let role = shop.db.role("operate", shop.org);
        shop.db.psql(&format!(
            "SELECT sync_grant('{role}', '{}', 'operate', own_rows => true)",
            shop.org
        ));
        Users {
            shop,
            role,
            customers,
        }
    }

    fn user(&self, name: &str) -> Client {
        let mut client = self.shop.db.connect_as(&self.role, self.shop.org);
        client
            .batch_execute(&format!("SET app.current_user_id = '{name}'"))
            .unwrap();
        client
    }

    fn add(&self, client: &mut Client, number: usize) {
        client
            .batch_execute(&format!("{ITEM}, '{}')", self.customers[number]))
            .unwrap();
    }
}

fn reply(client: &mut Client, call: &str) -> Value {
    client.query_one(call, &[]).unwrap().get(0)
}

#[test]
fn users_see_and_touch_their_own_rows_only() {
    let users = Users::new();
    let (mut ada, mut bob) = (users.user("ada"), users.user("bob"));
    users.add(&mut ada, 0);
    users.add(&mut bob, 1);
    for client in [&mut ada, &mut bob] {
        client
            .batch_execute(
                "INSERT INTO saved_search_patterns (name) VALUES ('mine');
                 INSERT INTO sync_history (sync_type, status, items_processed) VALUES ('manual', 'completed', 3)",
            )
            .unwrap();
        for table in ["sync_list", "saved_search_patterns", "sync_history"] {
            assert_eq!(
                text(client, &format!("SELECT count(*) FROM {table}")),
                "1",
                "{table}"
            );
        }
    }
    for wrong in [
        "INSERT INTO saved_search_patterns (name, user_id) VALUES ('hers', 'ada')",
        "INSERT INTO sync_history (sync_type, status, user_id) VALUES ('manual', 'completed', 'ada')",
        "UPDATE sync_list SET user_id = 'ada'",
        "UPDATE saved_search_patterns SET user_id = NULL",
        "INSERT INTO sync_list (item_type, source_platform, source_id, user_id) VALUES ('customer', 'woocommerce', '9', NULL)",
    ] {
        assert_eq!(sqlstate(bob.batch_execute(wrong)), "42501", "{wrong}");
    }
    assert_eq!(
        text(
            &mut bob,
            "WITH d AS (DELETE FROM sync_list WHERE user_id = 'ada' RETURNING 1) SELECT count(*) FROM d"
        ),
        "0"
    );
    assert_eq!(
        sqlstate(bob.batch_execute("UPDATE sync_history SET status = 'failed'")),
        "42501"
    );
    // nobody is nobody
    let mut nobody = users.shop.db.connect_as(&users.role, users.shop.org);
    assert_eq!(text(&mut nobody, "SELECT count(*) FROM sync_list"), "0");
    assert_eq!(sqlstate(nobody.batch_execute(&format!("{ITEM}, '3')"))), "42501");
    // others see the organisation as before
    let backend = users.shop.db.role("operate", users.shop.org);
    let mut backend = users.shop.db.connect_as(&backend, users.shop.org);
    assert_eq!(text(&mut backend, "SELECT count(*) FROM sync_list"), "2");
    backend
        .batch_execute("UPDATE sync_list SET priority = 1")
        .unwrap();
    assert_eq!(text(&mut backend, "SELECT count(*) FROM sync_history"), "2");
}

#[test]
fn functions_keep_to_the_rows_of_their_user() {
    let mut users = Users::new();
    let (mut ada, mut bob) = (users.user("ada"), users.user("bob"));
    users.add(&mut ada, 0);
    users.add(&mut bob, 1);
    let hers: Uuid = ada.query_one("SELECT id FROM sync_list", &[]).unwrap().get(0);
    let pattern = "INSERT INTO saved_search_patterns (name) VALUES ('mine') RETURNING id";
    let pattern: Uuid = ada.query_one(pattern, &[]).unwrap().get(0);

    // called for all, by name, or by type: one's own are carried out
    let done = reply(&mut bob, "SELECT sync_delta()");
    assert_eq!(
        (&done["itemsProcessed"], &done["itemsCreated"]),
        (&json!(1), &json!(1)),
        "{done}"
    );
    let done = reply(&mut bob, &format!("SELECT sync_full('{{{hers}}}')"));
    assert_eq!(done["itemsFailed"], 1, "{done}");
    assert_eq!(
        done["errors"][0]["error"],
        format!("the sync list has no item \"{hers}\"")
    );
    assert_eq!(
        text(&mut ada, "SELECT last_sync_status FROM sync_list"),
        "pending"
    );
    let mut nobody = users.shop.db.connect_as(&users.role, users.shop.org);
    assert_eq!(reply(&mut nobody, "SELECT sync_delta()")["itemsProcessed"], 0);
    // what is due is due for all, and for who may carry out all
    let due = reply(&mut bob, "SELECT sync_scheduled()");
    assert_eq!(
        (&due["totalItems"], &due["userResults"]),
        (&json!(0), &json!([])),
        "{due}"
    );

    for call in [
        format!("sync_pattern_preview('{pattern}', 'woocommerce', 'customers')"),
        format!("sync_list_add_from_pattern('{pattern}', 'woocommerce', 'customers')"),
        format!("sync_settle_creation('{hers}')"),
    ] {
        assert_eq!(
            sqlstate(bob.batch_execute(&format!("SELECT {call}"))),
            "42704",
            "{call}"
        );
    }
    let done = reply(&mut ada, "SELECT sync_delta()");
    let history = done["syncHistoryId"].as_str().unwrap();
    let undo = format!("SELECT sync_undo('{history}')");
    assert_eq!(sqlstate(bob.batch_execute(&undo)), "42704");
    assert_eq!(reply(&mut ada, &undo)["removed"], 1);
    // the grant is as it was last given
    let role = &users.role;
    let grant = format!("SELECT sync_grant('{role}', '{}', 'operate')", users.shop.org);
    users.shop.db.psql(&grant);
    assert_eq!(text(&mut bob, "SELECT count(*) FROM sync_list"), "2");
    let wrong = format!(
        "SELECT sync_grant('{role}', '{}', 'admin', own_rows => true)",
        users.shop.org
    );
    assert_eq!(sqlstate(users.shop.root.batch_execute(&wrong)), "22023");
}

#[test]
fn a_group_that_sees_all_counts_for_what_it_may() {
    let users = Users::new();
    let (mut ada, mut bob) = (users.user("ada"), users.user("bob"));
    users.add(&mut ada, 0);
    users.add(&mut bob, 1);
    let readers = users.shop.db.role("read", users.shop.org);
    users.shop.db.psql(&format!("GRANT {readers} TO {}", users.role));
    assert_eq!(text(&mut bob, "SELECT count(*) FROM sync_list"), "2");
    assert_eq!(
        text(&mut bob, "WITH u AS (UPDATE sync_list SET priority = 7 RETURNING user_id) SELECT string_agg(user_id, ',') FROM u"),
        "bob"
    );
    assert_eq!(reply(&mut bob, "SELECT sync_delta()")["itemsProcessed"], 1);
}

#[test]
fn failures_belong_to_the_history_they_are_in() {
    let mut users = Users::new();
    users
        .shop
        .root
        .batch_execute("ALTER TABLE sync_customers ADD CONSTRAINT nobody CHECK (false) NOT VALID")
        .unwrap();
    let (mut ada, mut bob) = (users.user("ada"), users.user("bob"));
    users.add(&mut ada, 0);
    assert_eq!(reply(&mut ada, "SELECT sync_delta()")["itemsFailed"], 1);
    assert_eq!(text(&mut ada, "SELECT count(*) FROM sync_apply_failure"), "1");
    assert_eq!(text(&mut bob, "SELECT count(*) FROM sync_apply_failure"), "0");
}
