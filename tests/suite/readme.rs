//! The README's and the guide's statements run as they are printed.
//!
//! Replaced are only the shop's address and the key (`https://shop.example.com`, `ck_...`, `cs_...`), by the sandbox's.
//! Blocks marked ```sql run in the order of the page, by psql in one session of a role with the level `admin` on the
//! organisation that the page names; other blocks (a superuser's work, pg_cron) are not run.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sync_engine::error::{Code, SqlState};
use sync_ext_tests::{server, TestDb};
use sync_sandbox::{Config, Sandbox};
use uuid::Uuid;

const ORG: &str = "7b0e4f0a-3f5c-4b56-9d0e-2f6b1c9e8a11";

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match (&mut block, line) {
            (None, "```sql") => block = Some(String::new()),
            (Some(sql), "```") => {
                blocks.push(std::mem::take(sql));
                block = None;
            }
            (Some(sql), line) => {
                sql.push_str(line);
                sql.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

fn run_page(page: &str, least: usize) {
    let config = Config {
        customers: 60,
        products: 30,
        orders: 30,
        ..Config::default()
    };
    let shop = Sandbox::start(config).unwrap();
    let db = TestDb::new();
    let org: Uuid = ORG.parse().unwrap();
    let role = db.role("admin", org);
    // where the app makes a schema for its own tables
    db.client()
        .batch_execute(&format!("GRANT CREATE ON DATABASE {} TO {role}", db.name()))
        .unwrap();
    let blocks = blocks(page);
    assert!(blocks.len() >= least, "{page} has {} blocks", blocks.len());
    let mut session = blocks
        .join("\n")
        .replace("https://shop.example.com", &shop.url())
        .replace("ck_...", "ck_rw")
        .replace("cs_...", "cs_rw");
    session.push_str(
        "SELECT count(*) AS drift FROM sync_verify('woocommerce', 'customers') \\gset\n\\echo drift :drift\n",
    );

    // by psql, statement by statement, as a reader would paste it
    let mut psql = server().program("psql", db.name());
    psql.args(["-X", "-e", "-v", "ON_ERROR_STOP=1", "-U", &role])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = psql.spawn().unwrap();
    // psql stops reading where a statement fails
    let _ = child.stdin.take().unwrap().write_all(session.as_bytes());
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}:\n{printed}\n{error}");
    assert!(printed.ends_with("drift 0\n"), "{page}:\n{printed}");
}

#[test]
fn the_readme_runs_as_printed() {
    run_page("README.md", 6);
}

#[test]
fn what_takes_the_place_of_a_rest_api_runs_as_printed() {
    run_page("docs/from-rest.md", 6);
}

/// What the superuser does for the app is in a block that also names a key file.
#[test]
fn the_readmes_role_finds_the_extension_and_may_use_it() {
    let page = fs::read_to_string(root().join("README.md")).unwrap();
    let db = TestDb::new();
    let schema = sync_ext_tests::schema();
    db.psql(&format!(
        "DROP EXTENSION sync_ext; DROP SCHEMA {schema} CASCADE; CREATE SCHEMA IF NOT EXISTS public"
    ));
    let begins = ["CREATE ", "ALTER ROLE ", "SELECT sync.sync_grant("];
    let printed: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| begins.iter().any(|begin| line.starts_with(begin)))
        .map(|line| line.replace("shopdb", db.name()))
        .collect();
    assert!(printed.len() >= 5, "{printed:?}");
    for statement in &printed {
        db.client()
            .batch_execute(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    db.connect_as("app_backend", ORG.parse::<Uuid>().unwrap())
        .batch_execute("SELECT sync_health()")
        .unwrap();
    // roles are the whole server's
    db.psql("DROP OWNED BY app_backend; DROP ROLE app_backend");
}

/// Every reply in JSON says in its function's comment, and so in the reference, what is in it.
#[test]
fn replies_have_their_shape_in_the_reference() {
    let page = fs::read_to_string(root().join("README.md")).unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains("→ jsonb`"));
    let names: Vec<&str> = rows
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter_map(|code| code.split(|c: char| !c.is_ascii_lowercase() && c != '_').next())
        .collect();
    assert!(names.len() > 15, "{names:?}");
    let db = TestDb::new();
    let missing = "SELECT n || ': ' || coalesce(string_agg(obj_description(p.oid), '; '), 'no such function')
                   FROM unnest($1::text[]) n LEFT JOIN pg_proc p ON p.proname = n
                   GROUP BY n HAVING bool_or(p.prorettype <> 'jsonb'::regtype OR obj_description(p.oid) ~ '[{]') IS NOT TRUE";
    let missing = db.client().query(missing, &[&names]).unwrap();
    let missing: Vec<String> = missing.iter().map(|row| row.get(0)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The SQLSTATEs of the tables: what stands in the column of that name.
fn states_told(page: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let is_one = |word: &&str| {
        word.len() == 5
            && word.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
            && word.chars().any(|c| c.is_ascii_digit())
    };
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = rows.flat_map(|row| row.split('|')).map(str::trim);
    let states = cells.filter(|cell| {
        cell.split(['/', ';', ',', ' '])
            .all(|word| word.is_empty() || is_one(&word))
    });
    states
        .flat_map(|cell| cell.split(['/', ';', ',', ' ']))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_tables_of_errors_are_what_the_extension_raises() {
    let mut raised: BTreeSet<String> = Code::OWN.iter().map(|code| code.sqlstate().to_owned()).collect();
    // of a worker that was terminated
    raised.insert("57P01".to_owned());
    assert_eq!(states_told("README.md"), raised);
    // one that ended without a word
    raised.insert(SqlState::SYSTEM.as_str().to_owned());
    assert_eq!(states_told("docs/design.md"), raised);
    let told = states_told("docs/operations.md");
    assert!(told.len() > 5 && told.is_subset(&raised), "{told:?}");
}

#[test]
fn the_guide_runs_as_printed() {
    run_page("docs/guide.md", 10);
}

#[test]
fn the_reference_is_what_the_catalog_says() {
    let db = TestDb::new();
    let psql = server().program("psql", db.name());
    let mut script = Command::new("bash");
    script.arg(root().join("scripts/reference.sh")).arg("--print");
    // the script asks the server it is told about instead of starting one
    for (name, value) in psql.get_envs() {
        if let Some(value) = value {
            script.env(name, value);
        }
    }
    script.env("SYNC_EXT_PSQL", psql.get_program());
    let output = script.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let fresh = String::from_utf8(output.stdout).unwrap();
    let page = fs::read_to_string(root().join("docs/reference.md")).unwrap();
    assert!(
        page == fresh,
        "docs/reference.md is outdated: run scripts/reference.sh"
    );
}
