//! Names of schemas, tables, columns, types, sequences and roles belong to others: whatever they hold, they are names.

use postgres::Client;
use serde_json::json;
use sync_ext_tests::TestDb;
use uuid::Uuid;

use crate::bound::{plain, text, Bound};

/// What generated SQL is quoted by, what it is made of, and what would run if a name were ever text in it. They are taken in
/// turn, so that each stands in each place: every other one from the beginning, the rest after a renaming.
const NAMES: [&str; 28] = [
    "$track$;CREATE TABLE crm.w();SELECT $track$",
    "id",
    "$sql$;CREATE TABLE crm.w();SELECT $sql$",
    "new_rows",
    "$$;CREATE TABLE crm.w();SELECT $$",
    "select",
    "'; CREATE TABLE crm.w(); --",
    "N",
    "\"; CREATE TABLE crm.w(); --",
    "n",
    "\\'; CREATE TABLE crm.w(); --",
    "text",
    "a$1b$2 $4",
    "u",
    "%s %1$s %L %I %% %",
    "ids",
    "line\n\\.\n;--",
    "old_rows",
    "/* ; -- ",
    "data",
    "$query$||crm.w()||$query$",
    "image",
    "E'\\",
    "Großhändler 客户 Großhändler 客户 Großhändler 客户",
    "h.key",
    "abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_abcdefghi",
    "updated",
    "U&\"\\0024\"",
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table of the app whose names are taken from the list, beginning somewhere.
#[derive(Clone)]
struct Named {
    schema: String,
    table: String,
    key: String,
    mail: String,
    label: String,
    org: String,
    gone: String,
    more: String,
    mood: String,
    word: String,
    sequence: String,
    role: String,
    said: String,
}

impl Named {
    fn new(first: usize, tracking: &str) -> Named {
        let name = |n: usize| NAMES[(first + n) % NAMES.len()].to_owned();
        // roles are the whole server's
        let mut role = format!("{first:02}{tracking:7}{}", name(11));
        while role.len() > 63 {
            role.pop();
        }
        Named {
            schema: name(0),
            table: name(1),
            key: name(2),
            mail: name(3),
            label: name(4),
            org: name(5),
            gone: name(6),
            more: name(7),
            mood: name(8),
            word: name(9),
            sequence: name(10),
            role,
            said: name(12),
        }
    }

    fn within(&self, name: &str) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(name))
    }

    fn relation(&self) -> String {
        self.within(&self.table)
    }

    fn make(&self) -> String {
        let said = literal(&self.said);
        format!(
            "CREATE TYPE {mood} AS ENUM ('ok', 'bad', {said}); CREATE DOMAIN {word} AS text CHECK (VALUE <> {said});
             CREATE SEQUENCE {sequence} START 100;
             CREATE TABLE {table} ({key} bigint PRIMARY KEY DEFAULT nextval({sequence_name}), {mail} {word}, {label} {mood}, {org} uuid,
                                   {gone} boolean, {more} text, feeling {mood} NOT NULL DEFAULT {said}, company text DEFAULT {said});
             INSERT INTO {table} VALUES (1, 'a@example.com', 'ok', current_setting('app.current_org_id')::uuid, NULL, 'k', DEFAULT, 'c')",
            mood = self.within(&self.mood),
            word = self.within(&self.word),
            sequence = self.within(&self.sequence),
            sequence_name = literal(&self.within(&self.sequence)),
            table = self.relation(),
            key = quoted(&self.key),
            mail = quoted(&self.mail),
            label = quoted(&self.label),
            org = quoted(&self.org),
            gone = quoted(&self.gone),
            more = quoted(&self.more),
        )
    }

    fn bind(&self, tracking: &str) -> String {
        let columns = json!({"email": self.mail, "name": self.label, "billing_company": "company", "custom.kind": self.more});
        format!(
            "SELECT sync_bind('customers', {}, {}, ARRAY[{}], '{tracking}', {}, {})",
            literal(&self.relation()),
            literal(&columns.to_string()),
            literal(&self.key),
            literal(&self.org),
            literal(&self.gone)
        )
    }

    /// Every name becomes another one of the list, each by the statement that an owner would use.
    fn rename(&mut self, first: usize) -> Vec<String> {
        let old = self.clone();
        let name = |n: usize| NAMES[(first + 13 + n) % NAMES.len()].to_owned();
        let mut statements = Vec::new();
        let columns = [
            &mut self.key,
            &mut self.mail,
            &mut self.label,
            &mut self.org,
            &mut self.gone,
            &mut self.more,
        ];
        for (n, column) in columns.into_iter().enumerate() {
            let (from, to) = (quoted(column), quoted(&name(n)));
            statements.push(format!(
                "ALTER TABLE {} RENAME COLUMN {from} TO {to}",
                old.relation()
            ));
            *column = name(n);
        }
        let renamed = |kind: &str, from: &str, to: &str| {
            format!("ALTER {kind} {} RENAME TO {}", old.within(from), quoted(to))
        };
        self.table = name(7);
        self.mood = name(8);
        self.word = name(9);
        self.sequence = name(10);
        self.schema = name(12);
        statements.push(renamed("TABLE", &old.table, &self.table));
        statements.push(renamed("TYPE", &old.mood, &self.mood));
        statements.push(renamed("DOMAIN", &old.word, &self.word));
        statements.push(renamed("SEQUENCE", &old.sequence, &self.sequence));
        statements.push(format!(
            "ALTER SCHEMA {} RENAME TO {}",
            quoted(&old.schema),
            quoted(&self.schema)
        ));
        statements
    }
}

