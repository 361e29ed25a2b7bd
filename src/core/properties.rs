//! What has to hold for every record: fingerprints, differences and normalising agree.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::fingerprint::VERSION;
use super::row::Layout;
use super::text::tests::tricky;
use super::*;
use proptest::prelude::*;
use serde_json::{json, Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use unicode_normalization::UnicodeNormalization;

type Data = Map<String, Value>;

fn fingerprint(entity: EntityType, record: &Data) -> Fingerprint {
    super::fingerprint(Comparison::all(entity), record)
}

fn diff(entity: EntityType, old: &Data, new: &Data) -> Data {
    super::diff(Comparison::all(entity), old, new)
}

fn map(text: &str) -> Data {
    serde_json::from_str(text).unwrap()
}

/// Texts that would pass for structure if anything were only separated, not measured.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = vec![
        "", "a", "b", "t", "n", "l", "o", "|", ",", ":", "\u{1f}", "\u{1}", "\t", "name", "sku", "t\u{1}a",
        "\"", "\\", "{}", "[]", "1", "0",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..5).prop_map(|v| v.concat())
}

fn number() -> impl Strategy<Value = Value> {
    (
        "-?(0|[1-9][0-9]{0,24})([.][0-9]{1,9})?([eE][+-]?[0-9]{1,3})?",
        any::<bool>(),
    )
        .prop_map(|(digits, quoted)| match quoted {
            true => Value::String(digits),
            false => serde_json::from_str(&digits).unwrap(),
        })
}

fn scalar() -> impl Strategy<Value = Value> {
    let times = vec![
        "2026-01-01 10:00:00.50",
        "2026-01-01T12:00:00+02:00",
        "2026-01-01",
        "0000-00-00",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        prop::sample::select(vec!["yes", "No", "parent", " true "]).prop_map(Value::from),
        prop::sample::select(times).prop_map(Value::from),
        number(),
        tricky().prop_map(Value::String),
        hostile().prop_map(Value::String),
    ]
}

/// Any JSON, rich in the keys that elements have.
fn json_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 5, |inner| {
        let key = prop_oneof![
            prop::sample::select(vec!["id", "name", "total", "options", "sku"]).prop_map(str::to_owned),
            hostile(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((key, inner), 0..5).prop_map(|v| Value::Object(v.into_iter().collect())),
        ]
    })
}

/// What a table can hold of a record, as a record and as the texts of its columns.
fn as_row(entity: EntityType, data: &Data) -> (Data, Vec<Option<Cow<'static, str>>>) {
    let mut record = Data::new();
    let mut row = Vec::new();
    for (name, value) in data {
        let kind = field(entity, name).unwrap().kind;
        let text = match (kind, value) {
            (Kind::Set | Kind::Sequence | Kind::List(_) | Kind::Any, v) => v.to_string(),
            (_, Value::String(s)) => s.clone(),
            (Kind::Number, Value::Number(n)) => n.to_string(),
            (Kind::Bool, Value::Bool(b)) => b.to_string(),
            _ => continue,
        };
        record.insert(name.clone(), value.clone());
        row.push(Some(Cow::Owned(text)));
    }
    (record, row)
}

fn entity() -> impl Strategy<Value = EntityType> {
    prop::sample::select(EntityType::ALL.to_vec())
}

