//! Addresses that a connector may not name, since the server would carry the request out.

use sync_ext_tests::TestDb;
use sync_sandbox::{Config, Fault, Rule, Sandbox, When};

use crate::worker_shop::*;

fn connect_to(base_url: &str) -> String {
    format!(
        "SELECT sync_connect('woocommerce', '{base_url}', '{{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}}')"
    )
}

#[test]
fn spelt_out_local_and_private_addresses_are_refused_however_they_are_written() {
    let db = TestDb::new();
    db.set("sync_ext.allowed_hosts", "");
    let org = db.org();
    let mut client = db.connect_as(&db.role("admin", org), org);
    for host in [
        "169.254.169.254",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ] {
        for scheme in ["http", "https"] {
            let result = client.batch_execute(&connect_to(&format!("{scheme}://{host}/")));
            let told = refused(result, "08001");
            assert!(told.contains("sync_ext.allowed_hosts"), "{host}: {told}");
        }
    }
    assert_eq!(db.psql("SELECT count(*) FROM integration_connector"), "0");
}

#[test]
fn a_name_that_stands_for_a_local_address_is_refused_when_it_is_resolved() {
    let db = TestDb::new();
    db.set("sync_ext.allowed_hosts", "");
    let shop = Sandbox::start(Config::default()).unwrap();
    let org = db.org();
    let mut client = db.connect_as(&db.role("admin", org), org);
    let url = shop.url().replace("127.0.0.1", "localhost");
    client.batch_execute(&connect_to(&url)).unwrap();
    for statement in [
        "SELECT sync_test_connection('woocommerce')",
        CUSTOMERS,
        "SELECT sync_preview('woocommerce', 'customers')",
    ] {
        let told = refused(client.batch_execute(statement), "08001");
        assert!(told.contains("sync_ext.allowed_hosts"), "{told}");
        assert!(
            !told.contains("127.0.0.1") && !told.contains("::1"),
            "no look into the network: {told}"
        );
    }
    assert_eq!(shop.stats().connections, 0);
}

#[test]
fn what_is_no_longer_allowed_is_refused_to_a_connector_that_exists() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    shop.pull();
    db.set("sync_ext.allowed_hosts", "");
    shop.sandbox.reset_stats();
    refused(shop.client().batch_execute(CUSTOMERS), "08001");
    assert_eq!(shop.sandbox.stats().connections, 0);
}

#[test]
fn a_redirect_to_another_place_is_not_followed() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let secret_place = Sandbox::start(Config::default()).unwrap();
    for to in [
        format!("{}/wp-json/wc/v3/customers", secret_place.url()),
        "http://169.254.169.254/latest/meta-data/".to_string(),
        "http://[::1]/".to_string(),
        "http://2130706433/".to_string(),
        "//169.254.169.254/".to_string(),
        "file:///etc/passwd".to_string(),
    ] {
        for status in [301, 307] {
            let to = to.clone();
            shop.sandbox
                .fault(Rule::new("/", When::All, Fault::Redirect { to, status }));
            let told = refused(shop.client().batch_execute(CUSTOMERS), "08001");
            assert!(!told.contains("ck_rw") && !told.contains("cs_rw"), "{told}");
            shop.recover();
        }
    }
    assert_eq!(secret_place.stats().connections, 0);
    shop.pull();
}

#[test]
fn a_base_url_with_credentials_in_it_is_refused_without_repeating_them() {
    let db = TestDb::new();
    let org = db.org();
    let mut client = db.connect_as(&db.role("admin", org), org);
    let told = refused(
        client.batch_execute(&connect_to("https://me:hunter2@shop.example.com/")),
        "22023",
    );
    assert!(!told.contains("hunter2"), "{told}");
    for url in [
        "ftp://shop.example.com",
        "file:///etc/passwd",
        "shop.example.com",
        "http://",
        "",
    ] {
        refused(client.batch_execute(&connect_to(url)), "22023");
    }
}

#[test]
fn only_a_superuser_can_say_which_hosts_and_which_key_file() {
    let db = TestDb::new();
    db.set("sync_ext.allowed_hosts", "");
    let org = db.org();
    let admin = db.role("admin", org);
    for setting in [
        "allowed_hosts",
        "key_file",
        "max_workers",
        "max_runs_per_org",
        "preview_rate",
        "max_timeout",
    ] {
        // once the library is loaded, and before: then it is a setting that nobody knows yet
        let mut client = db.connect_as(&admin, org);
        client.batch_execute("SELECT sync_current_org()").unwrap();
        refused(
            client.batch_execute(&format!("SET sync_ext.{setting} = '1'")),
            "42501",
        );
        let mut early = db.connect_as(&admin, org);
        let _ = early.batch_execute(&format!("SET sync_ext.{setting} = '1'"));
        early.batch_execute("SELECT sync_current_org()").unwrap();
        let name = format!("sync_ext.{setting}");
        let kept = db.client().query_one("SELECT current_setting($1)", &[&name]);
        let now = early.query_one("SELECT current_setting($1)", &[&name]);
        if let (Ok(kept), Ok(now)) = (kept, now) {
            assert_eq!(now.get::<_, String>(0), kept.get::<_, String>(0), "{setting}");
        }
    }
    let mut early = db.connect_as(&admin, org);
    let _ = early.batch_execute("SET sync_ext.allowed_hosts = '127.0.0.1'");
    refused(early.batch_execute(&connect_to("http://127.0.0.1:9/")), "08001");
}

#[test]
fn nobody_but_a_superuser_sees_where_the_key_is() {
    let db = TestDb::new();
    let org = db.org();
    let mut client = db.connect_as(&db.role("admin", org), org);
    client.batch_execute("SELECT sync_current_org()").unwrap();
    refused(client.batch_execute("SHOW sync_ext.key_file"), "42501");
    let seen: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_settings WHERE name = 'sync_ext.key_file'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(seen, 0);
}
