//! sync_ext: preview, pull and apply changes between Postgres, WooCommerce and Odoo, by SQL alone.
//!
//! This file only wires: modules, SQL files in their order, settings. docs/design.md explains the rooms.

use pgrx::prelude::*;

mod api;
mod call;
mod job;
mod pg;
mod request;
mod settings;
mod store;
mod vault;
mod worker;

::pgrx::pg_module_magic!(name, version);

extension_sql_file!(
    "../sql/10_access.sql",
    name = "access",
    requires = [
        api::access::sync_caller,
        api::access::sync_raw_org,
        api::access::sync_require_writable,
        api::access::sync_hold,
        api::access::sync_try_hold
    ]
);
extension_sql_file!(
    "../sql/20_connectors.sql",
    name = "connectors",
    requires = ["access"]
);
extension_sql_file!(
    "../sql/30_ledger.sql",
    name = "ledger",
    requires = [
        "connectors",
        api::record::sync_open_change,
        api::record::sync_pair
    ]
);
extension_sql_file!("../sql/40_local.sql", name = "local", requires = ["ledger"]);
extension_sql_file!(
    "../sql/41_local_erp.sql",
    name = "local_erp",
    requires = ["local"]
);
extension_sql_file!(
    "../sql/42_layout.sql",
    name = "layout",
    requires = [
        "local_erp",
        api::record::sync_fields,
        api::record::sync_row_fingerprint,
        api::record::sync_match_fields,
        api::record::sync_row_match_key,
        api::local::sync_rows_of,
        api::local::sync_scan_of
    ]
);
extension_sql_file!(
    "../sql/44_map.sql",
    name = "map",
    requires = [
        "layout",
        api::record::sync_kind_fields,
        api::record::sync_mapped,
        api::record::sync_spec
    ]
);
extension_sql_file!(
    "../sql/45_match.sql",
    name = "match",
    requires = [
        "map",
        api::record::sync_fingerprint,
        api::record::sync_depth,
        api::record::sync_match_key
    ]
);
extension_sql_file!(
    "../sql/46_track.sql",
    name = "track",
    requires = [
        "match",
        api::track::sync_track_print,
        api::track::sync_track_stale,
        api::track::sync_track_open,
        api::rules::sync_share_rules,
        api::rules::sync_shares_rules_of,
        api::rules::sync_share_rules_of,
        api::rules::sync_claim_rules
    ]
);
extension_sql_file!(
    "../sql/47_reconcile.sql",
    name = "reconcile",
    requires = ["track"]
);
extension_sql_file!("../sql/48_bind.sql", name = "bind", requires = ["reconcile"]);
extension_sql_file!("../sql/49_ddl.sql", name = "ddl", requires = ["bind"]);
extension_sql_file!(
    "../sql/50_delta.sql",
    name = "delta",
    requires = ["ddl", api::record::sync_diff]
);
extension_sql_file!("../sql/51_history.sql", name = "history", requires = ["delta"]);
extension_sql_file!("../sql/52_noted.sql", name = "noted", requires = ["history"]);
extension_sql_file!(
    "../sql/52_write.sql",
    name = "write",
    requires = ["noted", api::local::sync_write_as]
);
extension_sql_file!("../sql/53_apply.sql", name = "apply", requires = ["write"]);
extension_sql_file!(
    "../sql/53_chunk.sql",
    name = "chunk",
    requires = ["apply", api::record::sync_kind_carried, api::record::sync_pair]
);
extension_sql_file!("../sql/54_undo.sql", name = "undo", requires = ["chunk"]);
extension_sql_file!(
    "../sql/56_preview.sql",
    name = "preview",
    requires = ["undo", api::record::sync_emptied]
);
extension_sql_file!(
    "../sql/60_activity.sql",
    name = "activity",
    requires = ["preview"]
);
extension_sql_file!(
    "../sql/70_progress.sql",
    name = "progress",
    requires = ["activity"]
);
extension_sql_file!(
    "../sql/75_webhooks.sql",
    name = "webhooks",
    requires = ["progress"]
);
extension_sql_file!(
    "../sql/80_health.sql",
    name = "health",
    requires = [
        "webhooks",
        api::all::sync_kind_entities,
        api::all::sync_connector_entities
    ]
);
extension_sql_file!(
    "../sql/82_categories.sql",
    name = "categories",
    requires = ["health", api::tree::sync_tree]
);
extension_sql_file!(
    "../sql/83_patterns.sql",
    name = "patterns",
    requires = ["categories", api::record::sync_plain]
);
extension_sql_file!(
    "../sql/84_lists.sql",
    name = "lists",
    requires = [
        "patterns",
        api::list::sync_item_entity,
        api::list::sync_item_is_stock,
        api::list::sync_item_fields,
        api::list::sync_item_misfit
    ]
);
extension_sql_file!(
    "../sql/87_list_runs.sql",
    name = "list_runs",
    requires = ["lists"]
);
extension_sql_file!(
    "../sql/88_schedule.sql",
    name = "schedule",
    requires = ["list_runs"]
);
extension_sql_file!("../sql/89_bounds.sql", name = "bounds", requires = ["schedule"]);
extension_sql_file!(
    "../sql/85_comments.sql",
    name = "comments",
    requires = [
        "schedule",
        api::access::sync_caller,
        api::all::sync_all,
        api::apply::sync_apply,
        api::apply::sync_undo,
        api::connector::sync_connect,
        api::connector::sync_test_connection,
        api::local::sync_rows_of,
        api::local::sync_scan_of,
        api::list::sync_delta,
        api::list::sync_full,
        api::schedule::sync_maintain,
        api::schedule::sync_scheduled,
        api::pull::sync_pull,
        api::pull::sync_refresh_preview,
        api::record::sync_fingerprint,
        api::record::sync_match_key,
        api::record::sync_diff,
        api::record::sync_plain,
        api::webhook::sync_ingest_webhook
    ]
);
extension_sql_file!("../sql/86_dump.sql", name = "dump", requires = ["comments"]);
extension_sql_file!("../sql/90_policies.sql", name = "policies", finalize);

#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::identity::register();
    settings::register();
    pg::discreet::install();
}
