//! The harness itself: without these, every other failure means nothing.

use std::time::Duration;

use sync_ext_tests::{server, sqlstate, wait_until, Server, TestDb};

#[test]
fn the_private_server_answers() {
    let version: String = server()
        .client("postgres")
        .query_one("SELECT version()", &[])
        .unwrap()
        .get(0);
    assert!(version.starts_with("PostgreSQL "), "{version}");
    assert_eq!(server().psql("postgres", "SELECT 1 + 1"), "2");
}

#[test]
fn a_test_database_has_the_extension_and_its_settings() {
    let db = TestDb::new();
    let hosts: String = db
        .client()
        .query_one("SHOW sync_ext.allowed_hosts", &[])
        .unwrap()
        .get(0);
    assert_eq!(hosts, "127.0.0.1");
    assert_eq!(
        db.psql("SELECT count(*) FROM pg_extension WHERE extname = 'sync_ext'"),
        "1"
    );
}

#[test]
fn a_test_database_is_gone_afterwards_even_when_somebody_is_connected() {
    let db = TestDb::new();
    let name = db.name().to_string();
    let mut left_open = db.client();
    drop(db);
    let left = server().psql(
        "postgres",
        &format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"),
    );
    assert_eq!(left, "0");
    assert!(left_open.simple_query("SELECT 1").is_err());
}

#[test]
fn an_error_is_known_by_its_sqlstate() {
    let mut client = server().client("postgres");
    assert_eq!(sqlstate(client.simple_query("SELECT 1 / 0")), "22012");
}

#[test]
fn a_session_speaks_for_its_role_and_organisation() {
    let db = TestDb::new();
    let (role, org) = (db.login_role(), db.org());
    let mut client = db.connect_as(&role, org);
    let row = client
        .query_one(
            "SELECT current_user::text, current_setting('app.current_org_id')",
            &[],
        )
        .unwrap();
    assert_eq!(
        (row.get::<_, String>(0), row.get::<_, String>(1)),
        (role, org.to_string())
    );
}

#[test]
fn a_server_of_its_own_survives_a_crash() {
    let server = Server::separate();
    let db = TestDb::on(&server);
    db.psql("CREATE TABLE kept AS SELECT 42 AS n");
    let mark = server.log_mark();
    server.restart(true);
    assert_eq!(db.psql("SELECT n FROM kept"), "42");
    wait_until(Duration::from_secs(10), || {
        server.log_since(mark).contains("automatic recovery in progress")
    });
}
