#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::api::Act;
use super::testing::{call_of, connect, connect_as, credentials, partners, recordings, Erp, Table, KEY, NOW};
use super::Odoo;
use crate::core::EntityType;
use crate::error::{Code, Error};
use crate::source::http::testing::{Reply, Server};
use crate::source::{validate, At, Batch, Content, Pass, Source, Task};
use serde_json::{json, Value};
use std::collections::BTreeSet;

fn plan(odoo: &Odoo) -> Result<(), Error> {
    odoo.plan(EntityType::Customers, Pass::Full).map(|_| ())
}

fn ask(odoo: &Odoo, ids: impl IntoIterator<Item = u64>) -> Batch {
    let task = Task {
        list: "customers".into(),
        content: Content::Full,
        since: None,
        at: At::Ids(ids.into_iter().map(|id| id.to_string()).collect()),
    };
    odoo.fetch(EntityType::Customers, &task).unwrap()
}

fn small(modern: bool) -> Server {
    Erp::new(modern, vec![Table::new("res.partner", partners(3, 1))]).start()
}

fn refusal(server: &Server, credentials: &Value) -> Error {
    let error = plan(&connect_as(server, Value::Null, Value::Null, credentials).unwrap()).unwrap_err();
    let shown = format!("{error:?}");
    assert!(!shown.contains(KEY) && !shown.contains("Traceback"), "{shown}");
    error
}

#[test]
fn the_transport_is_found_once_and_kept() {
    for (modern, transport) in [(true, "json2"), (false, "jsonrpc")] {
        let server = small(modern);
        let odoo = connect(&server, Value::Null, Value::Null);
        plan(&odoo).unwrap();
        let memo = odoo.memo();
        assert_eq!(memo, json!({"transport": transport, "uid": 7}));
        let before = server.seen().len();
        plan(&connect(&server, Value::Null, memo)).unwrap();
        assert_eq!(server.seen().len(), before + 1, "nothing is asked that is known");
    }
}

#[test]
fn an_outdated_memo_is_found_out_anew() {
    let stale = [
        (true, json!({"transport": "jsonrpc", "uid": 5})),
        (false, json!({"transport": "json2", "uid": 7})),
        (false, json!({"transport": "jsonrpc", "uid": 5})),
        (true, json!({"transport": "telepathy"})),
    ];
    for (modern, memo) in stale {
        let odoo = connect(&small(modern), Value::Null, memo);
        plan(&odoo).unwrap();
        assert_eq!(odoo.memo()["uid"], 7);
    }
}

/// An Odoo without JSON-2, whose address for it somebody else answers.
fn behind(stray: Reply) -> Server {
    let erp = Erp::new(false, vec![Table::new("res.partner", partners(3, 1))]);
    Server::start(move |seen, _| match seen.path.as_str() {
        path if path.starts_with("/json/") => stray.clone(),
        "/web/login" => Reply::ok("<!DOCTYPE html><form>Log in</form>"),
        _ => erp.answer(seen).header("Date", NOW),
    })
}

