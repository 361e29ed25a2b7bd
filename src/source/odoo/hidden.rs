//! Telling hidden records from deleted ones. Record rules filter searches without a word, so a record that a
//! search doesn't bring may be gone or just not for us. `read` tells: it drops what is gone, and refuses all
//! it was asked for if a rule hides one of them. The refusal doesn't say which, so the ids are halved until it
//! does.

use super::api::Args;
use super::refusal::Cause;
use super::value::reference;
use super::Odoo;
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use serde_json::{json, Value};
use std::sync::atomic::{AtomicU32, Ordering};

/// Questions spent in a run on telling hidden records apart, and on finding what can't be computed. Where a rule hides thousands of them, halving would
/// take twice as many questions as there are records.
const BUDGET: u32 = 256;

/// What is left of the budget.
#[derive(Debug)]
pub(super) struct Questions(AtomicU32);

impl Default for Questions {
    fn default() -> Self {
        Questions(AtomicU32::new(BUDGET))
    }
}

impl Questions {
    pub fn take(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

impl Odoo {
    /// Which of these ids, which a search didn't bring, are not proven gone.
    pub(super) fn hidden(&self, model: &'static str, ids: Vec<u64>, meter: &Meter) -> Result<Vec<String>> {
        let mut hidden: Vec<u64> = Vec::new();
        let mut open: Vec<Vec<u64>> = vec![ids];
        let mut first = true;
        while let Some(mut part) = open.pop() {
            if part.is_empty() {
                continue;
            }
            // The first question is free: mostly all of them are just gone.
            if !std::mem::take(&mut first) && !self.questions.take() {
                hidden.append(&mut part);
                continue;
            }
            let mut args = Args::new();
            args.insert("ids".to_owned(), json!(part));
            args.insert("fields".to_owned(), json!(["write_date"]));
            match self.api.call(model, "read", args, meter) {
                // what comes back after all has come back to life, or into view
                Ok(answer) => {
                    let Value::Array(rows) = answer.value else {
                        let message = format!("Odoo's answer for {model} is no list");
                        return Err(Error::new(Code::Nonsense, message)
                            .hint("A customisation may change its answers. Nothing was marked as deleted."));
                    };
                    let back: Vec<u64> = rows.iter().filter_map(|row| reference(&row["id"])).collect();
                    let (came, lacking): (Vec<u64>, Vec<u64>) =
                        part.into_iter().partition(|id| back.contains(id));
                    if !came.is_empty() {
                        // there may be more of them than came
                        open.push(lacking);
                    }
                    hidden.extend(came);
                }
                Err(refusal) if matches!(refusal.cause, Cause::Forbidden | Cause::Missing) => {
                    if part.len() > 1 {
                        let rest = part.split_off(part.len() / 2);
                        open.extend([part, rest]);
                    } else if refusal.cause == Cause::Forbidden {
                        hidden.append(&mut part);
                    }
                }
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(hidden.into_iter().map(|id| id.to_string()).collect())
    }
}