fn record(entity: EntityType) -> impl Strategy<Value = Data> {
    let names: Vec<_> = fields(entity).iter().map(|f| f.name).collect();
    prop::collection::vec((prop::sample::select(names), json_value()), 0..12)
        .prop_map(|v| v.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

fn entity_and_record() -> impl Strategy<Value = (EntityType, Data)> {
    entity().prop_flat_map(|e| (Just(e), record(e)))
}

fn normal(entity: EntityType, data: &Data) -> Data {
    normalise(entity, data)
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect()
}

/// The compared part of the normalised record: what a fingerprint stands for.
fn meaning(entity: EntityType, data: &Data) -> BTreeMap<&'static str, Value> {
    let mut all = normalise(entity, data);
    all.retain(|name, _| field(entity, name).is_some_and(|f| f.compared));
    all
}

/// The same value said in another way.
fn reword(kind: Kind, value: &Value) -> Value {
    match (kind, value) {
        (Kind::Any, v) => v.clone(),
        (Kind::Set, Value::Array(v)) => {
            let mut turned: Vec<_> = v.iter().rev().map(|v| reword(Kind::Text, v)).collect();
            turned.extend(turned.first().cloned());
            Value::Array(turned)
        }
        (Kind::List(_) | Kind::Sequence, Value::Array(v)) => {
            let mut longer = vec![Value::Null];
            longer.extend(v.iter().cloned());
            Value::Array(longer)
        }
        (Kind::Number, Value::Number(n)) => Value::String(format!(" +{n} ").replace("+-", "-")),
        (Kind::Text | Kind::Email | Kind::Time, Value::String(s)) => {
            Value::String(format!("\u{a0}{}\n", s.nfd().collect::<String>()))
        }
        (Kind::Bool, Value::Bool(true)) => json!("yes"),
        (_, Value::Null) => json!(false),
        (_, v) => v.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn normalising_twice_is_normalising_once((e, data) in entity_and_record()) {
        let once = normal(e, &data);
        prop_assert_eq!(&normal(e, &once), &once);
        prop_assert_eq!(fingerprint(e, &once), fingerprint(e, &data));
    }

    #[test]
    fn a_row_says_what_its_record_says((e, data) in entity_and_record()) {
        let (record, row) = as_row(e, &data);
        let names: Vec<_> = record.keys().map(String::as_str).collect();
        let layout = Layout::new(Comparison::all(e).clone(), &names.join(","));
        prop_assert_eq!(layout.fingerprint(&row), fingerprint(e, &record));
        prop_assert_eq!(layout.match_key(&row), match_key(e, &record));
    }

    #[test]
    fn no_difference_is_the_same_fingerprint((e, a) in entity_and_record(), seed in any::<prop::sample::Index>(), v in json_value()) {
        // One field changed: mostly a difference, sometimes the same in another form.
        let mut b = a.clone();
        b.insert(seed.get(fields(e)).name.to_owned(), v);
        let same = fingerprint(e, &a) == fingerprint(e, &b);
        prop_assert_eq!(diff(e, &a, &b).is_empty(), same);
        prop_assert_eq!(meaning(e, &a) == meaning(e, &b), same);
        prop_assert!(diff(e, &a, &a).is_empty());
    }

    #[test]
    fn difference_is_the_same_both_ways((e, a) in entity_and_record(), (_, b) in entity_and_record()) {
        let (to, fro) = (diff(e, &a, &b), diff(e, &b, &a));
        prop_assert_eq!(to.len(), fro.len());
        for (name, d) in &to {
            prop_assert_eq!(&d["old"], &fro[name]["new"]);
            prop_assert_ne!(&d["old"], &d["new"]);
        }
        prop_assert_eq!(to.is_empty(), fingerprint(e, &a) == fingerprint(e, &b));
    }

    #[test]
    fn other_words_are_the_same_fingerprint((e, data) in entity_and_record()) {
        let mut other: Data = data.iter().rev().map(|(k, v)| {
            let kind = field(e, k).unwrap().kind;
            (k.clone(), reword(kind, v))
        }).collect();
        for f in fields(e) {
            other.entry(f.name).or_insert(json!(""));
        }
        other.insert("unknown".into(), json!(1));
        prop_assert_eq!(fingerprint(e, &other), fingerprint(e, &data));
        prop_assert_eq!(diff(e, &data, &other), Map::new());
    }

    #[test]
    fn what_is_not_compared_does_not_count((e, data) in entity_and_record(), v in json_value()) {
        let before = fingerprint(e, &data);
        let mut data = data;
        for f in fields(e).iter().filter(|f| !f.compared) {
            data.insert(f.name.to_owned(), v.clone());
        }
        prop_assert_eq!(fingerprint(e, &data), before);
    }

    #[test]
    fn no_text_passes_for_structure(a in prop::collection::vec(hostile(), 4), b in prop::collection::vec(hostile(), 4)) {
        let build = |v: &[String]| map(&json!({
            "name": v[0], "slug": v[1], "sku": v[2], "tags": [v[2], v[3]], "image_urls": [v[3], v[0]],
            "attributes": [{"id": v[1], "name": v[0]}, {"id": v[3], "options": [v[2]]}],
        }).to_string());
        let (a, b) = (build(&a), build(&b));
        let e = EntityType::Products;
        prop_assert_eq!(fingerprint(e, &a) == fingerprint(e, &b), meaning(e, &a) == meaning(e, &b));
    }
}

#[test]
fn any_change_of_a_compared_field_counts() {
    for e in EntityType::ALL {
        let mut seen = HashMap::from([(fingerprint(e, &Map::new()), "nothing")]);
        for f in compared(e) {
            let value = match f.kind {
                Kind::Bool => json!(true),
                Kind::List(_) => json!([{"id": 1}]),
                _ => json!("1"),
            };
            let data = Map::from_iter([(f.name.to_owned(), value)]);
            let clash = seen.insert(fingerprint(e, &data), f.name);
            assert_eq!(clash, None, "{} {}", e.name(), f.name);
        }
    }
}

/// Every way to cut one text into fields, elements and nested elements is a record of its own.
#[test]
fn no_two_ways_to_cut_a_text_are_one() {
    let mut seen = HashMap::new();
    let text = "t|n,l;o1";
    let mut add = |v: Value| {
        let data = map(&v.to_string());
        let key = meaning(EntityType::Products, &data);
        let clash = seen.insert(fingerprint(EntityType::Products, &data), key.clone());
        assert!(clash.is_none_or(|k| k == key), "{v}");
    };
    for i in 0..=text.len() {
        for j in i..=text.len() {
            let (a, b, c) = (&text[..i], &text[i..j], &text[j..]);
            add(json!({"sku": a, "slug": b, "status": c}));
            add(json!({"name": a, "sku": b, "slug": c}));
            add(json!({"tags": [a, b, c]}));
            add(json!({"category_ids": [a, b], "tags": [c]}));
            add(json!({"image_urls": [a, b, c]}));
            add(json!({"attributes": [{"id": a, "name": b, "options": [c]}]}));
            add(json!({"attributes": [{"id": a, "name": b}, {"options": [c]}]}));
            add(json!({"attributes": [{"id": a}, {"name": b}, {"options": [c]}]}));
            add(json!({"attributes": [{"options": [a, b]}], "tags": c}));
            add(json!({"custom": [a, b, c], "price": a, "weight": b}));
        }
    }
    assert!(seen.len() > 200);
}

const CUSTOMER: &str = r#"{"email":"ann@example.org","first_name":"Ann","last_name":"Ó Dálaigh",
  "is_active":true,"billing_city":"Dún Laoghaire","billing_country":"IE","custom":{"x":1}}"#;
const PRODUCT: &str = r#"{"sku":"MUG-1","name":"Cups &amp; Mugs","price":"10.00","stock_quantity":-2,
  "manage_stock":true,"category_ids":[9,15],"image_urls":["b.jpg","a.jpg"],
  "attributes":[{"id":2,"name":"Size","options":["S","L"]},{"id":1,"name":"Colour","options":["red"]}]}"#;
