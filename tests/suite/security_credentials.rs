//! Credentials: sealed where they are stored, and nowhere else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use sync_ext_tests::{Server, TestDb};
use sync_sandbox::{Fault, Rule, When};

use crate::worker_shop::*;

const SECRETS: [&str; 2] = ["ck_hushhush", "cs_hushhush"];

#[track_caller]
fn assert_silent(place: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{place}: {text}");
    }
}

/// Connects the shop anew with the secrets that are looked for.
fn reconnect(shop: &ConnectedShop) {
    let connect = shop
        .connect_sql()
        .replace("ck_rw", SECRETS[0])
        .replace("cs_rw", SECRETS[1]);
    shop.client().batch_execute(&connect).unwrap();
}

/// The server writes a file of its own; readable by others, unless told otherwise.
fn write_key(db: &TestDb, name: &str, content: &str, mode: u32) -> String {
    let path = db
        .server()
        .dir()
        .join("data")
        .join(format!("{}_{name}", db.name()));
    let path = path.to_str().unwrap().to_string();
    db.psql(&format!("COPY (SELECT '{content}') TO '{path}'"));
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn credentials_show_in_no_error_no_log_no_table_and_no_view() {
    let server = Server::separate_with(
        "log_min_duration_statement = 0\nlog_error_verbosity = verbose\nlog_min_messages = debug1\n",
    );
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    // the caller's own statement is in the log of a server that logs statements; nothing after it
    reconnect(&shop);
    let mark = server.log_mark();
    let echo = format!(
        r#"{{"code":"x","message":"key {} with {} is unknown"}}"#,
        SECRETS[0], SECRETS[1]
    );
    let reply = |status: u16, body: &str| Fault::Reply {
        status,
        content_type: "application/json".into(),
        body: body.into(),
    };
    let faults = [
        None,
        Some(Fault::Reset),
        Some(Fault::PhpFatal),
        Some(Fault::HtmlPage),
        Some(Fault::CutJson { bytes: 20 }),
        Some(Fault::TooManyRequests {
            retry_after: Some("600".into()),
        }),
        Some(Fault::Redirect {
            to: format!(
                "http://elsewhere.example.com/?consumer_key={}&s={}",
                SECRETS[0], SECRETS[1]
            ),
            status: 302,
        }),
        Some(reply(401, &echo)),
        Some(reply(500, &echo)),
        Some(reply(200, &echo)),
        Some(reply(404, &echo)),
    ];
    let mut client = shop.client();
    client
        .batch_execute("SET sync_ext.max_retries = 0; SET client_min_messages = debug1")
        .unwrap();
    for fault in faults {
        if let Some(fault) = fault {
            shop.sandbox.fault(Rule::new("/", When::All, fault));
        }
        for statement in [CUSTOMERS, "SELECT sync_test_connection('woocommerce')"] {
            let outcome = client.simple_query(statement);
            assert_silent("outcome", &format!("{outcome:?}"));
            // what can be read of a shop that refuses is part of the test's answer, not an error
            assert!(outcome.is_err() || statement != CUSTOMERS, "{outcome:?}");
        }
        shop.recover();
        db.psql("UPDATE integration_connector SET blocked_until = NULL");
    }
    assert_silent("server log", &server.log_since(mark));
    let relations = db.psql(
        "SELECT format('SELECT string_agg(t::text, %L) FROM %s t', ' ', oid::regclass)
         FROM pg_class WHERE relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND relkind IN ('r', 'p', 'v')",
    );
    for select in relations.lines() {
        assert_silent(select, &db.psql(select));
        let mut admin = shop.client();
        if let Ok(text) = first_value(&mut admin, select) {
            assert_silent(select, &text);
        }
    }
}

#[test]
fn credentials_show_neither_in_the_activity_of_a_worker_nor_in_explain() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    reconnect(&shop);
    let call = shop.hanging_pull();
    let activity = db.psql(
        "SELECT string_agg(a::text, ' ') FROM pg_stat_activity a WHERE a.backend_type = 'sync_ext worker'",
    );
    assert!(activity.contains("sync_ext worker"), "{activity}");
    assert_silent("pg_stat_activity", &activity);
    call.token.cancel_query(postgres::NoTls).unwrap();
    refused(call.finish(), "57014");
    let mut client = shop.client();
    for statement in ["SELECT * FROM sync_connectors", CUSTOMERS, "SELECT sync_health()"] {
        let plan = client
            .simple_query(&format!("EXPLAIN (VERBOSE) {statement}"))
            .unwrap();
        assert_silent("explain", &format!("{plan:?}"));
    }
}