/// The delta in one line.
fn delta(sql: &mut Client) -> String {
    text(
        sql,
        "SELECT coalesce(string_agg(concat_ws(' ', change, external_id, (SELECT string_agg(f, ',' ORDER BY f) FROM jsonb_object_keys(changed_fields) f)),
                                    ', ' ORDER BY change, external_id), '') FROM compute_delta('woocommerce', 'customers')",
    )
}

fn drift(sql: &mut Client) -> String {
    text(
        sql,
        "SELECT coalesce(string_agg(problem, ', '), '') FROM sync_verify('woocommerce', 'customers')",
    )
}

#[track_caller]
fn run(sql: &mut Client, statement: &str) {
    sql.batch_execute(statement)
        .unwrap_or_else(|error| panic!("{statement}: {}", plain(&error)));
}

/// Applies everything, looks at what is left, and takes it back.
fn apply_and_undo(sql: &mut Client, table: &str, left: &str, applied: &str) {
    let before = delta(sql);
    let history = text(
        sql,
        "SELECT sync_apply('woocommerce', 'customers', true, true, true, allow_mass_delete => true) ->> 'historyId'",
    );
    assert_eq!((delta(sql).as_str(), drift(sql).as_str()), (left, ""), "{table}");
    assert_eq!(
        text(
            sql,
            &format!("SELECT concat_ws(' ', items_created, items_updated, items_deleted, items_failed) FROM sync_history WHERE id = '{history}'")
        ),
        applied,
        "{table}"
    );
    let refused = text(sql, &format!("SELECT sync_undo('{history}') ->> 'refused'"));
    assert_eq!(
        (refused, delta(sql), drift(sql)),
        ("0".into(), before, String::new()),
        "{table}"
    );
}

/// What an attack would leave behind.
fn nothing_ran(root: &mut Client, role: &str) {
    assert_eq!(text(root, "SELECT to_regclass('crm.w')"), "");
    let role = literal(role);
    assert_eq!(
        text(
            root,
            &format!("SELECT rolsuper FROM pg_roles WHERE rolname = {role}")
        ),
        "false"
    );
    let made = "SELECT coalesce(string_agg(p.oid::regprocedure::text, ' '), '') FROM pg_proc p
                WHERE p.oid >= 16384 AND p.proname !~ '^sync_(write|track)_[0-9]+$'
                  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')";
    assert_eq!(text(root, made), "");
}

