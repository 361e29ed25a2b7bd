//! Apps that are written in JavaScript: what they get through the `pg` package, and what they make of it.
//!
//! Skipped where there is no node, or the package is not installed (`scripts/setup.sh` does that where it can).

use std::path::{Path, PathBuf};
use std::process::Command;

use sync_ext_tests::{skipped, SUPERUSER};

use crate::contract_app::App;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node")
}

fn has_node() -> bool {
    let node = Command::new("node").arg("--version").output();
    node.is_ok_and(|node| node.status.success()) && folder().join("node_modules/pg").is_dir()
}

/// Runs a script as the role of an app. What it saw is printed where it fails.
fn run(app: &App, script: &str) {
    if !has_node() {
        return skipped("node, or its package pg, is missing");
    }
    let psql = app.db.server().program("psql", app.db.name());
    let mut node = Command::new("node");
    for (name, value) in psql.get_envs() {
        match value {
            Some(value) => node.env(name, value),
            None => node.env_remove(name),
        };
    }
    // who has no right yet, for scripts that grant
    let roles: Vec<String> = (0..4).map(|_| app.db.login_role()).collect();
    node.arg(folder().join(script))
        .env("SYNC_EXT_OWNER", SUPERUSER)
        .env("SYNC_EXT_ROLES", roles.join(","))
        .env("PGUSER", &app.role)
        .env("SYNC_EXT_ORG", app.org.to_string())
        .env("SYNC_EXT_SHOP", app.shop.url());
    let output = node.output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.ends_with("done\n"),
        "{script}:\n{out}\n{err}"
    );
}

#[test]
fn an_app_that_keeps_progress_log_and_cache_itself() {
    run(&App::new(30), "quick_start.mjs");
}

#[test]
fn an_app_that_previews_chooses_and_applies() {
    run(&App::new(60), "preview.mjs");
}

#[test]
fn an_app_that_keeps_single_items_in_sync() {
    run(&App::new(30), "lists.mjs");
}

#[test]
fn an_app_that_comes_from_a_rest_api() {
    run(&App::new(60), "mapping.mjs");
}
