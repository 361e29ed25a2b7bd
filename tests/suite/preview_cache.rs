//! The cache of previews, which apps write, too: what is in it, and what is answered from it.

use sync_ext_tests::TestDb;

use crate::contract_app::{text, App};

/// Whether it came from the cache, and whether it is a preview of what the shop has.
const PREVIEW: &str = "SELECT concat_ws(' ', p ->> 'cacheHit', p #>> '{delta,new,count}', p ->> 'entityType') FROM sync_preview('woocommerce', 'customers') p";

#[test]
fn a_row_of_an_app_is_never_a_preview() {
    let mut app = App::new(30);
    for written in [
        r#"{"foo": 1}"#,
        r#""garbage""#,
        "null",
        r#"{"delta": {"new": {"count": 7}}, "cacheHit": true}"#,
    ] {
        app.sql
            .execute(
                "INSERT INTO sync_preview_cache (sync_type, entity_type, delta_data, expires_at, preview_id)
                 VALUES ('woocommerce', 'customers', $1::text::jsonb, now() + interval '1 hour', gen_random_uuid())
                 ON CONFLICT (org_id, sync_type, entity_type)
                 DO UPDATE SET delta_data = EXCLUDED.delta_data, computed_at = now(), expires_at = EXCLUDED.expires_at",
                &[&written],
            )
            .unwrap();
        assert_eq!(app.one(PREVIEW), "false 30 customers", "{written}");
        assert_eq!(app.one(PREVIEW), "true 30 customers");
    }
}

#[test]
fn nobody_makes_a_preview_of_his_own_out_of_one() {
    let mut app = App::new(30);
    app.one(PREVIEW);
    let forged = "UPDATE sync_preview_cache SET delta_data = jsonb_set(delta_data, '{delta,new,count}', '7'), preview_id = coalesce(preview_id, gen_random_uuid())";
    app.sql.batch_execute(forged).unwrap();
    assert_eq!(app.one(PREVIEW), "false 30 customers");
    // nor a superuser by mistake
    app.db.psql(forged);
    assert_eq!(app.one(PREVIEW), "false 30 customers");
}

#[test]
fn what_apps_keep_under_keys_of_their_own_stays_as_it_is() {
    let mut app = App::new(30);
    let org = app.org;
    let upsert = "INSERT INTO sync_preview_cache (org_id, sync_type, delta_data, computed_by, cache_key, expires_at)
                  VALUES ($1, 'woocommerce', $2::text::jsonb, 'ada', 'key of the app', NOW() + INTERVAL '1 hour')
                  ON CONFLICT (org_id, sync_type, entity_type) DO UPDATE SET delta_data = EXCLUDED.delta_data, computed_at = NOW(), expires_at = EXCLUDED.expires_at";
    for n in ["1", "2"] {
        let data = format!(r#"{{"mine": {n}}}"#);
        app.sql.execute(upsert, &[&org, &data]).unwrap();
    }
    app.one(PREVIEW);
    app.one("SELECT sync_select('customers') ->> 'entityType'");
    app.one(PREVIEW);
    let read = "SELECT delta_data FROM sync_preview_cache WHERE cache_key = 'key of the app' AND expires_at > NOW() LIMIT 1";
    assert_eq!(app.one(read), r#"{"mine": 2}"#);
}

#[test]
fn external_ids_are_read_from_a_view() {
    let mut app = App::new(30);
    let links = "SELECT count(*) FROM sync_links";
    app.one("SELECT sync_pull('woocommerce', 'customers')");
    assert_eq!(app.one(links), "0", "nothing local is linked yet");
    app.one("SELECT sync_apply('woocommerce', 'customers')");
    assert_eq!(app.one(links), "30");
    let of_a_row = "SELECT count(*) FROM sync_customers c
                    JOIN sync_links l ON l.sync_type = 'woocommerce' AND l.entity_type = 'customers' AND l.local_id = c.id::text
                    JOIN sync_record r ON r.external_id = l.external_id AND r.local_id = c.id::text
                    WHERE l.remote_modified_at IS NOT DISTINCT FROM r.remote_modified_at";
    assert_eq!(app.one(of_a_row), "30");
    let gone = app.one("SELECT external_id FROM sync_links LIMIT 1");
    app.shop
        .mutate_json(&serde_json::json!({ "op": "delete", "entity": "customers", "ids": [gone.parse::<u64>().unwrap()] }))
        .unwrap();
    app.one("SELECT sync_pull('woocommerce', 'customers')");
    assert_eq!(app.one(links), "29");
    let other = app.db.org();
    let mut stranger = app.db.connect_as(&app.db.role("read", other), other);
    assert_eq!(text(&mut stranger, links), "0");
}

#[test]
fn an_expired_row_goes_whoever_wrote_it() {
    let db = TestDb::new();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.batch_execute("INSERT INTO sync_preview_cache (sync_type, delta_data, expires_at) VALUES ('woocommerce', '{}', now() - interval '1 second')")
        .unwrap();
    assert_eq!(
        text(&mut app, "SELECT auto_cleanup_preview_cache() AS deleted_count"),
        "1"
    );
}
