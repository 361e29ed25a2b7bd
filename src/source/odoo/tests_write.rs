//! Writing: what is sent over both transports, and what an answer, or none, amounts to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::api::Act;
use super::testing::{call_of, connect, recordings, Erp, Table, NOW};
use crate::core::EntityType;
use crate::error::Code;
use crate::source::http::testing::{Reply, Seen, Server};
use crate::source::{Change, Meter, Source};
use serde_json::{json, Value};
use std::sync::Mutex;

const EXPLAINED: &[(&str, Code)] = &[
    ("odoo.exceptions.ValidationError", Code::Invalid),
    ("odoo.exceptions.UserError", Code::Invalid),
    ("builtins.ValueError", Code::Invalid),
    ("psycopg2.errors.NotNullViolation", Code::Invalid),
    ("odoo.exceptions.AccessError", Code::NotGranted),
    ("odoo.exceptions.MissingError", Code::NotFound),
    ("odoo.exceptions.AccessDenied", Code::RemoteAuth),
];

pub(super) fn erp(modern: bool) -> Erp {
    let partners = json!([
        {"id": 3, "name": "Ada", "email": "Ada@X.org ", "vat": "GB1", "street": "Old", "city": "Bath", "active": true,
         "is_company": false, "company_name": "X", "phone": "1", "parent_id": [9, "Y"], "country_id": [2, "Germany"],
         "state_id": [5, "Bayern"], "partner_share": true, "write_date": "2026-01-01 00:00:00"},
        {"id": 4, "name": "Bob", "email": "not.ada@x.org", "active": true, "partner_share": false, "write_date": "2026-01-01 00:00:00"},
    ]);
    let countries = json!([{"id": 1, "code": "GB", "name": "United Kingdom"}, {"id": 2, "code": "DE", "name": "Germany"}]);
    let states = json!([{"id": 5, "code": "BY", "name": "Bayern", "country_id": [2, "Germany"]},
                        {"id": 6, "code": "BY", "name": "Elsewhere", "country_id": [1, "United Kingdom"]}]);
    let table = |model, rows: Value| Table::new(model, rows.as_array().unwrap().clone());
    Erp::new(
        modern,
        vec![
            table("res.partner", partners),
            table("res.country", countries),
            table("res.country.state", states),
        ],
    )
}

/// A server that takes what is written; `refuse` may answer instead, given how many writes came before.
fn server(erp: Erp, refuse: impl Fn(&Seen, usize) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let state = Mutex::new((erp, 0));
    Server::start(move |seen, _| {
        let mut state = state.lock().unwrap();
        let (erp, writes) = &mut *state;
        let call = call_of(seen).filter(|call| matches!(call.method.as_str(), "create" | "write"));
        let Some(call) = call.filter(|_| seen.path != "/json/2/res.users/context_get") else {
            return erp.answer(seen).header("Date", NOW);
        };
        *writes += 1;
        if let Some(reply) = refuse(seen, *writes - 1) {
            return reply;
        }
        let table = erp
            .tables
            .iter_mut()
            .find(|table| table.model == call.model)
            .unwrap();
        let done = match call.method.as_str() {
            "create" => {
                let mut row = call.args["vals_list"][0].clone();
                row["id"] = json!(100);
                table.rows.push(row);
                json!([100])
            }
            _ => {
                let row = table.rows.iter_mut().find(|row| row["id"] == call.args["ids"][0]);
                row.unwrap()
                    .as_object_mut()
                    .unwrap()
                    .extend(call.args["vals"].as_object().unwrap().clone());
                json!(true)
            }
        };
        answered(seen, done)
    })
}

fn answered(seen: &Seen, value: Value) -> Reply {
    match seen.path.as_str() {
        "/jsonrpc" => Reply::ok(json!({"jsonrpc": "2.0", "id": 1, "result": value}).to_string()),
        _ => Reply::ok(value.to_string()),
    }
}

