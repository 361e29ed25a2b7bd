//! What goes wrong between us and an Odoo: each case has its SQLSTATE and a hint, leaves the ledger as it was, and
//! tells neither secrets nor tracebacks.

use postgres::error::DbError;
use serde_json::{json, Value};
use sync_sandbox::odoo::Version;
use sync_sandbox::{Fault, When};

use crate::erp::{Erp, VERSIONS};

const SECRETS: [&str; 4] = ["key_apiuser", "pw_apiuser", "Traceback", "service/model.py"];

/// An Odoo that was pulled, and has changed since.
fn changed(version: Version) -> Erp {
    let mut erp = Erp::new(version);
    erp.pull("customers");
    let mut ids = erp.unused("res.partner");
    ids.retain(|id| erp.record("res.partner", *id)["child_ids"] == json!([]));
    let last = ids[ids.len() - 2..].to_vec();
    erp.change(json!({ "op": "edit", "entity": "res.partner", "id": last[0], "set": { "phone": "77" } }));
    erp.change(json!({ "op": "unlink", "entity": "res.partner", "ids": [last[1]] }));
    erp.sandbox.reset_stats();
    erp
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

/// A pull that fails so, and leaves no trace but the log.
#[track_caller]
fn fails(erp: &mut Erp, state: &str) -> DbError {
    let places = erp.places();
    let error = erp.try_pull("customers").expect_err("the pull should fail");
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}")).clone();
    assert_eq!(error.code().code(), state, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.ends_with('.')), "{error:?}");
    assert_no_secret(&format!("{error:?}"));
    assert_eq!(erp.places(), places);
    let log: String = erp
        .root
        .query_one(
            "SELECT string_agg(to_jsonb(l)::text, ' ') FROM sync_activity_log l",
            &[],
        )
        .unwrap()
        .get(0);
    assert_no_secret(&log);
    error
}

/// A fault that stays fails the pull; without it, the next one finds what had changed.
#[track_caller]
fn breaks_until_cleared(version: Version, fault: Fault, state: &str) -> DbError {
    let mut erp = changed(version);
    let what = format!("{version:?} {fault:?}");
    erp.fault("customers", When::All, fault);
    let error = fails(&mut erp, state);
    erp.sandbox.clear_faults(None);
    erp.sandbox.release();
    let pulled = erp.pull("customers");
    assert_eq!(
        (&pulled["updated"], &pulled["deleted"]),
        (&json!(1), &json!(1)),
        "{what}"
    );
    erp.assert_mirrored("customers");
    error
}

/// A fault that passes costs a request or two and nothing else.
#[track_caller]
fn is_sat_out(version: Version, fault: Fault) {
    let mut erp = changed(version);
    let what = format!("{version:?} {fault:?}");
    erp.fault("customers", When::Next(1), fault);
    let pulled = erp.try_pull("customers");
    let pulled = pulled.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!(
        (&pulled["updated"], &pulled["deleted"]),
        (&json!(1), &json!(1)),
        "{what}"
    );
    erp.assert_mirrored("customers");
}

fn exception(name: &str, message: &str) -> Fault {
    Fault::Error {
        name: name.into(),
        message: message.into(),
    }
}

#[test]
fn what_is_no_answer_of_odoo_fails_the_pull() {
    for version in VERSIONS {
        let page = |status| Fault::Reply {
            status,
            content_type: "text/html".into(),
            body: "<!DOCTYPE html><title>404 Not Found</title>".into(),
        };
        for (fault, state) in [
            (page(404), "08P01"),
            (Fault::HtmlPage, "08P01"),
            (Fault::EmptyBody, "08P01"),
            (Fault::CutJson { bytes: 40 }, "08P01"),
            (Fault::Reset, "08006"),
        ] {
            breaks_until_cleared(version, fault, state);
        }
    }
}

#[test]
fn what_passes_is_sat_out() {
    for version in VERSIONS {
        for fault in [
            Fault::Reset,
            Fault::CutBody { bytes: 30 },
            Fault::TooManyRequests {
                retry_after: Some("0".into()),
            },
            Fault::Reply {
                status: 503,
                content_type: "text/html".into(),
                body: "<h1>Service Unavailable</h1>".into(),
            },
            Fault::Reply {
                status: 502,
                content_type: "text/html".into(),
                body: "<h1>Bad Gateway</h1>".into(),
            },
        ] {
            is_sat_out(version, fault);
        }
    }
}

