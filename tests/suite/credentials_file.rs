//! Credentials that never pass through SQL, and what the log shows of those that do.

use sync_ext_tests::{schema, Server, TestDb};

use crate::worker_shop::*;

const SECRETS: &str = r#"{"consumer_key": "ck_rw", "consumer_secret": "cs_rw"}"#;

/// A folder for credentials of the server's own, as a superuser of the machine would make it.
struct Folder<'a> {
    db: &'a TestDb<'a>,
    path: String,
}

impl<'a> Folder<'a> {
    fn new(db: &'a TestDb<'a>) -> Self {
        let path = db
            .server()
            .dir()
            .join("data")
            .join(format!("{}_credentials", db.name()));
        let folder = Folder {
            db,
            path: path.to_str().unwrap().to_owned(),
        };
        folder.shell("umask 077; mkdir \"$at\"");
        db.set("sync_ext.credentials_dir", &folder.path);
        folder
    }

    /// Runs a command as the server's user; `$at` is the folder.
    #[track_caller]
    fn shell(&self, command: &str) {
        // what is given has to be read, or writing it fails
        let command = format!("cat > /dev/null; at='{}'; {command}", self.path).replace('\'', "''");
        self.db.psql(&format!("COPY (SELECT 1) TO PROGRAM '{command}'"));
    }

    #[track_caller]
    fn write(&self, name: &str, content: &str) {
        self.shell(&format!(
            "umask 077; mkdir -p \"$(dirname \"$at/{name}\")\"; printf %s '{content}' > \"$at/{name}\""
        ));
    }
}

fn connect(shop: &ConnectedShop, file: &str) -> String {
    format!(
        "SELECT sync_connect('woocommerce', '{}', '{{\"file\": {file}}}', settings => '{{\"requests_per_second\": 1000}}')",
        shop.sandbox.url()
    )
}