fn refused(seen: &Seen, name: &str) -> Reply {
    let data = json!({"name": name, "message": "The operation cannot be completed: Contacts require a name",
                      "arguments": [], "debug": "Traceback"});
    match seen.path.as_str() {
        "/jsonrpc" => {
            Reply::ok(json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "data": data}}).to_string())
        }
        _ => Reply::new(if name.starts_with("odoo") { 422 } else { 500 }, data.to_string()),
    }
}

pub(super) fn taking(erp: Erp) -> Server {
    server(erp, |_, _| None)
}

/// What was written: method and values.
fn writes(server: &Server) -> Vec<(String, Value)> {
    let calls = server.seen().iter().filter_map(call_of).collect::<Vec<_>>();
    calls
        .into_iter()
        .filter_map(|call| match call.method.as_str() {
            "create" => Some((call.method, call.args["vals_list"][0].clone())),
            "write" => Some((call.method, call.args["vals"].clone())),
            _ => None,
        })
        .collect()
}

fn change(id: Option<&str>, fields: Value) -> Change {
    Change {
        external_id: id.map(str::to_owned),
        parent_id: None,
        fields: fields.as_object().unwrap().clone(),
    }
}

const ALL: EntityType = EntityType::Customers;

#[test]
fn a_contact_is_created_with_its_references() {
    for modern in [true, false] {
        let server = taking(erp(modern));
        let odoo = connect(&server, Value::Null, Value::Null);
        let fields = json!({"name": "Eve", "email": "eve@x.org", "billing_country": "Germany", "billing_state": "DE-BY",
                            "tax_number": null});
        let written = odoo.write(ALL, &change(None, fields), &Meter::default()).unwrap();
        assert_eq!(written.external_id, "100");
        let record = written.record.unwrap();
        assert_eq!(record.match_key.as_deref(), Some("eve@x.org"));
        assert_eq!(
            (&record.data["billing_country"], &record.data["billing_state"]),
            (&json!("DE"), &json!("BY"))
        );
        let sent = json!({"name": "Eve", "email": "eve@x.org", "vat": false, "country_id": 2, "state_id": 5});
        assert_eq!(writes(&server), [("create".to_owned(), sent)]);
    }
}

#[test]
fn the_address_of_an_internal_user_is_not_changed() {
    for modern in [true, false] {
        let server = taking(erp(modern));
        let odoo = connect(&server, Value::Null, Value::Null);
        let put = |id: &str, fields: Value| odoo.write(ALL, &change(Some(id), fields), &Meter::default());
        let error = put("4", json!({"email": "eve@x.org", "phone": "2"})).unwrap_err();
        assert_eq!(error.code, Code::NotGranted, "{error:?}");
        assert!(writes(&server).is_empty());
        put("4", json!({"phone": "2"})).unwrap();
        put("3", json!({"email": "eve@x.org"})).unwrap();
        assert_eq!(writes(&server).len(), 2);
    }
}

#[test]
fn the_state_with_that_very_code_is_meant() {
    let countries = json!([{"id": 1, "code": "CH", "name": "Switzerland"}]);
    let states = json!([{"id": 1, "code": "FR", "name": "Freiburg", "country_id": [1, "Switzerland"]},
                        {"id": 2, "code": "SO-FR", "name": "Soleure", "country_id": [1, "Switzerland"]},
                        {"id": 3, "code": "CH-BY", "name": "100%", "country_id": [1, "Switzerland"]}]);
    let table = |model, rows: &Value| Table::new(model, rows.as_array().unwrap().clone());
    let partners = json!([{"id": 3, "name": "Ada", "email": "a@x.org", "country_id": [1, "Switzerland"], "parent_id": false}]);
    let erp = Erp::new(
        true,
        vec![
            table("res.partner", &partners),
            table("res.country", &countries),
            table("res.country.state", &states),
        ],
    );
    let server = taking(erp);
    let odoo = connect(&server, Value::Null, Value::Null);
    for state in [
        "SO-FR", "FR", "XX-FR", "BY", "CH-BY", "soleure", "100%", "1%", "_R",
    ] {
        let fields = json!({"name": "Ada", "billing_state": state});
        odoo.write(ALL, &change(Some("3"), fields), &Meter::default())
            .unwrap();
    }
    let written: Vec<Value> = writes(&server)
        .into_iter()
        .map(|(_, vals)| vals["state_id"].clone())
        .collect();
    let none = Value::Null;
    let expected = [
        json!(2),
        json!(1),
        json!(1),
        json!(3),
        json!(3),
        json!(2),
        json!(3),
        none.clone(),
        none,
    ];
    assert_eq!(written, expected);
}

