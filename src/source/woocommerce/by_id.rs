//! Records by their ids: in lists, or alone.

use super::halve::reason;
use super::list::List;
use super::page::{Failure, Page};
use super::value::reference;
use super::{map, WooCommerce};
use crate::error::{Error, Result};
use crate::source::http::{Meter, Response};
use crate::source::{Batch, Content, Task, Unreadable};

impl WooCommerce {
    /// Reads the records that a task names, in lists. What a list of ids lacks may be there all the same.
    pub(super) fn by_id(&self, list: &List, task: &Task, ids: &[String], meter: &Meter) -> Result<Batch> {
        let mut all = Batch::default();
        let broken = self.pages_of(list, task.content, ids, meter, &mut |page| {
            self.add(&mut all, list, task, page, meter)
        })?;
        all.unreadable.extend(broken);
        Ok(all)
    }

    /// Answers to questions by id, in portions as small as the shop needs them; those that it breaks down over alone.
    pub(super) fn pages_of(
        &self,
        list: &List,
        content: Content,
        ids: &[String],
        meter: &Meter,
        take: &mut dyn FnMut(Page) -> Result<()>,
    ) -> Result<Vec<Unreadable>> {
        let mut ids: Vec<String> = ids.iter().filter(|id| is_id(id)).cloned().collect();
        // as the shop shows them
        ids.sort_by_key(|id| (id.len(), id.clone()));
        let mut broken = Vec::new();
        let mut open = vec![Portion { ids, capped: None }];
        let mut failures = 0;
        while let Some(portion) = open.pop() {
            let size = self.page_size(list) as usize;
            if portion.ids.is_empty() {
                continue;
            }
            if portion.ids.len() > size {
                open.extend(portion.split(size));
                continue;
            }
            match self.page_of(list, content, &portion.ids, meter) {
                Ok(None) => return super::read::none(list).map(|_| broken),
                Ok(Some(page)) => {
                    failures = 0;
                    open.extend(self.capped(list, portion, &page));
                    take(page)?;
                }
                Err(Failure { error, may_be_size }) => {
                    failures += 1;
                    if failures > FAILURES && may_be_size && self.is_there(list, meter) {
                        failures = 0;
                    }
                    if !may_be_size || failures > FAILURES {
                        return Err(error);
                    }
                    match portion.ids.as_slice() {
                        [id] => broken.push(unreadable(id, &error)),
                        ids => {
                            let middle = ids.len() / 2;
                            open.extend(portion.split(middle));
                        }
                    }
                }
            }
        }
        Ok(broken)
    }

    fn add(&self, all: &mut Batch, list: &List, task: &Task, page: Page, meter: &Meter) -> Result<()> {
        let batch = self.batch(list, task, &page.rows, meter)?;
        all.server_time = all.server_time.or(page.server_time);
        all.records.extend(batch.records);
        all.stubs.extend(batch.stubs);
        all.unreadable.extend(batch.unreadable);
        all.more.extend(batch.more);
        all.childless.extend(batch.childless);
        all.warnings.extend(batch.warnings);
        Ok(())
    }

    /// The ids that an answer lacks where it says itself that there are more of them. That fewer come at once than should is
    /// noted when such ids come after all: what is kept out of the rows, and not out of the number, comes in no portion.
    fn capped(&self, list: &List, asked: Portion, page: &Page) -> Option<Portion> {
        let shown = page.rows.len() as u64;
        if shown == 0 {
            return None;
        }
        if let Some(before) = asked.capped {
            self.note_page_size(list, before);
        }
        if page.total.is_none_or(|total| total <= shown) {
            return None;
        }
        let is_lacking = |id: &String| !page.rows.iter().any(|row| map::id(row).as_ref() == Some(id));
        Some(Portion {
            ids: asked.ids.into_iter().filter(is_lacking).collect(),
            capped: Some(shown),
        })
    }

