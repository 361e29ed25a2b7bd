//! Mutations that happen when the k-th request to a path arrives: changes while a pull pages.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::Request;

/// What to do at which request. Exactly one of `before` and `after` is meaningful.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plan {
    /// What the path starts with.
    pub path: String,
    /// What the query contains.
    #[serde(default)]
    pub query: Option<String>,
    /// Just before the k-th matching request is answered (1: the next one).
    #[serde(default)]
    pub before: Option<u64>,
    /// Just after the reply to the k-th matching request was made.
    #[serde(default)]
    pub after: Option<u64>,
    /// The mutations, as JSON.
    #[serde(rename = "do")]
    pub ops: Vec<Value>,
}

impl Plan {
    /// Mutations just before the k-th request to a path is answered.
    pub fn before(path: &str, k: u64, ops: Vec<Value>) -> Self {
        Self {
            path: path.into(),
            before: Some(k),
            ops,
            ..Self::default()
        }
    }

    /// Mutations just after the k-th request to a path was answered.
    pub fn after(path: &str, k: u64, ops: Vec<Value>) -> Self {
        Self {
            path: path.into(),
            after: Some(k),
            ops,
            ..Self::default()
        }
    }
}

/// Plans with how many matching requests each has seen.
#[derive(Default)]
pub struct Schedule {
    plans: Mutex<Vec<(Plan, u64)>>,
}

impl Schedule {
    /// Adds a plan.
    pub fn add(&self, plan: Plan) {
        self.plans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((plan, 0));
    }

    /// Drops every plan.
    pub fn clear(&self) {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a request; returns what to do before it and what to do after it.
    pub fn due(&self, request: &Request) -> (Vec<Value>, Vec<Value>) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = (Vec::new(), Vec::new());
        for (plan, seen) in plans.iter_mut() {
            let query = plan
                .query
                .as_ref()
                .is_none_or(|q| request.query.contains(q.as_str()));
            if !query || !request.path.starts_with(&plan.path) {
                continue;
            }
            *seen += 1;
            if plan.before == Some(*seen) {
                due.0.extend(plan.ops.iter().cloned());
            }
            if plan.after == Some(*seen) {
                due.1.extend(plan.ops.iter().cloned());
            }
        }
        plans.retain(|(p, seen)| p.before.or(p.after).is_some_and(|k| k > *seen));
        due
    }
}