#[test]
fn of_what_is_there_only_the_given_is_changed() {
    for modern in [true, false] {
        let server = taking(erp(modern));
        let odoo = connect(&server, Value::Null, Value::Null);
        let put = |fields: Value| {
            let written = odoo
                .write(ALL, &change(Some("3"), fields), &Meter::default())
                .unwrap();
            written.record.unwrap().data
        };
        let data = put(json!({"billing_address_1": "New", "email": null, "billing_state": "BY"}));
        assert_eq!(data["billing_address_1"], "New");
        assert!(!data.contains_key("email"));
        // a company that is another record, and a state that nobody knows, are not written
        put(json!({"company": "Z", "billing_state": "Atlantis", "phone": "2"}));
        put(json!({"company": "Z"}));
        put(json!({"billing_state": null}));
        let sent = [
            json!({"street": "New", "email": false, "state_id": 5}),
            json!({"phone": "2"}),
            json!({"state_id": false}),
        ];
        assert_eq!(writes(&server), sent.map(|vals| ("write".to_owned(), vals)));
        let nowhere = change(Some("3"), json!({"billing_country": "Atlantis"}));
        let error = odoo.write(ALL, &nowhere, &Meter::default()).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::Invalid, "Odoo has no country \"Atlantis\"")
        );
        let error = odoo
            .write(ALL, &change(Some("x"), json!({})), &Meter::default())
            .unwrap_err();
        assert_eq!(error.code, Code::Invalid);
    }
}

#[test]
fn what_odoo_explains_was_not_done_and_is_not_tried_again() {
    for modern in [true, false] {
        for (name, code) in EXPLAINED {
            let server = server(erp(modern), move |seen, _| Some(refused(seen, name)));
            let odoo = connect(&server, Value::Null, Value::Null);
            for id in [None, Some("3")] {
                let error = odoo
                    .write(ALL, &change(id, json!({"name": "Eve"})), &Meter::default())
                    .unwrap_err();
                assert_eq!(error.code, *code, "{name}: {error:?}");
                assert!(!format!("{error:?}").contains("Traceback"));
                let told = error.detail.unwrap_or_default();
                // what the database says holds host names and SQL
                assert_eq!(
                    told.contains("require a name"),
                    !name.starts_with("psycopg2"),
                    "{name}"
                );
            }
            assert_eq!(writes(&server).len(), 2, "{name}");
        }
    }
}

#[test]
fn recorded_refusals_of_writes_are_understood() {
    use super::refusal::{read, Asked};
    for version in ["odoo19", "odoo17"] {
        for (name, recording) in recordings(version) {
            let code = match name.split_once('-').unwrap().1 {
                "create-batch-one-bad"
                | "error-required"
                | "error-wrong-field-create"
                | "error-wrong-selection"
                | "error-bad-many2one"
                | "error-recursion"
                | "json2-error-validation" => Code::Invalid,
                "write-deleted" | "json2-error-missing-record" => Code::NotFound,
                "error-access-write" => Code::NotGranted,
                "error-bad-key" | "json2-error-bad-key" => Code::RemoteAuth,
                _ => continue,
            };
            let body = &recording["response"]["body_json"];
            let told = if name.contains("json2") {
                body
            } else {
                &body["error"]["data"]
            };
            let asked = Asked {
                act: Act::Change,
                model: "res.partner",
                lang: "en_US",
            };
            let refusal = read(told, &asked, &Default::default()).unwrap();
            assert_eq!(refusal.error.code, code, "{version} {name}");
        }
    }
}