fn bound_by_names(tracking: &str) {
    let mut app = Bound::new("");
    for first in (0..NAMES.len()).step_by(2) {
        let mut named = Named::new(first, tracking);
        app.org = Uuid::new_v4();
        app.connect("woocommerce");
        let role = quoted(&named.role);
        let database = app.db.name().to_owned();
        run(
            &mut app.root,
            &format!(
                "CREATE ROLE {role} LOGIN; CREATE SCHEMA {schema} AUTHORIZATION {role}; GRANT CREATE ON DATABASE {database} TO {role};
                 SELECT sync_grant({}::regrole, '{}', 'admin')",
                literal(&role),
                app.org,
                schema = quoted(&named.schema)
            ),
        );
        let mut sql = app.db.connect_as(&named.role, app.org);
        run(&mut sql, "SET check_function_bodies = off");
        run(&mut sql, &named.make());
        run(
            &mut sql,
            "SELECT sync_map('woocommerce', 'customers', 'kind', 'x_kind');
             SELECT sync_map('woocommerce', 'customers', 'billing_company', compared => false)",
        );
        run(&mut sql, &named.bind(tracking));
        app.remote(&json!([
            {"id": "7", "email": "a@example.com", "name": "ok", "billing_company": "c", "custom": {"x_kind": "k"}},
            {"id": "8", "email": "b@example.com", "name": "bad", "custom": {"x_kind": "k"}}]));
        follows(&mut app.root, &mut sql, &named);

        // the owner of a table needs no grant for it
        for statement in named.rename(first) {
            run(&mut sql, &statement);
            nothing_ran(&mut app.root, &named.role);
            assert_eq!(drift(&mut sql), "", "{statement}");
        }
        let renamed = format!("{}{}", &named.role[..9], "' $$ \"");
        run(
            &mut app.root,
            &format!("ALTER ROLE {role} RENAME TO {}", quoted(&renamed)),
        );
        follows(&mut app.root, &mut sql, &named);
        nothing_ran(&mut app.root, &renamed);

        run(&mut sql, "SELECT sync_unbind('customers')");
        drop(sql);
        let role = quoted(&renamed);
        run(
            &mut app.root,
            &format!(
                "DROP SCHEMA {} CASCADE; DELETE FROM sync_access WHERE grantee = {}::regrole; DROP OWNED BY {role}; DROP ROLE {role}",
                quoted(&named.schema),
                literal(&role)
            ),
        );
    }
}

/// What a preview does first, where no trigger follows the relation.
const SCAN: &str = "SELECT sync_scan_local(org_id, number, 1::smallint) FROM integration_connector";

/// Everything that reads, follows and writes a bound relation, with one linked row and one that is new.
fn follows(root: &mut Client, sql: &mut Client, named: &Named) {
    let table = named.relation();
    let [mail, label, org, more] =
        [&named.mail, &named.label, &named.org, &named.more].map(|name| quoted(name));
    let insert = format!(
        "INSERT INTO {table} ({mail}, {label}, {org}, {more}, company) VALUES ('a@example.com', 'bad', sync_current_org(), 'k', 'c')"
    );
    let steps = [
        (String::new(), "new 8"),
        (
            format!("UPDATE {table} SET {label} = 'bad'"),
            "new 8, updated 7 name",
        ),
        (format!("DELETE FROM {table}"), "new 7, new 8"),
        (insert.clone(), "new 8, updated 7 name"),
        (format!("TRUNCATE {table}"), "new 7, new 8"),
        (insert, "new 8, updated 7 name"),
    ];
    for (statement, expected) in steps {
        run(sql, &statement);
        run(root, SCAN);
        assert_eq!(
            (delta(sql).as_str(), drift(sql).as_str()),
            (expected, ""),
            "{table}: {statement}"
        );
    }
    run(sql, "SELECT detect_customer_delta('woocommerce')");
    apply_and_undo(sql, &table, "", "1 1 0 0");
    run(sql, &format!("UPDATE {table} SET {label} = 'ok'"));
    run(root, SCAN);
}

#[test]
fn names_are_never_text_in_what_a_trigger_runs() {
    bound_by_names("trigger");
}

#[test]
fn names_are_never_text_in_what_a_scan_runs() {
    bound_by_names("scan");
}

/// A statement that makes a function is checked by Postgres itself, and its body is a literal: text between dollar quotes would
/// end where a name wants it to. Strings with a backslash say how they are meant, as a session may set it.
#[test]
fn what_makes_functions_checks_them_and_no_setting_changes_what_it_says() {
    let db = TestDb::new();
    let mut root = db.client();
    let ours = "FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext'";
    let makers = format!("SELECT coalesce(string_agg(p.proname, ' ' ORDER BY p.proname), '') {ours} WHERE p.prosrc ~* 'create (or replace )?(function|procedure)'");
    assert_eq!(
        text(&mut root, &makers),
        "sync_generate_readers sync_generate_trigger sync_generate_writer"
    );
    for wrong in [
        "AND NOT coalesce('check_function_bodies=on' = ANY (p.proconfig), false)",
        "AND p.prosrc ~* ' as *[$]'",
        "AND p.prosrc !~* '(as %l|begin atomic)'",
    ] {
        assert_eq!(text(&mut root, &format!("{makers} {wrong}")), "", "{wrong}");
    }
    let backslashes = format!(
        "SELECT coalesce(string_agg(p.proname, ' '), '') {ours}
         WHERE regexp_replace(p.prosrc, 'E''[^'']*''|--[^\n]*', '', 'g') LIKE '%\\%'"
    );
    assert_eq!(text(&mut root, &backslashes), "");
}
