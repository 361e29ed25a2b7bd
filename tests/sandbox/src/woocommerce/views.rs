//! Which ids a list shows, in which order: computed once per filter while nothing changes.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::config::Version;
use super::data::{facts, Data, Id, Kind};
use super::params::{Bound, Filter, Params, States};

/// How many lists are remembered: a pull asks for pages of one, a few run at once.
const KEPT: usize = 8;

struct View {
    key: String,
    generation: u64,
    ids: Arc<Vec<Id>>,
}

/// The lists that were asked for last.
#[derive(Default)]
pub struct Views(Mutex<VecDeque<View>>);

impl Views {
    /// The ids of a list, in order.
    pub fn ids(&self, data: &Data, kind: Kind, parent: Option<Id>, params: &Params) -> Arc<Vec<Id>> {
        let few = !params.filter.include.is_empty() || params.filter.email.is_some();
        let small = parent.is_some() || few;
        if small {
            return Arc::new(compute(data, kind, parent, params));
        }
        let page = if is_lossy(data, params) { params.page } else { 0 };
        let order = (&params.orderby, params.descending, page);
        let key = format!("{kind:?} {order:?} {:?}", params.filter);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|v| v.generation == data.generation);
        if let Some(view) = kept.iter().find(|v| v.key == key) {
            return Arc::clone(&view.ids);
        }
        let ids = Arc::new(compute(data, kind, parent, params));
        kept.push_front(View {
            key,
            generation: data.generation,
            ids: Arc::clone(&ids),
        });
        kept.truncate(KEPT);
        ids
    }
}

/// Version 8 sorts by a column alone: rows that tie change places from page to page, and some are
/// on none.
fn is_lossy(data: &Data, params: &Params) -> bool {
    let dated = matches!(params.orderby.as_str(), "date" | "modified" | "registered_date");
    data.config.version == Version::V8 && dated
}

fn compute(data: &Data, kind: Kind, parent: Option<Id>, params: &Params) -> Vec<Id> {
    let filter = &params.filter;
    let shown = |id: &Id| matches(data, kind, *id, filter);
    let mut ids: Vec<Id> = match parent {
        Some(parent) => data.children(kind, parent).into_iter().filter(shown).collect(),
        None if !filter.include.is_empty() => {
            let wanted = filter.include.iter().copied();
            wanted.filter(|id| data.exists(kind, *id)).filter(shown).collect()
        }
        None if filter.email.is_some() => {
            let found = filter.email.as_deref().and_then(|e| data.by_email(e));
            found.into_iter().filter(shown).collect()
        }
        None => data.live(kind).iter().copied().filter(shown).collect(),
    };
    if parent.is_some() && !filter.include.is_empty() {
        ids.retain(|id| filter.include.contains(id));
    }
    sort(data, kind, params, &mut ids);
    ids
}

fn sort(data: &Data, kind: Kind, params: &Params, ids: &mut Vec<Id>) {
    let salt = if is_lossy(data, params) {
        params.page as u64
    } else {
        0
    };
    let tie = |id: Id| {
        if salt == 0 {
            u64::from(id)
        } else {
            facts::mix(salt << 32 ^ u64::from(id))
        }
    };
    match params.orderby.as_str() {
        "date" | "registered_date" => ids.sort_by_cached_key(|id| (data.created(kind, *id), tie(*id))),
        "modified" => ids.sort_by_cached_key(|id| (data.modified(kind, *id), tie(*id))),
        "name" | "title" | "slug" if kind == Kind::Customers => {
            ids.sort_by_cached_key(|id| format!("cust{id}"));
        }
        "name" | "title" | "slug" => ids.sort_by_cached_key(|id| name(data, kind, *id)),
        // In the order given, whatever `order` says.
        "include" => {
            let mut seen = std::collections::HashSet::new();
            ids.retain(|id| seen.insert(*id));
            return;
        }
        _ => ids.sort_unstable(),
    }
    ids.dedup();
    if params.descending {
        ids.reverse();
    }
}

fn name(data: &Data, kind: Kind, id: Id) -> (String, Reverse<Id>) {
    let name = data.field(kind, id, "name");
    (name.as_str().unwrap_or_default().to_owned(), Reverse(id))
}

fn matches(data: &Data, kind: Kind, id: Id, filter: &Filter) -> bool {
    let state = match &filter.states {
        States::All => true,
        States::Any => facts::in_any(data.config.version, kind, &data.state(kind, id)),
        States::OneOf(states) => {
            let state = data.state(kind, id);
            states.iter().any(|s| *s == *state)
        }
    };
    state
        && !data.is_unlisted(kind, id)
        && filter.bounds.iter().all(|b| within(data, kind, id, *b))
        && !filter.exclude.contains(&id)
        && filter.customer.is_none_or(|c| data.customer(id) == c)
        && filter
            .email
            .as_ref()
            .is_none_or(|e| data.email(id).eq_ignore_ascii_case(e))
        && filter
            .sku
            .as_ref()
            .is_none_or(|s| has_sku(&data.sku(kind, id), s))
        && filter
            .type_of
            .as_ref()
            .is_none_or(|t| data.field(kind, id, "type") == **t)
        && filter
            .slug
            .as_ref()
            .is_none_or(|s| data.field(kind, id, "slug") == **s)
        && (filter.parents.is_empty() || filter.parents.contains(&parent(data, kind, id)))
        && filter.search.as_ref().is_none_or(|s| found(data, kind, id, s))
}

/// One of a comma list, or the whole of it: SKUs may have commas in them.
fn has_sku(sku: &str, wanted: &str) -> bool {
    sku == wanted || wanted.split(',').any(|wanted| sku == wanted)
}

fn within(data: &Data, kind: Kind, id: Id, bound: Bound) -> bool {
    let at = if bound.created {
        Some(data.created(kind, id))
    } else {
        data.modified(kind, id)
    };
    let Some(at) = at else { return false };
    let at = if bound.gmt { at } else { at + facts::offset(at) };
    if bound.after {
        at > bound.seconds
    } else {
        at < bound.seconds
    }
}

fn parent(data: &Data, kind: Kind, id: Id) -> Id {
    match kind {
        Kind::Categories => data.field(kind, id, "parent").as_u64().unwrap_or(0) as Id,
        _ => data.parent(kind, id),
    }
}

/// Text search: in a user's address and name, else in the name.
fn found(data: &Data, kind: Kind, id: Id, text: &str) -> bool {
    let text = text.to_lowercase();
    let has = |s: &str| s.to_lowercase().contains(&text);
    if kind == Kind::Customers {
        return has(&data.email(id)) || has(data.field(kind, id, "last_name").as_str().unwrap_or(""));
    }
    has(data.field(kind, id, "name").as_str().unwrap_or_default())
}
