//! An Odoo that changes while it is read, pulls that break off, and two organisations that read the same one.

use serde_json::{json, Value};
use sync_ext_tests::{sqlstate, wait_until};
use sync_sandbox::odoo::{Config, Version};
use sync_sandbox::{Fault, Plan, When};

use crate::erp::{by_date, model, small, Erp, VERSIONS};
use crate::worker_shop::{wait_for_workers, Call, PATIENCE};

fn large(version: Version) -> Config {
    Config {
        partners: 700,
        templates: 300,
        sales: 400,
        ..small(version)
    }
}

/// Deletes records and creates others at three requests of a pull.
#[track_caller]
fn moves(version: Version, entity: &str, created: &str, set: Option<Value>) {
    let mut erp = Erp::with(large(version), by_date());
    let seeded = erp.ids(model(entity));
    if let Some(set) = set {
        erp.pull(entity);
        erp.change(json!({ "op": "edit", "entity": model(entity), "ids": seeded[..160], "set": set }));
    }
    let mut gone: Vec<u64> = Vec::new();
    let unused = erp.unused(model(entity));
    for (request, place) in [(2, 5), (4, unused.len() / 3), (6, unused.len() - 12)] {
        let ids = unused[place..place + 8].to_vec();
        let ops = vec![
            json!({ "op": "unlink", "entity": model(entity), "ids": ids }),
            json!({ "op": "create", "entity": created, "count": 3 }),
        ];
        gone.extend(ids);
        let path = erp.route(model(entity), "search_read");
        erp.sandbox.schedule(Plan::before(&path, request, ops));
    }
    erp.pull(entity);
    assert_eq!(
        erp.ids(model(entity)).len(),
        seeded.len() - gone.len() + 9,
        "not all has happened"
    );
    let ledger = erp.ledger(entity);
    let kept = seeded.iter().filter(|id| !gone.contains(id));
    let lost: Vec<_> = kept.filter(|id| !ledger.contains_key(&id.to_string())).collect();
    assert!(lost.is_empty(), "{entity}: {lost:?}");
    erp.pull(entity);
    erp.assert_mirrored(entity);
}

#[test]
fn deletions_and_creations_while_everything_is_read_lose_nothing() {
    for version in VERSIONS {
        moves(version, "customers", "res.partner", None);
        moves(version, "products", "product.template", None);
        moves(version, "sales", "sale.order", None);
    }
}

#[test]
fn deletions_and_creations_while_changes_are_read_lose_nothing() {
    for version in VERSIONS {
        moves(version, "customers", "res.partner", Some(json!({ "vat": "DE9" })));
        moves(
            version,
            "products",
            "product.template",
            Some(json!({ "barcode": "b" })),
        );
        moves(version, "orders", "sale.order", Some(json!({ "partner_id": 41 })));
    }
}

/// An error that is no use to ask again for.
fn bug() -> Fault {
    Fault::Error {
        name: "builtins.ZeroDivisionError".into(),
        message: "division by zero".into(),
    }
}

#[test]
fn a_pull_goes_on_where_it_broke_off() {
    for version in VERSIONS {
        for entity in ["customers", "products", "sales"] {
            let mut erp = Erp::with(large(version), by_date());
            erp.fault(entity, When::From(12), bug());
            assert_eq!(sqlstate(erp.try_pull(entity)), "08P01");
            let first = erp.ledger(entity).len();
            assert!(first > 0, "no record was kept");
            erp.sandbox.clear_faults(None);
            erp.sandbox.reset_stats();
            let pulled = erp.pull(entity);
            let requests = erp.sandbox.stats().requests;
            assert_eq!(pulled["resumed"], true, "{pulled}");
            assert_eq!(
                pulled["inserted"],
                erp.ids(model(entity)).len() - first,
                "{pulled}"
            );
            erp.assert_mirrored(entity);
            erp.sandbox.reset_stats();
            assert_eq!(erp.pull_full(entity)["resumed"], false);
            assert!(
                requests < erp.sandbox.stats().requests,
                "{entity}: everything was read again"
            );
        }
    }
}

#[test]
fn a_pull_whose_worker_was_terminated_goes_on_from_its_checkpoint() {
    for version in VERSIONS {
        let mut erp = Erp::with(large(version), by_date());
        erp.fault("customers", When::Nth(20), Fault::Hang);
        let role: String = erp
            .sql
            .query_one("SELECT current_user::text", &[])
            .unwrap()
            .get(0);
        let client = erp.db.connect_as(&role, erp.org);
        let call = Call::start(client, "SELECT sync_pull('odoo', 'customers')");
        let kept = |erp: &mut Erp| erp.number("SELECT count(*) FROM sync_record");
        wait_until(PATIENCE, || kept(&mut erp) >= 200);
        wait_until(PATIENCE, || erp.sandbox.stats().running > 0);
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE backend_type = 'sync_ext worker' AND datname = current_database()";
        erp.root.execute(terminate, &[]).unwrap();
        call.finish().expect_err("there is nobody left to do it");
        wait_for_workers(&erp.db, 0);
        erp.sandbox.clear_faults(None);
        erp.sandbox.release();
        let pulled = erp.pull("customers");
        assert_eq!(pulled["resumed"], true, "{pulled}");
        erp.assert_mirrored("customers");
    }
}

#[test]
fn two_organisations_one_with_the_erp_and_one_with_both_systems_stay_apart() {
    let mut erp = Erp::new(Version::V19);
    erp.pull("customers");
    let shop = sync_sandbox::Sandbox::start(crate::shop::small(sync_sandbox::Version::V11)).unwrap();
    let org = erp.db.org();
    let mut other = erp.db.connect_as(&erp.db.role("admin", org), org);
    let key = json!({ "database": "lab", "login": "demo", "api_key": "key_demo" });
    let settings = json!({ "requests_per_second": 10_000 });
    other
        .execute(
            "SELECT sync_connect('odoo', $1, $2, settings => $3)",
            &[&erp.sandbox.url(), &key, &settings],
        )
        .unwrap();
    let key = json!({ "consumer_key": "ck_rw", "consumer_secret": "cs_rw" });
    other
        .execute(
            "SELECT sync_connect('woocommerce', $1, $2, settings => $3)",
            &[&shop.url(), &key, &settings],
        )
        .unwrap();
    erp.sandbox
        .configure(&json!({ "user": "demo", "rules": { "res.partner": [["id", "<", 100]] } }))
        .unwrap();
    let mut pull = |name: &str| -> Value {
        let row = other.query_one("SELECT sync_pull($1, 'customers')", &[&name]);
        row.unwrap().get(0)
    };
    let seen = erp.those("res.partner", |r| r["id"].as_u64() < Some(100)).len();
    assert_eq!(pull("odoo")["inserted"], seen);
    let shoppers = pull("woocommerce")["inserted"].as_i64().unwrap();
    let count = |erp: &mut Erp, org| -> i64 {
        let row = erp
            .root
            .query_one("SELECT count(*) FROM sync_record WHERE org_id = $1", &[&org]);
        row.unwrap().get(0)
    };
    assert_eq!(count(&mut erp, org), seen as i64 + shoppers);
    // What the first organisation holds is what its own user sees.
    erp.pull("customers");
    erp.assert_mirrored("customers");
    let places = erp.places();
    assert_eq!(places.len(), erp.ids("res.partner").len());
    assert_eq!(pull("odoo")["deleted"], 0);
    assert_eq!(erp.places(), places);
}