#[test]
fn a_connector_takes_its_credentials_from_a_file_of_its_organisation() {
    let server = Server::separate_with("log_statement = 'all'\nlog_min_messages = debug1\n");
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    let folder = Folder::new(&db);
    db.psql("UPDATE integration_connector SET credentials = '\\x00'");
    refused(shop.client().batch_execute(CUSTOMERS), "55000");
    let mark = server.log_mark();
    folder.shell(&format!(
        "umask 077; mkdir \"$at/{0}\"; tr -d x > \"$at/{0}/shop.json\" <<'end'\n{1}\nend\n",
        shop.org,
        SECRETS.replace("_rw", "_xrw")
    ));
    shop.client()
        .batch_execute(&connect(&shop, "\"shop.json\""))
        .unwrap();
    shop.pull();
    for secret in ["ck_rw", "cs_rw"] {
        assert!(!server.log_since(mark).contains(secret));
        let shown = db.psql("SELECT i::text, encode(credentials, 'escape') FROM integration_connector i");
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_file_is_named_within_the_organisations_folder_and_nowhere_else() {
    let db = TestDb::new();
    let (shop, other) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let folder = Folder::new(&db);
    folder.write(&format!("{}/mine.json", shop.org), SECRETS);
    folder.write(&format!("{}/theirs.json", other.org), SECRETS);
    folder.write("common.json", SECRETS);
    for (file, code) in [
        ("\"\"", "22023"),
        ("\".\"", "22023"),
        ("\"..\"", "22023"),
        ("\"../common.json\"", "22023"),
        (&format!("\"../{}/theirs.json\"", other.org), "22023"),
        ("\"/etc/passwd\"", "22023"),
        ("\".hidden\"", "22023"),
        ("\"a\\u0000b\"", "22P05"),
        ("7", "22023"),
        ("[\"mine.json\"]", "22023"),
        (&format!("\"{}\"", "a".repeat(101)), "22023"),
        ("\"mine.json\", \"consumer_key\": \"ck_rw\"", "22023"),
        ("\"theirs.json\"", "55000"),
        ("\"common.json\"", "55000"),
    ] {
        let error = shop
            .client()
            .batch_execute(&connect(&shop, file))
            .expect_err(file);
        assert_eq!(error.code().unwrap().code(), code, "{file}: {error:?}");
    }
    shop.client()
        .batch_execute(&connect(&shop, "\"mine.json\""))
        .unwrap();
    // who may name files doesn't say where they are, neither before the library is loaded nor afterwards
    let mut client = shop.client();
    let elsewhere = format!("{}/{}", folder.path, other.org);
    folder.write(&format!("{}/{}/theirs.json", other.org, shop.org), SECRETS);
    client
        .batch_execute(&format!("SET sync_ext.credentials_dir = '{elsewhere}'"))
        .unwrap();
    refused(client.batch_execute(&connect(&shop, "\"theirs.json\"")), "55000");
    refused(
        client.batch_execute("SET sync_ext.credentials_dir = '/tmp'"),
        "42501",
    );
    refused(client.batch_execute("SHOW sync_ext.credentials_dir"), "42501");
}

#[test]
fn what_is_no_safe_file_of_credentials_is_refused_without_showing_what_it_holds() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let folder = Folder::new(&db);
    let told = refused(shop.client().batch_execute(&connect(&shop, "\"a\"")), "55000");
    assert!(
        told.contains("the organisation's folder for credentials can't be read"),
        "{told}"
    );
    let own = format!("{}/", shop.org);
    folder.write(&format!("{own}good"), SECRETS);
    folder.write("outside", SECRETS);
    for (prepare, code, reason) in [
        ("ln -s \"$at/outside\" \"$own/a\"", "55000", "is a link"),
        ("mkdir \"$own/a\"", "55000", "is no regular file"),
        ("mkfifo -m 600 \"$own/a\"", "55000", "is no regular file"),
        (
            "cp \"$own/good\" \"$own/a\"; chmod 640 \"$own/a\"",
            "55000",
            "read by others",
        ),
        (
            "cp \"$own/good\" \"$own/a\"; chmod 000 \"$own/a\"",
            "55000",
            "can't be read",
        ),
        (
            "head -c 70000 /dev/zero > \"$own/a\"; chmod 600 \"$own/a\"",
            "55000",
            "more than 65536 bytes",
        ),
        (
            "printf %s cs_hushhush > \"$own/a\"; chmod 600 \"$own/a\"",
            "22023",
            "doesn't hold a JSON object",
        ),
        (
            "printf %s [\\\"cs_hushhush\\\"] > \"$own/a\"; chmod 600 \"$own/a\"",
            "22023",
            "doesn't hold a JSON object",
        ),
        (
            "printf %s {\\\"cs_hushhush\\\":1} > \"$own/a\"; chmod 600 \"$own/a\"",
            "22023",
            "",
        ),
    ] {
        folder.shell(&format!("own=\"$at/{own}\"; rm -rf \"$own/a\"; {prepare}"));
        let told = refused(shop.client().batch_execute(&connect(&shop, "\"a\"")), code);
        assert!(told.contains(reason), "{prepare}: {told}");
        assert!(
            !told.contains("hushhush") && !told.contains(&folder.path),
            "{told}"
        );
    }
    for path in ["$at", &format!("$at/{own}")] {
        folder.shell(&format!("chmod 770 \"{path}\""));
        let told = refused(shop.client().batch_execute(&connect(&shop, "\"good\"")), "55000");
        assert!(told.contains("written to by others"), "{told}");
        folder.shell(&format!("chmod 700 \"{path}\""));
    }
    folder.shell(&format!(
        "mv \"$at/{own}\" \"$at/moved\"; ln -s moved \"$at/{}\"",
        shop.org
    ));
    let told = refused(shop.client().batch_execute(&connect(&shop, "\"good\"")), "55000");
    assert!(told.contains("is no folder"), "{told}");
    db.set("sync_ext.credentials_dir", "");
    let told = refused(shop.client().batch_execute(&connect(&shop, "\"good\"")), "55000");
    assert!(told.contains("ALTER DATABASE"), "{told}");
}

#[test]
fn no_log_shows_a_statement_with_credentials_where_the_library_is_loaded_with_the_session() {
    let server = Server::separate_with(
        "log_statement = 'all'\nlog_min_duration_statement = 0\nlog_parameter_max_length_on_error = -1\nlog_min_error_statement = debug1\n",
    );
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    db.set("session_preload_libraries", "sync_ext");
    let stranger = db.login_role();
    let mark = server.log_mark();
    let good = "'{\"consumer_key\": \"ck_hushhush\", \"consumer_secret\": \"cs_hushhush\"}'";
    let connect = |rest: &str| format!("SELECT sync_connect('woocommerce', 'http://127.0.0.1:9', {rest})");
    // a session for each: none has called anything before
    for (statement, code) in [
        (
            connect("'{\"consumer_key\": \"ck_hushhush\", cs_hushhush}'"),
            "22P02",
        ),
        (connect("'{\"consumer_key\": \"ck_hushhush\"'"), "22P02"),
        (
            connect(&format!("{good}, settings => '{{cs_hushhush}}'")),
            "22P02",
        ),
        (connect(&format!("credentals => {good}")), "42883"),
        (connect(&format!("{good}, same_system => 'cs_hushhush'")), "22P02"),
        (connect("cs_hushhush"), "42703"),
        (connect("ck_hushhush cs_hushhush"), "42601"),
        (connect("'cs_hushhush"), "42601"),
        (
            connect("'{cs_hushhush}'").replace("sync_connect", r#"U&"sync\005Fconnect""#),
            "22P02",
        ),
        (
            connect("'{cs_hushhush}'")
                .replace(
                    "sync_connect",
                    r#"sync /* a /* b */ */ . -- c
                   u&"!+000073ync_connec!0074" UESCAPE '!' "#,
                )
                .replace("sync /*", &format!("{} /*", schema())),
            "22P02",
        ),
        (
            connect("'{cs_hushhush}'")
                .replace("sync_connect", r#"U&"sync\005Fconnect""#)
                .replace("SELECT", "DO $do$ BEGIN PERFORM")
                + "; END $do$",
            "22P02",
        ),
        (format!("BEGIN; SELECT 1 / 0; {}", connect(good)), "22012"),
        (connect("'{\"consumer_key\": \"ck_hushhush\"}'"), "22023"),
        (
            connect("'{\"consumer_key\": \"ck_hushhush\"'").replace("SELECT", "DO $do$ BEGIN PERFORM")
                + "; END $do$",
            "22P02",
        ),
        (
            connect(&format!("{good}, nme => 1")).replace("SELECT", "DO $do$ BEGIN PERFORM") + "; END $do$",
            "42883",
        ),
    ] {
        let mut client = shop.client();
        let error = client.batch_execute(&statement).expect_err(&statement);
        assert_eq!(error.code().unwrap().code(), code, "{statement}: {error:?}");
        refused(
            client.batch_execute("SELECT 1 / 0 AS another_statement"),
            if statement.starts_with("BEGIN") {
                "25P02"
            } else {
                "22012"
            },
        );
    }
    let mut client = shop.client();
    client.batch_execute("BEGIN").unwrap();
    refused(client.batch_execute("SELECT 1 / 0"), "22012");
    refused(client.batch_execute(&connect(good)), "25P02");
    refused(
        db.connect_as(&stranger, shop.org).batch_execute(&connect(good)),
        "42501",
    );
    let prepared =
        "SELECT sync_connect('woocommerce', 'http://127.0.0.1:9', $1::text::jsonb, name => 'other')";
    shop.client()
        .query(prepared, &[&good.trim_matches('\'')])
        .unwrap();
    refused(shop.client().query(prepared, &[&"{cs_hushhush}"]), "22P02");
    shop.client()
        .batch_execute(&connect(&format!("{good}, name => 'third'")))
        .unwrap();
    let mut client = shop.client();
    client
        .batch_execute(
            r#"PREPARE "my ""Own""" (text) AS SELECT sync_connect('woocommerce', 'http://127.0.0.1:9', $1::jsonb, name => 'fourth');
               PREPARE mine AS SELECT U&"sync\005Fconnect"('woocommerce', 'http://127.0.0.1:9', $1, name => 'fifth')"#,
        )
        .unwrap();
    client
        .batch_execute("PREPARE harmless AS SELECT 'shown ' || $1::text")
        .unwrap();
    for (execute, code) in [
        (format!(r#"EXECUTE "my ""Own"""({good})"#), "00000"),
        (
            format!("/* one */ execute -- two\n /* three /* four */ */ Mine ({good})"),
            "00000",
        ),
        (
            format!(r#"EXPLAIN EXECUTE U&"m!0069ne" UESCAPE '!' ({good})"#),
            "00000",
        ),
        ("EXECUTE mine('{cs_hushhush}')".to_owned(), "22P02"),
        ("EXECUTE mine('{}', 'cs_hushhush')".to_owned(), "42601"),
    ] {
        let done = client.batch_execute(&execute);
        let state = done
            .err()
            .and_then(|error| error.code().map(|c| c.code().to_owned()));
        assert_eq!(state.as_deref().unwrap_or("00000"), code, "{execute}");
    }
    client.batch_execute("EXECUTE harmless('parameter')").unwrap();
    let log = server.log_since(mark);
    assert!(!log.contains("hushhush"), "{log}");
    // everything else is logged as ever
    for told in [
        "another_statement",
        "EXECUTE harmless('parameter')",
        "SELECT sync_connect(...)",
        "invalid input syntax for type json",
    ] {
        assert!(log.contains(told), "{told}\n{log}");
    }
}