#[test]
fn an_odoo_that_was_busy_has_done_nothing_and_is_asked_again() {
    for modern in [true, false] {
        let busy = "psycopg2.errors.SerializationFailure";
        let once = server(erp(modern), move |seen, n| (n == 0).then(|| refused(seen, busy)));
        let odoo = connect(&once, Value::Null, Value::Null);
        let eve = change(None, json!({"name": "Eve"}));
        assert_eq!(
            odoo.write(ALL, &eve, &Meter::default()).unwrap().external_id,
            "100"
        );
        assert_eq!(writes(&once).len(), 2);

        let always = server(erp(modern), move |seen, _| Some(refused(seen, busy)));
        let odoo = connect(&always, Value::Null, Value::Null);
        let error = odoo.write(ALL, &eve, &Meter::default()).unwrap_err();
        assert_eq!(error.code, Code::Busy);
    }
}

#[test]
fn a_creation_without_an_answer_is_sent_once_a_change_again() {
    for modern in [true, false] {
        for (reply, code) in [
            (Reply::hang_up(), Code::TimedOut),
            (Reply::new(503, "<html>"), Code::Nonsense),
            (Reply::ok("[1").cut(), Code::Nonsense),
        ] {
            let server = server(erp(modern), move |_, _| Some(reply.clone()));
            let odoo = connect(&server, Value::Null, Value::Null);
            let fields = json!({"name": "Eve"});
            let error = odoo
                .write(ALL, &change(None, fields.clone()), &Meter::default())
                .unwrap_err();
            assert_eq!(error.code, code, "{error:?}");
            assert_eq!(writes(&server).len(), 1);
            let error = odoo
                .write(ALL, &change(Some("3"), fields), &Meter::default())
                .unwrap_err();
            assert_eq!(error.code, code);
            assert_eq!(writes(&server).len(), 1 + 4);
        }
    }
}

#[test]
fn the_id_of_a_new_record_is_known_even_where_it_cannot_be_read() {
    let mut erp = erp(true);
    erp.tables[0].hidden = vec![100];
    let server = taking(erp);
    let odoo = connect(&server, Value::Null, Value::Null);
    let written = odoo
        .write(ALL, &change(None, json!({"name": "Eve"})), &Meter::default())
        .unwrap();
    assert_eq!(written.external_id, "100");
    assert_eq!(written.record.unwrap_err().code, Code::Nonsense);
}

/// A company (9) with a contact of a type, and one that is nobody's.
fn family(kind: &str, is_company: bool, parent: Value) -> Erp {
    let partners = json!([
        {"id": 3, "name": "Ada", "email": "ada@x.org", "type": kind, "is_company": is_company, "parent_id": parent,
         "vat": "GB1", "street": "Old", "street2": "1", "zip": "1", "city": "Bath", "active": true, "phone": "1",
         "company_name": "X", "country_id": [2, "Germany"], "write_date": "2026-01-01 00:00:00"},
    ]);
    let countries = json!([{"id": 1, "code": "GB", "name": "United Kingdom"}, {"id": 2, "code": "DE", "name": "Germany"}]);
    let table = |model, rows: Value| Table::new(model, rows.as_array().unwrap().clone());
    Erp::new(
        true,
        vec![
            table("res.partner", partners),
            table("res.country", countries),
            table(
                "res.country.state",
                json!([{"id": 5, "code": "BY", "name": "Bayern", "country_id": [2, "Germany"]}]),
            ),
        ],
    )
}

