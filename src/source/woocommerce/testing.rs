//! Recordings of real shops, and a small shop that answers in their way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::WooCommerce;
use crate::source::http::testing::{settings, Reply, Seen, Server};
use crate::source::kind::configured;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

pub const KEY: &str = "ck_80ccd0b525e2295bfffeae4c453043b0f5d05a07";
pub const SECRET: &str = "cs_4915b81989467520ee493a31b87a6cf106552c4d";

/// The recordings of the project, and the whole set of which they are a selection where it lies beside.
fn folders() -> impl Iterator<Item = PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let all = ["tests/recordings", "../shared/recordings"].map(|folder| here.join(folder).join("woocommerce"));
    all.into_iter().filter(|folder| folder.is_dir())
}

/// A recording by its path.
pub fn recording(path: &str) -> Value {
    let mut there = folders().map(|folder| folder.join(path)).filter(|file| file.is_file());
    let file = there.next().unwrap_or_else(|| panic!("no recording {path}"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The bodies of all recorded pages in a folder.
pub fn pages(site: &str, list: &str) -> Vec<Vec<Value>> {
    let files = folders().filter_map(|folder| std::fs::read_dir(folder.join(site).join(list)).ok());
    let pages: Vec<Vec<Value>> = files
        .flatten()
        .map(|file| {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let recording: Value = serde_json::from_str(&text).unwrap();
            recording["response"]["body"].as_array().cloned().unwrap_or_default()
        })
        .collect();
    assert!(!pages.is_empty(), "no recordings {site}/{list}");
    pages
}

/// A connector to a server. It speaks plain http, so it signs.
pub fn connect(server: &Server, more: Value, memo: Value) -> WooCommerce {
    let keys = json!({"consumer_key": KEY, "consumer_secret": SECRET});
    let (config, settings, keys) = configured("woocommerce".parse().unwrap(), &server.url(), &more, &keys, &memo, settings()).unwrap();
    WooCommerce::new(config, &settings, &keys).unwrap()
}

/// What a small shop holds.
#[derive(Clone, Default)]
pub struct Shop {
    pub rows: Vec<(&'static str, Vec<Value>)>,
    /// 10.3 and later.
    pub global_variations: bool,
    /// HPOS says 0 past the end.
    pub hpos: bool,
    /// Showing one of these is a fatal error.
    pub bad: Vec<u64>,
    /// These are counted in lists, and not shown there.
    pub unshown: Vec<u64>,
    /// No more rows come at once.
    pub cap: Option<usize>,
    /// It says nowhere how many there are.
    pub no_totals: bool,
    /// It says that there are so many.
    pub wrong_total: Option<usize>,
    /// Every page begins at the beginning.
    pub no_offsets: bool,
}

impl Shop {
    pub fn start(self) -> Server {
        Server::start(move |seen, _| self.answer(seen))
    }

    pub fn answer(&self, seen: &Seen) -> Reply {
        if seen.param("oauth_signature").is_none() {
            return Reply::new(
                401,
                r#"{"code":"woocommerce_rest_cannot_view","message":"Sorry."}"#,
            );
        }
        let Some(route) = seen.path.strip_prefix("/wp-json/wc/v3/") else {
            return Reply::new(404, "<!DOCTYPE html>");
        };
        let of = |route: &str| {
            self.rows
                .iter()
                .find(|(name, _)| *name == route)
                .map(|(_, rows)| rows)
        };
        if let Some((rows, id)) = route
            .rsplit_once('/')
            .and_then(|(list, id)| Some((of(list)?, id.parse::<u64>().ok()?)))
        {
            return match rows.iter().find(|row| row["id"] == id) {
                Some(_) if self.bad.contains(&id) => fatal(),
                Some(row) => Reply::ok(serde_json::to_vec(row).unwrap()),
                None => Reply::new(
                    404,
                    r#"{"code":"woocommerce_rest_invalid_id","message":"Invalid ID."}"#,
                ),
            };
        }
        match of(route) {
            Some(rows) if route != "variations" || self.global_variations => self.page(seen, rows),
            _ => Reply::new(
                404,
                r#"{"code":"rest_no_route","message":"No route.","data":{"status":404}}"#,
            ),
        }
    }

    fn page(&self, seen: &Seen, rows: &[Value]) -> Reply {
        let number = |name: &str, or: usize| seen.param(name).map_or(or, |text| text.parse().unwrap());
        let wanted: Option<Vec<&str>> = seen.param("include").map(|ids| ids.split(',').collect());
        let since = seen.param("modified_after").unwrap_or_default();
        let mut found: Vec<&Value> = rows
            .iter()
            .filter(|row| {
                wanted
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&row["id"].to_string().as_str()))
            })
            .filter(|row| seen.param("type").is_none_or(|kind| row["type"] == kind))
            .filter(|row| row["date_modified_gmt"].as_str().unwrap_or("9") > since)
            .collect();
        if seen.param("order") == Some("desc") {
            found.reverse();
        }
        let page: Vec<_> = found
            .iter()
            .skip(if self.no_offsets { 0 } else { number("offset", 0) })
            .take(number("per_page", 10).min(self.cap.unwrap_or(100)))
            .filter(|row| row["id"].as_u64().is_none_or(|id| !self.unshown.contains(&id)))
            .collect();
        let is_bad = |row: &&&Value| row["id"].as_u64().is_some_and(|id| self.bad.contains(&id));
        if page.iter().any(is_bad) {
            return fatal();
        }
        let total = if self.hpos && page.is_empty() {
            0
        } else {
            found.len()
        };
        let reply =
            Reply::ok(serde_json::to_vec(&page).unwrap()).header("Date", "Sat, 21 Nov 2026 06:00:00 GMT");
        match self.no_totals {
            true => reply,
            false => reply.header("X-WP-Total", self.wrong_total.unwrap_or(total)),
        }
    }
}

/// A row with all that every record of a shop has, of whichever type.
pub fn filled(row: Value) -> Value {
    let mut all = json!({"email": "", "role": "customer", "billing": {"city": ""}, "shipping": {"city": ""}, "name": "", "type": "simple",
        "status": "", "sku": "", "regular_price": "", "categories": [], "attributes": [], "images": [], "slug": "",
        "number": "", "currency": "", "total": "", "line_items": [], "shipping_lines": [], "fee_lines": [],
        "coupon_lines": [], "tax_lines": [], "refunds": []});
    for (name, value) in row.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

fn fatal() -> Reply {
    Reply::new(
        500,
        r#"{"code":"internal_server_error","message":"There has been a critical error.","data":{"status":500}}"#,
    )
}

/// Rows with ids from 1 on.
pub fn rows(count: u64) -> Vec<Value> {
    (1..=count)
        .map(|id| filled(json!({"id": id, "date_modified_gmt": "2026-01-01T00:00:00"})))
        .collect()
}