#[test]
fn the_statement_that_connects_shows_in_no_log_when_it_fails_and_in_no_activity_afterwards() {
    let server = Server::separate();
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    let mark = server.log_mark();
    let connect = |url: &str| {
        format!(
            r#"SELECT sync_connect('woocommerce', '{url}', '{{"consumer_key": "{}", "consumer_secret": "{}"}}', name => 'other')"#,
            SECRETS[0], SECRETS[1]
        )
    };
    refused(client.simple_query(&connect("ftp://127.0.0.1")), "22023");
    refused(client.simple_query(&connect("http://169.254.169.254")), "08001");
    // a name that is put together as it is called
    let split = connect("http://127.0.0.1:9")
        .replace("cs_hushhush\"}", "cs_hushhush\"")
        .replace("sync_connect", "sync_' || 'connect");
    let inner = split.replace('\'', "''").replace("'' || ''", "' || '");
    refused(
        client.simple_query(&format!("DO $do$ BEGIN EXECUTE '{inner}'; END $do$")),
        "22P02",
    );
    client.simple_query(&connect("http://127.0.0.1:9")).unwrap();
    let activity =
        db.psql("SELECT string_agg(query, ' ') FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
    assert!(activity.contains("SELECT sync_connect(...)"), "{activity}");
    assert_silent("pg_stat_activity", &activity);
    let log = server.log_since(mark);
    assert!(log.contains("is not allowed"), "{log}");
    assert_silent("server log", &log);
    // what else fails in the session is logged as ever
    refused(client.simple_query("SELECT 1 / 0 AS after_connecting"), "22012");
    assert!(server.log_since(mark).contains("after_connecting"));
}

#[test]
fn malformed_credentials_are_refused_without_repeating_them() {
    let db = TestDb::new();
    let org = db.org();
    let mut client = db.connect_as(&db.role("admin", org), org);
    for credentials in [
        r#"{"consumer_key": "ck_hushhush"}"#,
        r#"{"consumer_key": "ck_hushhush", "consumer_secret": 7}"#,
        r#"{"consumer_key": "ck_hushhush", "consumer_secret": "cs_hushhush", "more": "cs_hushhush"}"#,
        r#"["ck_hushhush", "cs_hushhush"]"#,
        r#""cs_hushhush""#,
        "null",
        "{}",
    ] {
        let connect = "SELECT sync_connect('woocommerce', 'https://shop.example.com', $1::text::jsonb)";
        let error = client.query(connect, &[&credentials]).expect_err(credentials);
        assert_eq!(error.code().unwrap().code(), "22023", "{error:?}");
        assert_silent("error", &format!("{error:?}"));
    }
}

#[test]
fn sealed_credentials_open_for_no_other_connector_and_no_other_organisation() {
    let db = TestDb::new();
    let (a, b) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let second = a
        .connect_sql()
        .replace("settings =>", "name => 'second', settings =>");
    a.client().batch_execute(&second).unwrap();
    let stored = db.psql("SELECT string_agg(encode(credentials, 'escape'), ' ') FROM integration_connector");
    assert!(
        !stored.contains("cs_rw") && !stored.contains("consumer"),
        "{stored}"
    );

    let copy = |org: &str, name: &str| {
        db.psql(&format!(
            "UPDATE integration_connector SET credentials = (
                 SELECT credentials FROM integration_connector WHERE org_id = '{}' AND name = 'woocommerce')
             WHERE org_id = '{org}' AND name = '{name}'",
            a.org
        ))
    };
    copy(&b.org.to_string(), "woocommerce");
    copy(&a.org.to_string(), "second");
    refused(b.client().batch_execute(CUSTOMERS), "55000");
    refused(
        a.client()
            .batch_execute("SELECT sync_pull('second', 'customers')"),
        "55000",
    );
    assert_eq!(b.sandbox.stats().requests, 0);
    a.pull();
}

#[test]
fn without_a_key_file_connecting_says_how_to_make_one() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let missing = db.server().dir().join("data/no-such-key");
    for path in ["", missing.to_str().unwrap()] {
        db.set("sync_ext.key_file", path);
        let told = refused(shop.client().batch_execute(&shop.connect_sql()), "55000");
        assert!(told.contains("openssl rand -hex 32"), "{told}");
        refused(shop.client().batch_execute(CUSTOMERS), "55000");
    }
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    for mode in [0o644, 0o640, 0o604, 0o620] {
        let path = write_key(&db, "open", &"ab".repeat(32), mode);
        db.set("sync_ext.key_file", &path);
        let told = refused(shop.client().batch_execute(&shop.connect_sql()), "55000");
        assert!(told.contains("read by others"), "{told}");
    }
}

#[test]
fn another_key_opens_nothing_and_says_so() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let path = write_key(&db, "other", &"ab".repeat(32), 0o600);
    db.set("sync_ext.key_file", &path);
    let told = refused(shop.client().batch_execute(CUSTOMERS), "55000");
    assert!(
        told.contains("sealed with another key") && told.contains("sync_ext.key_file"),
        "{told}"
    );
    // connecting again seals with the key there is now
    shop.client().batch_execute(&shop.connect_sql()).unwrap();
    shop.pull();
}

#[test]
fn a_file_that_holds_no_key_is_refused_without_showing_what_it_holds() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    for content in ["", "cs_hushhush", &"zz".repeat(32), &"ab".repeat(31)] {
        let path = write_key(&db, "broken", content, 0o600);
        db.set("sync_ext.key_file", &path);
        let told = refused(shop.client().batch_execute(&shop.connect_sql()), "55000");
        assert!(told.contains("64 hexadecimal digits"), "{told}");
        assert_silent("error", &told);
    }
}