#[test]
fn a_database_that_is_busy_is_asked_again() {
    for version in VERSIONS {
        for name in [
            "psycopg2.errors.SerializationFailure",
            "psycopg2.errors.LockNotAvailable",
            "psycopg2.pool.PoolError",
        ] {
            is_sat_out(version, exception(name, "try again"));
        }
    }
}

#[test]
fn an_exception_is_named_and_not_asked_for_again() {
    for version in VERSIONS {
        let error = breaks_until_cleared(
            version,
            exception("builtins.ValueError", "Invalid field 'x' on 'res.partner'"),
            "08P01",
        );
        assert!(error.message().contains("ValueError"), "{error:?}");
        let mut erp = changed(version);
        erp.fault("customers", When::All, exception("builtins.ValueError", "no"));
        fails(&mut erp, "08P01");
        let asked = erp.sandbox.stats().paths[&erp.route("res.partner", "search_read")];
        // Pages are fetched side by side, and each that fails is asked for once more, by ids alone.
        assert!(asked <= 8, "asked {asked} times");
    }
}

#[test]
fn rights_that_are_taken_away_fail_the_pull() {
    for version in VERSIONS {
        let error = exception(
            "odoo.exceptions.AccessError",
            "Sie haben keinen Zugriff auf key_apiuser",
        );
        breaks_until_cleared(version, error, "28P01");
        let mut erp = changed(version);
        erp.user(json!({ "denied": ["res.partner"] }));
        fails(&mut erp, "28P01");
        erp.user(json!({ "denied": [] }));
        erp.pull("customers");
        erp.assert_mirrored("customers");
    }
}

#[test]
fn an_odoo_that_hangs_times_out() {
    for version in VERSIONS {
        let mut erp = changed(version);
        erp.db.set("sync_ext.max_retries", "0");
        erp.connect(
            &json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser" }),
            &json!({ "compare_limit": 0, "page_size": 20, "timeout": 1 }),
        )
        .unwrap();
        erp.fault("customers", When::All, Fault::Hang);
        let role: String = erp
            .sql
            .query_one("SELECT current_user::text", &[])
            .unwrap()
            .get(0);
        erp.sql = erp.db.connect_as(&role, erp.org);
        fails(&mut erp, "08006");
        erp.sandbox.clear_faults(None);
        erp.sandbox.release();
        erp.pull("customers");
        erp.assert_mirrored("customers");
    }
}

#[test]
fn wrong_credentials_are_told_from_a_wrong_database() {
    for version in VERSIONS {
        for (credentials, states) in [
            (
                json!({ "database": "lab", "login": "apiuser", "api_key": "key_nobody" }),
                ["28P01"; 2],
            ),
            (
                json!({ "database": "lab", "login": "apiuser", "password": "wrong" }),
                ["28P01"; 2],
            ),
            // Over JSON-2 a wrong database is a page that isn't there; JSON-RPC names it.
            (
                json!({ "database": "nodb", "login": "apiuser", "api_key": "key_apiuser" }),
                ["28P01"; 2],
            ),
        ] {
            let mut erp = Erp::new(version);
            erp.connect(&credentials, &json!({})).unwrap();
            let error = erp.try_pull("customers").expect_err("the pull should fail");
            let state = error.code().unwrap().code();
            let expected = states[usize::from(version == Version::V19)];
            assert_eq!(state, expected, "{version:?} {credentials}: {error:?}");
            assert_no_secret(&format!("{error:?}"));
            assert!(!format!("{error:?}").contains("key_nobody"));
        }
    }
}

#[test]
fn a_password_works_where_there_is_no_key() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        let credentials = json!({ "database": "lab", "login": "apiuser", "password": "pw_apiuser" });
        erp.connect(&credentials, &json!({})).unwrap();
        erp.pull("customers");
        erp.assert_mirrored("customers");
        let paths: Value = json!(erp.sandbox.stats().paths);
        assert!(!paths.to_string().contains("/json/2"), "{paths}");
    }
}

#[test]
fn one_types_failure_leaves_the_others_alone() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        erp.fault("sales", When::All, exception("builtins.ValueError", "no"));
        let row = erp.sql.query_one("SELECT sync_all('odoo')", &[]);
        let all: Value = row.unwrap().get(0);
        for entity in crate::erp::ENTITIES {
            if matches!(entity, "sales" | "orders") {
                assert!(erp.ledger(entity).is_empty(), "{all}");
            } else {
                erp.assert_mirrored(entity);
            }
        }
    }
}
