//! The pages of a run.

use crate::store::list::{self as store, Item, Selection};
use std::slice::Chunks;
use sync_engine::error::Result;

/// Items that are carried out together.
const PAGE: usize = 500;

/// Items page by page, in the order of their priority. Those that were named are put in order once, and each page is asked
/// for by its own: to look for the next among all of them costs the more the more there are.
pub struct Pages<'a> {
    selection: &'a Selection,
    named: Option<Chunks<'a, String>>,
    last: Option<Item>,
}

impl<'a> Pages<'a> {
    pub fn new(selection: &'a Selection) -> Self {
        Pages {
            selection,
            named: selection.ids.as_deref().map(|ids| ids.chunks(PAGE)),
            last: None,
        }
    }

    /// The next page; none after the last.
    pub fn next(&mut self, org: &str) -> Result<Vec<Item>> {
        let Some(named) = &mut self.named else {
            let items = store::page(org, self.selection, self.last.as_ref(), PAGE as i32)?;
            self.last = items.last().cloned();
            return Ok(items);
        };
        for ids in named {
            let selection = Selection {
                ids: Some(ids.to_vec()),
                ..self.selection.clone()
            };
            let items = store::page(org, &selection, None, PAGE as i32)?;
            // all of them may have been deleted meanwhile
            if !items.is_empty() {
                return Ok(items);
            }
        }
        Ok(Vec::new())
    }
}