/// What isn't JSON-2's own answer.
fn strays() -> Vec<Reply> {
    let login = "/web/login?redirect=%2Fjson%2F2%2Fres.users%2Fcontext_get%3F";
    let page = "<!DOCTYPE html><title>x</title>";
    vec![
        // version 18: `/json/<path>` is a page for people
        Reply::new(303, page).header("Location", login),
        Reply::new(303, page).header("Location", format!("http://elsewhere.example{login}")),
        Reply::new(302, page).header("Location", login),
        Reply::new(400, page),
        Reply::new(401, page),
        Reply::new(403, page),
        Reply::new(404, page),
        Reply::new(404, r#"{"error": "not found"}"#),
        Reply::new(404, r#"{"message": "no Route matched with those values"}"#),
        Reply::new(405, ""),
        Reply::new(500, page),
        Reply::ok(page),
        Reply::ok(""),
        Reply::ok(r#"{"status": "up"}"#),
        Reply::ok("[]"),
    ]
}

#[test]
fn what_is_no_answer_of_json_2_leads_to_json_rpc() {
    for stray in strays() {
        let server = behind(stray.clone());
        let odoo = connect(&server, Value::Null, Value::Null);
        plan(&odoo).unwrap_or_else(|error| panic!("{stray:?}: {error:?}"));
        assert_eq!(
            odoo.memo(),
            json!({"transport": "jsonrpc", "uid": 7}),
            "{stray:?}"
        );
        let to_login =
            |seen: &crate::source::http::testing::Seen| seen.path == "/web/login" && seen.head.contains(KEY);
        let redirected = matches!(&stray, stray if format!("{stray:?}").contains("status: 303"));
        assert!(
            !redirected || !server.seen().iter().any(to_login),
            "the key is for the API"
        );
    }
}

#[test]
fn where_nothing_answers_it_is_told_what_was_tried() {
    for stray in strays() {
        let everywhere = |answer: Reply| {
            Server::start(move |seen, _| match seen.path.as_str() {
                "/web/login" => Reply::ok("<!DOCTYPE html><form>Log in</form>"),
                _ => answer.clone(),
            })
        };
        let error = refusal(&everywhere(stray.clone()), &credentials());
        assert_eq!(error.code, Code::Nonsense, "{stray:?}: {error:?}");
        let detail = error.detail.unwrap_or_default();
        for way in ["JSON-2: ", "JSON-RPC: ", "JSON-2 without the database's name: "] {
            assert!(detail.contains(way), "{stray:?}: {detail}");
        }
        // without a login JSON-RPC can't be asked, and that may be all that is missing
        let error = refusal(
            &everywhere(stray.clone()),
            &json!({"database": "lab", "api_key": KEY}),
        );
        assert_eq!(error.code, Code::Invalid);
        assert!(error.detail.unwrap_or_default().contains("JSON-2: "));
    }
}

#[test]
fn a_passing_failure_says_nothing_of_the_transport() {
    for status in [429, 502, 503] {
        let server = behind(Reply::new(status, "<html>"));
        let odoo = connect(&server, Value::Null, Value::Null);
        plan(&odoo).unwrap_err();
        assert_eq!(odoo.memo(), json!({}));
    }
}

#[test]
fn a_host_that_takes_no_name_of_a_database_is_asked_without() {
    let erp = Erp::new(true, vec![Table::new("res.partner", partners(3, 1))]);
    let server = Server::start(move |seen, _| {
        let named = seen.head.to_lowercase().contains("x-odoo-database");
        if named || seen.path == "/jsonrpc" {
            return Reply::new(404, "<!DOCTYPE html>No database is selected");
        }
        erp.answer(seen).header("Date", NOW)
    });
    let odoo = connect(&server, Value::Null, Value::Null);
    plan(&odoo).unwrap();
    let memo = odoo.memo();
    assert_eq!(memo, json!({"transport": "json2", "uid": 7, "nameless": true}));
    let before = server.seen().len();
    plan(&connect(&server, Value::Null, memo)).unwrap();
    assert_eq!(server.seen().len(), before + 1, "nothing is asked that is known");
    let warnings = odoo.probe().unwrap().warnings.join("\n");
    assert!(warnings.contains("only where no database is named"), "{warnings}");
}

#[test]
fn an_upgraded_server_is_found_again_and_a_creation_is_never_sent_twice() {
    // JSON-RPC was remembered, and is gone (from version 22 on)
    for gone in [
        Reply::new(404, "<html>"),
        Reply::new(303, "").header("Location", "/web/login"),
        Reply::new(404, r#"{"error": "not found"}"#),
    ] {
        let erp = Erp::new(true, vec![Table::new("res.partner", partners(3, 1))]);
        let server = Server::start(move |seen, _| match seen.path.as_str() {
            "/jsonrpc" => gone.clone(),
            _ => erp.answer(seen).header("Date", NOW),
        });
        let odoo = connect(&server, Value::Null, json!({"transport": "jsonrpc", "uid": 7}));
        plan(&odoo).unwrap();
        assert_eq!(odoo.memo()["transport"], "json2");
    }
    // what may have carried a creation out is not asked again another way
    for unknown in [Reply::new(500, "<html>"), Reply::ok("<html>")] {
        let server = behind(unknown);
        let odoo = connect(&server, Value::Null, json!({"transport": "json2", "uid": 7}));
        let mut args = super::api::Args::new();
        args.insert("vals_list".into(), json!([{"name": "x"}]));
        let meter = Default::default();
        let refusal = odoo
            .api
            .act(Act::Create, "res.partner", "create", args, &meter)
            .unwrap_err();
        assert_eq!(refusal.error.code, Code::Nonsense);
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn a_password_speaks_json_rpc_and_one_database_needs_no_name() {
    let password = json!({"database": "lab", "login": "apiuser", "password": KEY});
    let odoo = connect_as(&small(true), Value::Null, Value::Null, &password).unwrap();
    plan(&odoo).unwrap();
    assert_eq!(odoo.memo()["transport"], "jsonrpc");

    let key = json!({"api_key": KEY});
    let server = small(true);
    plan(&connect_as(&server, Value::Null, Value::Null, &key).unwrap()).unwrap();
    assert!(server
        .seen()
        .iter()
        .all(|seen| !seen.head.to_lowercase().contains("x-odoo-database")));
    assert_eq!(refusal(&small(false), &key).code, Code::Invalid);
}

#[test]
fn refused_credentials_and_unknown_databases_are_told_apart() {
    let with = |name: &str, value: &str| {
        let mut credentials = credentials();
        credentials[name] = json!(value);
        credentials
    };
    for modern in [true, false] {
        let error = refusal(&small(modern), &with("api_key", "expired"));
        assert_eq!(error.code, Code::RemoteAuth);
        assert!(error.hint.unwrap().contains("expired"));
    }
    let error = refusal(&small(false), &with("database", "nodb"));
    assert_eq!(error.code, Code::RemoteAuth);
    assert!(error.message.contains("no such database") && error.detail.is_none());
}

#[test]
fn a_model_that_is_refused_or_missing_is_an_error() {
    for modern in [true, false] {
        let denied = Table {
            denied: true,
            ..Table::new("res.partner", partners(3, 1))
        };
        let error = refusal(&Erp::new(modern, vec![denied]).start(), &credentials());
        assert_eq!(error.code, Code::RemoteAuth);
        assert!(error.message.contains("res.partner"));
        let error = refusal(&Erp::new(modern, vec![]).start(), &credentials());
        assert_eq!(error.code, Code::Invalid);
        assert!(error.hint.unwrap().contains("Install"));
    }
}

#[test]
fn an_explained_failure_is_not_tried_again_and_an_accident_is() {
    let explained =
        r#"{"name":"builtins.ValueError","message":"Invalid field 'nope'","debug":"Traceback x"}"#;
    let uid = Reply::ok(r#"{"uid": 7}"#);
    let server = Server::script(vec![uid.clone(), Reply::new(500, explained)]);
    let error = refusal(&server, &credentials());
    assert_eq!((error.code, error.stays), (Code::Nonsense, true));
    assert!(error.detail.unwrap().contains("Invalid field"));
    assert_eq!(server.seen().len(), 2);

    for accident in [
        Reply::hang_up(),
        Reply::new(502, "<html>"),
        Reply::new(500, "<html>"),
        Reply::ok("[1").cut(),
    ] {
        let server = Server::script(vec![uid.clone(), accident, Reply::ok("3")]);
        plan(&connect(&server, Value::Null, Value::Null)).unwrap();
        assert_eq!(server.seen().len(), 3);
    }
}

#[test]
fn an_odoo_that_is_busy_is_asked_again() {
    for name in ["psycopg2.errors.SerializationFailure", "psycopg2.pool.PoolError"] {
        let data = json!({"name": name, "message": "try again"});
        let rpc = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "data": data}});
        let modern = vec![
            Reply::ok(r#"{"uid": 7}"#),
            Reply::new(500, data.to_string()),
            Reply::ok("3"),
        ];
        let old = vec![
            Reply::new(404, "<html>"),
            Reply::ok(r#"{"result": 7}"#),
            Reply::ok(rpc.to_string()),
            Reply::ok(r#"{"result": 3}"#),
        ];
        for replies in [modern, old] {
            let wanted = replies.len();
            let server = Server::script(replies);
            plan(&connect(&server, Value::Null, Value::Null)).unwrap();
            assert_eq!(server.seen().len(), wanted, "{name}");
        }
    }
}

#[test]
fn an_unknown_language_is_the_settings_fault() {
    for modern in [true, false] {
        let odoo = connect(&small(modern), json!({"lang": "xx_YY"}), Value::Null);
        let error = plan(&odoo).unwrap_err();
        assert_eq!(error.code, Code::Invalid);
        assert!(error.hint.unwrap().contains("lang"));
    }
}

#[test]
fn companies_are_named_in_every_call() {
    let server = small(true);
    plan(&connect(&server, json!({"companies": [2, 5]}), Value::Null)).unwrap();
    let last = call_of(server.seen().last().unwrap()).unwrap();
    assert_eq!(last.args["context"]["allowed_company_ids"], json!([2, 5]));
}

#[test]
fn hidden_records_are_told_from_deleted_ones() {
    for modern in [true, false] {
        let table = Table {
            hidden: vec![4, 9],
            ..Table::new("res.partner", partners(10, 1))
        };
        let odoo = connect(&Erp::new(modern, vec![table]).start(), Value::Null, Value::Null);
        let batch = ask(&odoo, [1, 4, 9, 77, 78]);
        assert_eq!(batch.records.len(), 1);
        let mut hidden = batch.hidden;
        hidden.sort();
        assert_eq!(hidden, ["4", "9"]);
        assert!(ask(&odoo, [77, 78]).hidden.is_empty());
    }
}

#[test]
fn what_a_short_answer_lacks_is_not_gone() {
    for modern in [true, false] {
        let table = Table {
            cap: Some(7),
            ..Table::new("res.partner", partners(60, 1))
        };
        let odoo = connect(&Erp::new(modern, vec![table]).start(), Value::Null, Value::Null);
        let batch = ask(&odoo, (1..=60).chain([77, 78]));
        let there = batch.records.iter().map(|record| record.external_id.clone());
        let there: BTreeSet<u64> = there.chain(batch.hidden).map(|id| id.parse().unwrap()).collect();
        assert_eq!(there, (1..=60).collect());
    }
}

#[test]
fn where_everything_is_hidden_questions_end_and_nothing_counts_as_gone() {
    let table = Table {
        hidden: (1..=1000).collect(),
        ..Table::new("res.partner", partners(1000, 1))
    };
    let server = Erp::new(true, vec![table]).start();
    let odoo = connect(&server, Value::Null, Value::Null);
    let hidden: usize = (0..10)
        .map(|n| ask(&odoo, n * 100 + 1..=n * 100 + 100).hidden.len())
        .sum();
    assert_eq!(hidden, 1000);
    assert!(server.seen().len() < 320, "{}", server.seen().len());
}

#[test]
fn the_probe_tells_what_the_key_may_read() {
    let soon = chrono::Utc::now().date_naive() + chrono::Days::new(9);
    for (modern, version, mode) in [(true, "19.0", "json2"), (false, "17.0", "jsonrpc")] {
        let mut people = partners(5, 1);
        for row in &mut people {
            row["active"] = json!(row["id"] != 2);
        }
        let tables = vec![
            Table::new("res.partner", people),
            Table {
                denied: true,
                ..Table::new("purchase.order", vec![])
            },
            Table::new("sale.order", vec![json!({"id": 1, "name": "S1"})]),
            Table::new("sale.order.line", vec![json!({"id": 1, "order_id": [1, "S1"]})]),
            // counted by whom it may not be read in full
            Table::new("stock.picking", vec![json!({"id": 1, "name": "T1"})]),
            Table {
                denied: true,
                ..Table::new("stock.move", vec![json!({"id": 1, "picking_id": [1, "T1"]})])
            },
            Table::new(
                "res.users",
                vec![json!({"id": 7, "company_ids": [1, 3], "lang": "de_DE"})],
            ),
            Table::new(
                "res.company",
                vec![json!({"id": 1, "name": "A"}), json!({"id": 3, "name": "B"})],
            ),
            Table::new(
                "res.users.apikeys",
                vec![
                    // one that has expired is not the one that was let in
                    json!({"id": 1, "name": "old", "user_id": [7, "Api"], "expiration_date": "2020-01-31 10:00:00"}),
                    json!({"id": 2, "name": "sync", "user_id": [7, "Api"], "expiration_date": format!("{soon} 10:00:00")}),
                    json!({"id": 3, "name": "for good", "user_id": [7, "Api"], "expiration_date": false}),
                ],
            ),
        ];
        let odoo = connect(
            &Erp::new(modern, tables).start(),
            json!({"companies": [3]}),
            Value::Null,
        );
        let probe = odoo.probe().unwrap();
        assert_eq!(
            (probe.version.as_deref(), probe.auth_mode.as_str()),
            (Some(version), mode)
        );
        assert_eq!(
            probe.entities["customers"],
            json!({"readable": true, "count": 5, "archived": 1})
        );
        assert_eq!(probe.entities["orders"], json!({"readable": true, "count": 1}));
        assert_eq!(probe.entities["sales"], probe.entities["orders"]);
        for (refused, model) in [
            ("purchases", "purchase.order"),
            ("transfers", "stock.move"),
            ("products", "product.product"),
        ] {
            assert_eq!(probe.entities[refused]["readable"], false);
            let reason = probe.entities[refused]["reason"].as_str().unwrap_or_default();
            assert!(reason.contains(model), "{reason}");
        }
        assert_eq!(probe.companies, [json!({"id": 3, "name": "B"})]);
        let told = probe.warnings.join("\n");
        for word in [
            "1 of 5 customers are archived",
            "1 of its user's 2 companies",
            &*format!("One of the API keys of the connector's user, \"sync\" expires on {soon}"),
            "user speaks de_DE",
        ] {
            assert!(told.contains(word), "{told}");
        }
        assert!(!told.contains("old") && !told.contains("for good"), "{told}");
        assert_ne!(probe.clock_skew_seconds, 0);
        assert_eq!(odoo.memo()["uid"], 7);
    }
}

#[test]
fn mistakes_are_named() {
    let check = |base: &str, settings: Value, credentials: &Value| {
        validate("odoo".parse().unwrap(), base, &settings, credentials, &[])
    };
    let (base, keys) = ("https://erp.example", credentials());
    check(base, Value::Null, &keys).unwrap();
    check(
        base,
        Value::Null,
        &json!({"api_key": "a", "webhook_secret": "w"}),
    )
    .unwrap();
    check(
        base,
        json!({"companies": [1], "compare_limit": 0, "lang": "de_DE", "page_size": 500, "transport": "jsonrpc",
            "timeout": 5, "requests_per_second": 1}),
        &keys,
    )
    .unwrap();
    for page in [
        "https://erp.example/web",
        "https://erp.example/odoo/contacts",
        "https://erp.example/jsonrpc",
    ] {
        assert!(check(page, Value::Null, &keys)
            .unwrap_err()
            .message
            .contains("base_url"));
    }
    for (settings, credentials, named) in [
        (json!({"colour": 1}), keys.clone(), "colour"),
        (json!({"lang": "de DE"}), keys.clone(), "lang"),
        (json!({"page_size": 0}), keys.clone(), "page_size"),
        (json!({"page_size": 9000}), keys.clone(), "page_size"),
        (json!({"companies": ["1"]}), keys.clone(), "companies"),
        (json!({"transport": "xmlrpc"}), keys.clone(), "transport"),
        (json!({}), Value::Null, "api_key"),
        (
            json!({}),
            json!({"api_key": "a", "password": "hidden"}),
            "password",
        ),
        (
            json!({}),
            json!({"password": "hidden", "login": "me"}),
            "database",
        ),
        (
            json!({}),
            json!({"password": "hidden", "database": "lab"}),
            "login",
        ),
        (
            json!({}),
            json!({"api_key": "hidden", "user": "me"}),
            "credentials",
        ),
    ] {
        let error = check(base, settings, &credentials).unwrap_err();
        assert_eq!(error.code, Code::Invalid);
        assert!(error.message.contains(named), "{error:?}");
        assert!(!format!("{error:?}").contains("hidden"));
    }
}

/// Every recorded failure of a read is classified as it should be, and shows nothing of its traceback.
#[test]
fn recorded_refusals_are_understood() {
    use super::refusal::{read, Asked, Cause};
    for version in ["odoo19", "odoo17"] {
        for (name, recording) in recordings(version) {
            let body = &recording["response"]["body_json"];
            let error = if body["error"].is_object() {
                &body["error"]["data"]
            } else {
                body
            };
            let asked = Asked {
                act: Act::Read,
                model: "no.such",
                lang: "xx_YY",
            };
            let asked = if name.ends_with("error-missing-model") && !name.contains("json2") {
                Asked {
                    model: "no.such.model",
                    ..asked
                }
            } else {
                asked
            };
            let Some(refusal) = read(error, &asked, &Default::default()) else {
                continue;
            };
            let wanted = match name.split_once('-').unwrap().1 {
                "error-bad-key"
                | "json2-error-bad-key"
                | "json2-error-expired-key"
                | "json2-error-no-auth"
                | "common-authenticate-no-db" => Cause::Denied,
                "error-access-model"
                | "error-record-rule-read"
                | "json2-error-access"
                | "error-no-fields"
                | "error-access-write"
                | "error-private-method"
                | "json2-error-private" => Cause::Forbidden,
                "error-missing-model" | "json2-error-missing-model" => Cause::NoModel,
                "json2-error-missing-record" | "write-deleted" | "unlink-deleted" => Cause::Missing,
                _ => Cause::Other,
            };
            assert_eq!(refusal.cause, wanted, "{version} {name}");
            assert!(!format!("{:?}", refusal.error).contains("Traceback"), "{name}");
        }
    }
}