const ORDER: &str = r#"{"number":"1001","status":"processing","total":"24.60","ordered_at":"2026-01-01 10:00:00",
  "lines":[{"id":1,"sku":"MUG-1","quantity":2,"total":"20.00","total_tax":"4.60"}]}"#;

/// Worked out by another program from the description in `fingerprint`, not copied from its output.
/// A change of these values is a change of what is stored in every ledger: raise VERSION then.
#[test]
fn fingerprints_are_as_stored() {
    let golden = [
        (
            EntityType::Customers,
            CUSTOMER,
            "03dc2214-a019-a105-5fcd-e0c1f6d0e2b5",
        ),
        (
            EntityType::Products,
            PRODUCT,
            "03a8604b-af97-11d4-9e7c-119a9d577ba3",
        ),
        (EntityType::Orders, ORDER, "037160e9-1d2f-8ade-7805-49c2c84eab44"),
        (
            EntityType::Categories,
            r#"{"name":"Mugs","slug":"mugs","menu_order":0}"#,
            "03d8e81d-a6a3-aeeb-2da2-d4512f180e7d",
        ),
        (
            EntityType::Warehouses,
            r#"{"code":"WH","name":"Main"}"#,
            "03b88d35-47f8-e59f-cb2e-9370fd41e9e7",
        ),
        (
            EntityType::Purchases,
            r#"{"number":"P00001","total":1}"#,
            "035504c2-e7a1-d3c9-650b-ba855f24b131",
        ),
        (
            EntityType::Sales,
            r#"{"number":"S00001","total":1}"#,
            "0372f28f-ec48-99cb-bad5-fd9d6f912e66",
        ),
        (
            EntityType::Transfers,
            r#"{"number":"WH/OUT/00001"}"#,
            "033f5f61-ab8b-2021-8d71-dac2538cb788",
        ),
        (
            EntityType::Transfers,
            "{}",
            "033e0e8c-cf0c-a3ad-7dc8-df388c4d02db",
        ),
    ];
    let made = golden.map(|(e, text, _)| fingerprint(e, &map(text)).to_string());
    assert_eq!(made, golden.map(|(_, _, hex)| hex));
}