    /// Whether the shop answers at all for this listing: else what fails is no matter of records.
    pub(super) fn is_there(&self, list: &List, meter: &Meter) -> bool {
        self.count_list(list, meter).is_ok()
    }

    /// One record by its own address, where that is known: then only the shop's own word for it says that it is gone.
    pub(super) fn alone(&self, list: &List, task: &Task, id: &str, meter: &Meter) -> Result<Batch> {
        let Some(route) = list.route_of(id).filter(|_| is_id(id)) else {
            return self.by_id(list, task, &[id.to_owned()], meter);
        };
        let params = vec![("_fields".to_owned(), list.fields(task.content).to_owned())];
        let response = match self.api.list(&route, &params, meter).map_err(Failure::from) {
            Ok(response) => response,
            Err(Failure { error, may_be_size }) => return self.broken(list, id, error, may_be_size, meter),
        };
        let server_time = response.date();
        let kept = |batch: Batch| Ok(Batch { server_time, ..batch });
        if is_gone(&response) {
            return kept(Batch::default());
        }
        if response.status == 403 && response.json.is_some() {
            return kept(Batch {
                hidden: vec![id.to_owned()],
                ..Batch::default()
            });
        }
        if response.status == 404 && response.json.is_some() {
            return kept(Batch {
                unreadable: vec![unreadable(id, &self.api.error(&response))],
                ..Batch::default()
            });
        }
        let may_be_size = response.may_be_size();
        let row = match self.api.expect_json(response) {
            Ok((_, row)) => row,
            Err(error) => return self.broken(list, id, error, may_be_size, meter),
        };
        if let Some(parent) =
            reference(&row["parent_id"]).filter(|_| *list == List::Products && row["type"] == "variation")
        {
            // the address of products answers for variations, too
            return self.alone(&List::VariationsOf(parent), task, id, meter);
        }
        if map::id(&row).as_deref() != Some(id) || list.lacks(task.content, &row).is_some() {
            return Err(super::page::another(
                list,
                "another record than the one that was asked for",
            ));
        }
        if row["status"] == "trash" && knows_trash(list) {
            return kept(Batch::default());
        }
        kept(self.batch(list, task, std::slice::from_ref(&row), meter)?)
    }

    /// The shop breaks down over one record. Where it answers otherwise, it is the record's fault.
    fn broken(&self, list: &List, id: &str, error: Error, may_be_size: bool, meter: &Meter) -> Result<Batch> {
        if !may_be_size || !self.is_there(list, meter) {
            return Err(error);
        }
        Ok(Batch {
            unreadable: vec![unreadable(id, &error)],
            ..Batch::default()
        })
    }
}

/// Ids to be asked for at once.
struct Portion {
    ids: Vec<String>,
    /// They were lacking from an answer of so many rows, which said that there are more.
    capped: Option<u64>,
}

impl Portion {
    /// Those from `at` on, and those before, which come first on a stack.
    fn split(mut self, at: usize) -> [Portion; 2] {
        let later = Portion {
            ids: self.ids.split_off(at),
            capped: self.capped,
        };
        [later, self]
    }
}

fn unreadable(id: &str, error: &Error) -> Unreadable {
    Unreadable {
        id: id.to_owned(),
        reason: reason(error),
    }
}

/// Questions in a row that may fail before the shop is asked whether it is there: a hundred ids are halved seven times.
const FAILURES: usize = 12;

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())
}

/// What is in the trash is in no listing.
fn knows_trash(list: &List) -> bool {
    !matches!(list, List::Customers | List::Categories)
}

/// The shop's own word that there is no such record. The codes differ by version and type; a firewall, a page that isn't
/// found, or an address that the API doesn't know have none of them.
pub(super) fn is_gone(response: &Response) -> bool {
    let code = response.remote_code();
    response.status == 404 && (code.ends_with("_invalid_id") || code == "woocommerce_rest_term_invalid")
}