#[test]
fn what_a_contact_has_from_its_company_is_left_out_of_writes_to_it() {
    let company = json!([9, "Y"]);
    let address = ["city", "country_id", "state_id", "street", "street2", "zip"];
    let cases: [(&str, bool, Value, Value, Vec<&str>); 7] = [
        ("contact", false, json!(false), json!({}), vec![]),
        (
            "contact",
            false,
            company.clone(),
            json!({}),
            [&address[..], &["vat"]].concat(),
        ),
        // a company within another one has a tax number of its own
        ("contact", true, company.clone(), json!({}), address.to_vec()),
        ("delivery", false, company.clone(), json!({}), vec!["vat"]),
        ("invoice", true, company.clone(), json!({}), vec![]),
        // what the contact will be is what counts
        (
            "contact",
            false,
            company.clone(),
            json!({"role": "delivery"}),
            vec!["vat"],
        ),
        (
            "delivery",
            false,
            company,
            json!({"role": "contact"}),
            [&address[..], &["vat"]].concat(),
        ),
    ];
    for (kind, is_company, parent, more, left) in cases {
        for shared in [false, true] {
            let server = taking(family(kind, is_company, parent.clone()));
            let odoo = connect(&server, json!({ "write_shared_fields": shared }), Value::Null);
            let mut fields = json!({"phone": "2", "billing_address_1": "New", "billing_address_2": "", "billing_city": "Bonn",
                "billing_postcode": "5", "billing_country": "DE", "billing_state": "BY", "tax_number": "DE1"});
            fields
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let written = odoo
                .write(ALL, &change(Some("3"), fields), &Meter::default())
                .unwrap();
            let sent = writes(&server)[0].1.clone();
            let missing: Vec<&str> = [&address[..], &["vat"]]
                .concat()
                .into_iter()
                .filter(|name| sent.get(*name).is_none())
                .collect();
            let case = format!("{kind} {is_company} {parent} {more} {shared}");
            assert_eq!(sent["phone"], "2", "{case}");
            if shared {
                assert!(
                    missing.is_empty() && written.notes.is_empty(),
                    "{case}: {missing:?}"
                );
                continue;
            }
            assert_eq!(missing, left, "{case}");
            let notes = written.notes.join("; ");
            assert_eq!(notes.is_empty(), left.is_empty(), "{case}: {notes}");
            assert_eq!(
                notes.contains("billing_city"),
                left.contains(&"city"),
                "{case}: {notes}"
            );
            assert_eq!(
                notes.contains("tax_number"),
                left.contains(&"vat"),
                "{case}: {notes}"
            );
        }
    }
}

#[test]
fn where_nothing_is_shared_nothing_is_asked() {
    let server = taking(family("contact", false, json!([9, "Y"])));
    let odoo = connect(&server, Value::Null, json!({"transport": "json2", "uid": 7}));
    odoo.write(ALL, &change(Some("3"), json!({"phone": "2"})), &Meter::default())
        .unwrap();
    let methods: Vec<String> = server
        .seen()
        .iter()
        .filter_map(call_of)
        .map(|call| call.method)
        .collect();
    // the last three read the record back, with what it names
    assert_eq!(methods[..2], ["fields_get", "write"], "{methods:?}");
}

#[test]
fn what_is_archived_comes_back_with_a_word_or_stays() {
    for (keep, active) in [(false, Some(true)), (true, None)] {
        let mut erp = family("contact", false, json!(false));
        erp.tables[0].rows[0]["active"] = json!(false);
        // that a field is a flag is told by one that is true
        erp.tables[0]
            .rows
            .push(json!({"id": 4, "name": "Bob", "active": true}));
        let server = taking(erp);
        let odoo = connect(&server, json!({ "keep_archived": keep }), Value::Null);
        let fields = json!({"phone": "2", "is_active": true});
        let written = odoo
            .write(ALL, &change(Some("3"), fields), &Meter::default())
            .unwrap();
        assert_eq!(
            writes(&server)[0].1.get("active").and_then(Value::as_bool),
            active
        );
        assert!(written.notes[0].contains("archived"), "{:?}", written.notes);
        // who archives it knows that it will be
        let fields = json!({"is_active": false});
        let written = odoo
            .write(ALL, &change(Some("4"), fields), &Meter::default())
            .unwrap();
        assert!(written.notes.is_empty());
    }
}
