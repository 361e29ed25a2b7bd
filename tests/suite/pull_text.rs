//! Texts that are none: one record's must not keep all others from being pulled.

use serde_json::json;
use sync_sandbox::{Fault, Rule, Version, When};

use crate::connected::Connected;
use crate::shop::Shop;

const CUSTOMERS: &str = "/wp-json/wc/v3/customers";

fn first_name(shop: &mut Connected, id: u64) -> String {
    let name = "SELECT remote ->> 'first_name' FROM sync_record WHERE entity = 1 AND external_id = $1";
    shop.sql.query_one(name, &[&id.to_string()]).unwrap().get(0)
}

#[test]
fn texts_that_can_t_be_read_cost_their_own_characters_alone() {
    let mut shop = Shop::new(Version::V11);
    let ids = shop.listed("customers");
    // a half of a surrogate pair, a byte of another encoding, and what Postgres can't store
    let written: [(&str, &[u8], &str); 3] = [
        ("Surrogate", br"Surro\ud83dgate", "Surro\u{fffd}gate"),
        ("Muller", b"M\xfcller", "M\u{fffd}ller"),
        ("Zeroes", br"Zero\u0000es", "Zeroes"),
    ];
    for ((name, bytes, read), id) in written.iter().zip(&ids) {
        shop.change(json!({ "op": "edit", "entity": "customers", "id": id, "set": { "first_name": name } }));
        let replace = Fault::Replace {
            text: (*name).to_owned(),
            bytes: bytes.to_vec(),
        };
        let fault = shop.sandbox.fault(Rule::new(CUSTOMERS, When::All, replace));
        let pulled = shop.pull("customers");
        assert_eq!(pulled["records"], ids.len(), "{name}: {pulled}");
        assert_eq!(first_name(&mut shop, *id), *read);
        // and it is the same text each time
        let again = shop.pull("customers");
        assert_eq!(
            (&again["inserted"], &again["updated"]),
            (&json!(0), &json!(0)),
            "{name}: {again}"
        );
        shop.sandbox.clear_faults(Some(fault));
    }
}
