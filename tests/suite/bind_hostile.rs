//! An owner of a bound relation who would like to be superuser: whatever runs of it runs with its own rights.

use serde_json::json;
use sync_ext_tests::schema;

use crate::bound::{text, Bound};

const COLUMNS: &str = r#"'{"email": "mail", "name": "label"}'"#;

fn bind(relation: &str, more: &str) -> String {
    format!("SELECT sync_bind('customers', '{relation}', {COLUMNS}, '{{id}}'{more})")
}

/// What somebody does who would like to be superuser.
const HOSTILE: &str = "
CREATE TABLE notes (who text);
GRANT ALL ON notes TO PUBLIC;
CREATE FUNCTION grab() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('ALTER ROLE %I SUPERUSER', (SELECT tableowner FROM pg_tables WHERE tablename = 'contacts'));
    END IF;
    INSERT INTO crm.notes VALUES (current_user);
END $$;
CREATE FUNCTION evil(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM crm.grab(); RETURN t; END $$;
CREATE FUNCTION evil_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM crm.grab(); RETURN NULL; END $$;
CREATE TABLE later (n int);
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil_trigger();
CREATE FUNCTION evil_equals(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM crm.grab(); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
CREATE OPERATOR crm.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil_equals);
CREATE TABLE contacts (id int PRIMARY KEY, mail text, label text);
INSERT INTO contacts VALUES (1, 'a@example.com', 'A');";

fn no_superuser(app: &mut Bound, case: &str) {
    let role = app.role.clone();
    assert_eq!(
        text(
            &mut app.root,
            &format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'")
        ),
        "false",
        "{case}"
    );
    assert_eq!(
        text(
            &mut app.root,
            "SELECT coalesce(string_agg(DISTINCT who, ' '), '') FROM crm.notes"
        )
        .replace(&role, ""),
        "",
        "{case}"
    );
}

#[test]
fn casts_and_types_of_a_hostile_owner_do_not_run_with_our_rights() {
    let mut app = Bound::new(HOSTILE);
    app.run(
        "CREATE TYPE mood AS ENUM ('ok', 'bad');
         CREATE FUNCTION mood_text(mood) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM crm.grab(); RETURN 'evil'; END $$;
         CREATE CAST (mood AS text) WITH FUNCTION mood_text(mood) AS ASSIGNMENT;
         CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM crm.grab(); RETURN '1'; END $$;
         CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
         CREATE FUNCTION checked(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM crm.grab(); RETURN true; END $$;
         CREATE DOMAIN word AS text CHECK (checked(VALUE));
         CREATE TABLE people (id word, kind mood, mail word, label mood, PRIMARY KEY (id, kind));
         INSERT INTO people VALUES ('1', 'ok', 'a@example.com', 'ok'); TRUNCATE notes",
    );
    app.remote(&json!([{"id": "9", "email": "a@example.com", "name": "ok"}]));
    app.run(&format!(
        "SELECT sync_bind('customers', 'people', {COLUMNS}, '{{id,kind}}')"
    ));
    assert_eq!(app.delta("customers"), "");
    app.run("UPDATE people SET label = 'bad'");
    assert_eq!(app.delta("customers"), "updated 9 [\"1\", \"ok\"] name");
    assert_eq!(app.drift("customers"), "");
    let mut admin = app.db.connect_as("postgres", app.org);
    assert_eq!(
        text(
            &mut admin,
            "SELECT count(*) FROM compute_delta('woocommerce', 'customers')"
        ),
        "1"
    );
    no_superuser(&mut app, "types");
}

#[test]
fn a_hostile_view_runs_as_who_bound_it() {
    let hide = "CREATE OR REPLACE FUNCTION evil(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM crm.grab();";
    for (case, body) in [
        ("calls", "RETURN t; END $$"),
        (
            "set search_path",
            "PERFORM set_config('search_path', 'crm, pg_catalog', false); RETURN t; END $$",
        ),
        (
            "deferred trigger",
            "INSERT INTO crm.later VALUES (1); RETURN t; END $$",
        ),
        (
            "cursor that outlives",
            "EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT crm.grab()'; RETURN t; END $$",
        ),
        (
            "temporary table",
            "CREATE TEMP TABLE sync_record (n int); RETURN t; END $$",
        ),
        ("set role", "EXECUTE 'SET ROLE postgres'; RETURN t; END $$"),
        (
            "reset role",
            "EXECUTE 'RESET SESSION AUTHORIZATION'; RETURN t; END $$",
        ),
    ] {
        let mut app = Bound::new(HOSTILE);
        app.remote(&json!([{"id": "9", "email": "a@example.com", "name": "B"}]));
        app.run("CREATE VIEW people AS SELECT id, mail, evil(label) AS label FROM contacts");
        app.run(&bind("people", ", tracking => 'scan'"));
        app.run(&format!("TRUNCATE notes; {hide} {body}"));
        // whoever looks: the superuser, another organisation's administrator, the owner
        let mut admin = app.db.connect_as("postgres", app.org);
        for call in [
            "SELECT count(*) FROM compute_delta('woocommerce', 'customers')",
            "SELECT count(*) FROM sync_verify('woocommerce', 'customers', repair => true)",
            "SELECT sync_map('woocommerce', 'customers', 'phone', compared => false)",
            "SELECT sync_scan_local(org_id, number, 1::smallint) FROM integration_connector",
        ] {
            let _ = admin.batch_execute(call);
            assert_eq!(
                text(
                    &mut admin,
                    "SELECT current_user || ' ' || current_setting('search_path')"
                ),
                format!("postgres crm, public, {}", schema()),
                "{case}: {call}"
            );
        }
        no_superuser(&mut app, case);
        // and the owner of a function that the extension made has nothing to change on it
        let owned = "SELECT count(*) FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE proname LIKE 'sync!_%' ESCAPE '!' AND NOT r.rolsuper";
        assert_eq!(text(&mut app.root, owned), "0", "{case}");
    }
}

/// Applies what is new, as the worker does.
const APPLY: &str = "
WITH h AS (INSERT INTO sync_history (org_id, sync_type, status) SELECT org_id, 'manual', 'partial_success' FROM sync_comparison LIMIT 1 RETURNING id)
SELECT sync_apply_ids(k, 'new', ARRAY(SELECT id FROM sync_record WHERE change = 'new'), h.id) FROM h, sync_comparison k WHERE k.entity = 1";

#[test]
fn triggers_of_a_hostile_table_run_as_who_bound_it() {
    let function = "CREATE OR REPLACE FUNCTION evil_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM crm.grab();";
    for (case, timing, body) in [
        ("before", "BEFORE", "RETURN NEW; END $$"),
        ("after", "AFTER", "RETURN NULL; END $$"),
        ("search path", "BEFORE", "PERFORM set_config('search_path', 'crm, pg_catalog', false); RETURN NEW; END $$"),
        ("deferred", "DEFERRED", "RETURN NULL; END $$"),
        ("deferred by another", "BEFORE", "IF TG_RELID = 'crm.contacts'::regclass THEN INSERT INTO crm.later VALUES (1); END IF; RETURN NEW; END $$"),
        ("deferred again", "DEFERRED", "IF TG_RELID = 'crm.contacts'::regclass THEN SET CONSTRAINTS ALL DEFERRED; INSERT INTO crm.later VALUES (1); END IF; RETURN NULL; END $$"),
        ("held cursor", "BEFORE", "EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT crm.grab()'; RETURN NEW; END $$"),
        ("role", "BEFORE", "EXECUTE 'SET ROLE postgres'; RETURN NEW; END $$"),
    ] {
        let mut app = Bound::new(HOSTILE);
        app.run("CREATE SEQUENCE ids START 10; ALTER TABLE contacts ALTER id SET DEFAULT nextval('ids')");
        app.run(&bind("contacts", ""));
        app.remote(&json!([{"id": "9", "email": "b@example.com", "name": "B"}]));
        app.run(&format!("TRUNCATE notes; {function} {body}"));
        app.run(&match timing {
            "DEFERRED" => "CREATE CONSTRAINT TRIGGER evil AFTER INSERT ON contacts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil_trigger()".to_owned(),
            _ => format!("CREATE TRIGGER evil {timing} INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION evil_trigger()"),
        });
        let applied = app.root.batch_execute(APPLY);
        no_superuser(&mut app, case);
        assert_eq!(text(&mut app.root, "SELECT count(*) FROM pg_cursors WHERE is_holdable"), "0", "{case}");
        if ["before", "after", "search path", "deferred", "deferred by another"].contains(&case) {
            applied.unwrap_or_else(|error| panic!("{case}: {error:?}"));
            assert_eq!(app.text("SELECT string_agg(label, ' ' ORDER BY id) FROM contacts"), "A B", "{case}");
            assert_ne!(app.text("SELECT count(*) FROM notes"), "0", "{case}");
        }
    }
}

#[test]
fn what_the_caller_has_deferred_itself_does_not_run_as_the_binder() {
    let mut app = Bound::new(HOSTILE);
    app.run("CREATE SEQUENCE ids START 10; ALTER TABLE contacts ALTER id SET DEFAULT nextval('ids')");
    app.run(&bind("contacts", ""));
    app.remote(&json!([{"id": "9", "email": "b@example.com", "name": "B"}]));
    let apply = APPLY.trim().to_owned();
    app.root
        .batch_execute(&format!(
            "CREATE TABLE public.mine (n int); CREATE TABLE public.seen (who name);
             CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON public.mine DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.mine();
             BEGIN; INSERT INTO public.mine VALUES (1); {apply}; COMMIT"
        ))
        .unwrap();
    assert_eq!(
        text(&mut app.root, "SELECT string_agg(who, ' ') FROM public.seen"),
        "postgres"
    );
    assert_eq!(app.text("SELECT count(*) FROM contacts"), "2");
}
