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

/// Makes the installation script: after what SQL calls of Rust these files, each after the one before it.
macro_rules! sql_files {
    ($before:tt finally $name:tt $file:tt) => {
        extension_sql_file!($file, name = $name, finalize);
    };
    ($before:tt $name:tt $file:tt, $($rest:tt)+) => {
        extension_sql_file!($file, name = $name, requires = $before);
        sql_files! { [$name] $($rest)+ }
    };
}

sql_files! {
    [
        api::access::sync_caller, api::access::sync_hold, api::access::sync_raw_org,
        api::access::sync_require_writable, api::access::sync_try_hold, api::all::sync_all,
        api::kind::sync_connector_entities, api::kind::sync_kind_entities, api::kind::sync_known_kinds, api::apply::sync_apply,
        api::apply::sync_undo, api::connector::sync_connect, api::connector::sync_test_connection,
        api::list::sync_delta, api::list::sync_full, api::list::sync_item_entity,
        api::list::sync_item_fields, api::list::sync_item_is_stock, api::list::sync_item_misfit,
        api::local::sync_rows_of, api::local::sync_scan_of, api::local::sync_write_as,
        api::pull::sync_pull, api::pull::sync_refresh_preview, api::record::sync_depth,
        api::record::sync_diff, api::record::sync_emptied, api::record::sync_fields,
        api::record::sync_fingerprint, api::kind::sync_kind_carried,
        api::kind::sync_kind_fields, api::record::sync_mapped, api::record::sync_match_fields,
        api::record::sync_match_key, api::record::sync_open_change, api::record::sync_pair,
        api::record::sync_plain, api::record::sync_row_fingerprint,
        api::record::sync_row_match_key, api::record::sync_spec, api::rules::sync_claim_rules,
        api::rules::sync_share_rules, api::rules::sync_share_rules_of,
        api::rules::sync_shares_rules_of, api::schedule::sync_maintain,
        api::schedule::sync_scheduled, api::track::sync_track_open, api::track::sync_track_print,
        api::track::sync_track_stale, api::tree::sync_tree, api::webhook::sync_ingest_webhook
    ]
    "access" "../sql/access/access.sql",
    "connectors" "../sql/connector/connectors.sql",
    "ledger" "../sql/ledger/ledger.sql",
    "sweep" "../sql/ledger/sweep.sql",
    "local" "../sql/local/tables.sql",
    "local_erp" "../sql/local/tables_erp.sql",
    "layout" "../sql/bind/layout.sql",
    "generate" "../sql/bind/generate.sql",
    "map" "../sql/ledger/map.sql",
    "match" "../sql/ledger/match.sql",
    "track" "../sql/bind/track.sql",
    "reconcile" "../sql/bind/reconcile.sql",
    "check" "../sql/bind/check.sql",
    "bind" "../sql/bind/bind.sql",
    "ddl" "../sql/bind/ddl.sql",
    "delta" "../sql/delta/delta.sql",
    "history" "../sql/apply/history.sql",
    "noted" "../sql/delta/noted.sql",
    "write" "../sql/apply/write.sql",
    "apply" "../sql/apply/apply.sql",
    "chunk" "../sql/apply/chunk.sql",
    "undo" "../sql/apply/undo.sql",
    "preview" "../sql/delta/preview.sql",
    "activity" "../sql/progress/activity.sql",
    "progress" "../sql/progress/progress.sql",
    "webhooks" "../sql/connector/webhooks.sql",
    "health" "../sql/progress/health.sql",
    "categories" "../sql/list/categories.sql",
    "patterns" "../sql/list/patterns.sql",
    "lists" "../sql/list/lists.sql",
    "list_runs" "../sql/list/runs.sql",
    "list_apply" "../sql/list/apply.sql",
    "schedule" "../sql/list/schedule.sql",
    "bounds" "../sql/whole/bounds.sql",
    "comments" "../sql/whole/comments.sql",
    "dump" "../sql/whole/dump.sql",
    finally "policies" "../sql/whole/policies.sql"
}

#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::identity::register();
    settings::register();
    pg::discreet::install();
}
