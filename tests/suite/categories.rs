//! Categories as a tree.

use std::collections::BTreeMap;

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::sqlstate;
use sync_sandbox::odoo::Version as OdooVersion;
use sync_sandbox::Version;

use crate::erp::Erp;
use crate::shop::Shop;

/// A row of the tree: id, parent, name, path, depth.
type Row = (String, Option<String>, Option<String>, String, i32);

#[track_caller]
fn tree(sql: &mut Client, sync_type: &str) -> Vec<Row> {
    let rows = sql.query("SELECT * FROM sync_category_tree($1)", &[&sync_type]);
    let rows = rows.unwrap_or_else(|error| panic!("{error:?}"));
    rows.iter()
        .map(|r| (r.get(0), r.get(1), r.get(2), r.get(3), r.get(4)))
        .collect()
}

/// Each row comes behind its parent's, and its path begins with that one's.
#[track_caller]
fn assert_in_order(rows: &[Row]) {
    let mut above: Vec<&Row> = Vec::new();
    for row in rows {
        above.truncate(row.4 as usize);
        assert_eq!(above.len(), row.4 as usize, "{row:?}");
        let name = row.2.clone().unwrap();
        let path = match above.last() {
            Some(parent) => {
                assert_eq!(row.1.as_ref(), Some(&parent.0), "{row:?}");
                format!("{} / {name}", parent.3)
            }
            None => name,
        };
        assert_eq!(row.3, path);
        above.push(row);
    }
}

#[test]
fn a_shops_categories_are_a_tree() {
    let mut shop = Shop::new(Version::V11);
    assert!(
        tree(&mut shop.sql, "woocommerce").is_empty(),
        "nothing was pulled"
    );
    shop.pull("categories");
    let top = shop.change(
        json!({ "op": "create", "entity": "categories", "set": { "name": "Éclairs & more", "parent": 0 } }),
    )[0];
    let sub = shop
        .change(json!({ "op": "create", "entity": "categories", "set": { "name": "Choux", "parent": top } }))
        [0];
    shop.pull("categories");
    let rows = tree(&mut shop.sql, "woocommerce");
    let mut ids: Vec<u64> = rows.iter().map(|row| row.0.parse().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, shop.sandbox.truth("categories").unwrap());
    assert_in_order(&rows);
    let choux = rows.iter().find(|row| row.0 == sub.to_string()).unwrap();
    assert_eq!((choux.1.as_deref(), choux.4), (Some(top.to_string().as_str()), 1));
    assert!(choux.3.ends_with("/ Choux"), "{choux:?}");
}

#[test]
fn an_erps_paths_are_those_that_it_shows_itself() {
    let mut erp = Erp::new(OdooVersion::V19);
    erp.pull("categories");
    let rows = tree(&mut erp.sql, "odoo");
    assert_in_order(&rows);
    let paths: BTreeMap<u64, Value> = rows
        .iter()
        .map(|row| (row.0.parse().unwrap(), json!(row.3)))
        .collect();
    let shown: BTreeMap<u64, Value> = erp
        .ids("product.category")
        .into_iter()
        .map(|id| (id, erp.record("product.category", id)["complete_name"].clone()))
        .collect();
    assert_eq!(paths, shown);
    assert!(rows.iter().any(|row| row.4 > 1), "{rows:?}");
}

#[test]
fn parents_in_a_circle_or_out_of_sight_lose_nobody() {
    let mut erp = Erp::new(OdooVersion::V17);
    erp.pull("categories");
    let all = tree(&mut erp.sql, "odoo");
    let set = "UPDATE sync_record r SET remote = remote || jsonb_build_object('parent_external_id', $2::text)
               FROM sync_entity e WHERE e.number = r.entity AND e.name = 'categories' AND r.external_id = $1";
    let deepest = all.iter().max_by_key(|row| row.4).unwrap().clone();
    let top = all
        .iter()
        .find(|row| deepest.3.starts_with(&row.3))
        .unwrap()
        .clone();
    erp.root.execute(set, &[&top.0, &deepest.0]).unwrap();
    let itself = all
        .iter()
        .find(|row| row.4 == 0 && row.0 != top.0)
        .map(|row| row.0.clone());
    if let Some(itself) = &itself {
        erp.root.execute(set, &[itself, itself]).unwrap();
    }
    let circled = tree(&mut erp.sql, "odoo");
    let ids = |rows: &[Row]| {
        let mut ids: Vec<String> = rows.iter().map(|row| row.0.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&circled), ids(&all));
    erp.root.execute(set, &[&top.0, &"999999"]).unwrap();
    let orphaned = tree(&mut erp.sql, "odoo");
    assert_eq!(ids(&orphaned), ids(&all));
    let top_now = orphaned.iter().find(|row| row.0 == top.0).unwrap();
    assert_eq!((top_now.1.as_deref(), top_now.4), (Some("999999"), 0));
}

#[test]
fn only_connectors_of_ones_own_have_a_tree() {
    let mut erp = Erp::new(OdooVersion::V19);
    erp.pull("categories");
    let other = erp.db.org();
    let mut stranger = erp.db.connect_as(&erp.db.role("read", other), other);
    let call = "SELECT * FROM sync_category_tree('odoo')";
    assert_eq!(sqlstate(stranger.query(call, &[])), "42704");
    let org = format!("SET app.current_org_id = '{}'", erp.org);
    stranger.batch_execute(&org).unwrap();
    assert_eq!(sqlstate(stranger.query(call, &[])), "42501");
    let mut reader = erp.db.connect_as(&erp.db.role("read", erp.org), erp.org);
    assert_eq!(tree(&mut reader, "odoo").len(), erp.ids("product.category").len());
}
