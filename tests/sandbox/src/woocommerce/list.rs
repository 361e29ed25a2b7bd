//! Lists: one page of a view.

use super::config::Version;
use super::data::{Context, Data, Id, Kind};
use super::errors::ApiError;
use super::params::{self, Params};
use super::reply::For;
use super::route::Route;
use super::views::Views;
use crate::core::http::{encode, Response};
use crate::core::json;

/// Answers a list. A parent that does not exist has no children, and that is no error.
pub fn answer(
    data: &Data,
    views: &Views,
    to: For,
    kind: Kind,
    parent: Option<Id>,
) -> Result<Response, ApiError> {
    let pairs = to.request.params();
    let params = params::read(&data.config, kind, &pairs)?;
    let ids = views.ids(data, kind, parent, &params);
    let start = params
        .offset
        .unwrap_or((params.page - 1) * params.per_page)
        .min(ids.len());
    let shown = &ids[start..(start + params.per_page).min(ids.len())];
    let whole: Vec<Id> = shown
        .iter()
        .copied()
        .filter(|id| !data.is_hidden(kind, *id))
        .collect();
    let body = render(data, to, kind, parent, &whole, &pairs);
    let total = total(data, kind, &params, shown, &ids);
    let pages = total.div_ceil(params.per_page);
    let link = link(to, kind, parent, &params, pages);
    let allow = Route::List(kind, parent).allow();
    Ok(to.listed(200, body, allow, Some((total, pages)), link))
}

/// Orders in their own tables have no total on a page past the end.
fn total(data: &Data, kind: Kind, params: &Params, shown: &[Id], ids: &[Id]) -> usize {
    let past = shown.is_empty() && params.page > 1;
    let hpos = data.config.version >= Version::V11 && matches!(kind, Kind::Orders | Kind::Refunds);
    if past && hpos {
        0
    } else {
        ids.len()
    }
}

fn render(
    data: &Data,
    to: For,
    kind: Kind,
    parent: Option<Id>,
    ids: &[Id],
    pairs: &[(String, String)],
) -> Vec<u8> {
    let mut site = Vec::new();
    json::escape(&mut site, &to.request.site);
    let site = String::from_utf8(site).unwrap_or_default();
    let fields = params::fields(pairs);
    let global = parent.is_none() && matches!(kind, Kind::Variations | Kind::Refunds);
    let context = Context {
        site: &site,
        version: data.config.version,
        fields: fields.as_ref().map(|f| f.top.as_slice()),
        links: false,
        global,
    };
    let mut buf = Vec::with_capacity(if fields.is_some() {
        8 << 10
    } else {
        ids.len() * 1500 + 2
    });
    buf.push(b'[');
    for (i, id) in ids.iter().enumerate() {
        if i > 0 {
            buf.push(b',');
        }
        let from = buf.len();
        data.render(&mut buf, kind, *id, &context);
        if let Some(fields) = fields.as_ref().filter(|f| f.is_deep()) {
            fields.filter_tail(&mut buf, from);
        }
    }
    buf.push(b']');
    buf
}

/// `Link` to the pages around this one; repeats the query, OAuth parameters included.
fn link(to: For, kind: Kind, parent: Option<Id>, params: &Params, pages: usize) -> Option<String> {
    let page = params.page;
    let mut links = Vec::new();
    if page > 1 {
        links.push((page.saturating_sub(1).min(pages), "prev"));
    }
    if page < pages {
        links.push((page + 1, "next"));
    }
    if links.is_empty() {
        return None;
    }
    let url = |n| {
        format!(
            "{}?{}",
            to.request.site.clone() + to.request.path.trim_end_matches('/'),
            query(to, kind, parent, params, n, pages)
        )
    };
    let links: Vec<_> = links
        .iter()
        .map(|(n, rel)| format!("<{}>; rel=\"{rel}\"", url(*n)))
        .collect();
    Some(links.join(", "))
}

fn query(to: For, kind: Kind, parent: Option<Id>, params: &Params, page: usize, pages: usize) -> String {
    let own = |k: &str| kind == Kind::Orders && (k == "status" || k.starts_with("status["));
    let mut parts = Vec::new();
    let mut placed = false;
    for (k, v) in to.request.params() {
        if own(&k) {
            continue;
        }
        placed |= k == "page";
        let value = if k == "page" { page.to_string() } else { v };
        parts.push(format!("{}={}", encode(&k), encode(&value)));
    }
    // Order lists repeat the defaults they filled in.
    if kind == Kind::Orders {
        let states = match &params.filter.states {
            super::params::States::OneOf(states) => states.clone(),
            _ => vec!["any".into()],
        };
        let states = states.iter().enumerate();
        parts.extend(states.map(|(i, s)| format!("status%5B{i}%5D={}", encode(s))));
    }
    if pages > 0 && (kind == Kind::Orders || (kind == Kind::Refunds && parent.is_none())) {
        parts.push("dp=2".into());
        if kind == Kind::Orders {
            parts.push("context=view".into());
        }
    }
    if !placed {
        parts.push(format!("page={page}"));
    }
    parts.join("&")
}