/// A change here is fine: it is what tells ledgers that the compared fields are others now.
#[test]
fn specs_are_as_stored() {
    let made = EntityType::ALL.map(|e| spec(Comparison::all(e)));
    assert_eq!(
        made,
        [
            "3:18854ad1",
            "3:630b0ad3",
            "3:46b38655",
            "3:5e232ad4",
            "3:09ba9a05",
            "3:7e7e5af2",
            "3:9f42886d",
            "3:d602d401"
        ]
    );
}

#[test]
fn other_forms_of_the_golden_records_are_the_same() {
    let same = [
        (
            EntityType::Customers,
            CUSTOMER,
            r#"{"billing_country":" IE ","billing_city":"Du\u0301n Laoghaire",
          "last_name":"O\u0301 D&aacute;laigh","first_name":"Ann","email":"ANN@example.org","phone":null,
          "is_active":"1","is_company":false,"custom":{"x":2},"modified_at":"2026-01-01"}"#,
        ),
        (
            EntityType::Products,
            PRODUCT,
            r#"{"attributes":[{"options":["red"],"name":"Colour","id":"1"},
          {"id":"2","name":"Size","options":["L","S"]}],"image_urls":["b.jpg","a.jpg"],"sale_price":"",
          "category_ids":["15","9"],"manage_stock":"yes","stock_quantity":"-2.0","price":1e1,
          "name":"Cups & Mugs","sku":"MUG-1\u00a0"}"#,
        ),
        (
            EntityType::Orders,
            ORDER,
            r#"{"lines":[{"id":"1","sku":"MUG-1","quantity":"2.000","total":20,
          "total_tax":4.6,"price":10,"meta":[]}],"fee_lines":[],"ordered_at":"2026-01-01T11:00:00+01:00",
          "total":24.6,"status":"processing","number":1001}"#,
        ),
    ];
    for (e, a, b) in same {
        assert_eq!(diff(e, &map(a), &map(b)), Map::new());
        assert_eq!(fingerprint(e, &map(a)), fingerprint(e, &map(b)));
    }
}

#[test]
fn fingerprints_are_uuids_that_carry_their_version() {
    let made = fingerprint(EntityType::Customers, &map(CUSTOMER));
    assert!(made.version() == VERSION);
    let text = made.to_string();
    assert!(text.len() == 36 && text == text.to_lowercase() && text.starts_with("03"));
    for form in [text.clone(), text.to_uppercase(), text.replace('-', "")] {
        assert_eq!(form.parse::<Fingerprint>(), Ok(made));
    }
    for bad in [
        "",
        "01",
        "+1",
        &text[1..],
        &text.replace('0', "g"),
        &text.replacen('-', "", 1),
        "é",
    ] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
    let zero = Fingerprint([0; 16]);
    assert_eq!(zero.to_string(), "00000000-0000-0000-0000-000000000000");
    assert_ne!(zero.version(), VERSION);
}

#[test]
fn entities_do_not_share_fingerprints() {
    let all = EntityType::ALL.map(|e| fingerprint(e, &map(r#"{"name":"a","number":"a"}"#)));
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 8);
}
