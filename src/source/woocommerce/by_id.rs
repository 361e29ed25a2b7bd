//! Records by their ids: in lists, or alone.

use super::halve::reason;
use super::list::List;
use super::page::{Failure, Page};
use super::{map, WooCommerce};
use crate::error::Result;
use crate::source::http::{Meter, Response};
use crate::source::{Batch, Task, Unreadable};

impl WooCommerce {
    /// Reads the records that a task names. One id is asked for alone, where its place is known: then only the shop's own
    /// word for it says that it is gone. What a list of ids lacks may be there all the same.
    pub(super) fn by_id(&self, list: &List, task: &Task, ids: &[String], meter: &Meter) -> Result<Batch> {
        let is_id = |id: &&String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        let mut ids: Vec<String> = ids.iter().filter(is_id).cloned().collect();
        // as the shop shows them
        ids.sort_by_key(|id| (id.len(), id.clone()));
        if let ([id], Some(_)) = (ids.as_slice(), list.route_of("0")) {
            return self.alone(list, task, id, meter);
        }
        let mut all = Batch::default();
        let mut open: Vec<Vec<String>> = vec![ids];
        let mut failures = 0;
        while let Some(ids) = open.pop() {
            let size = self.page_size(list) as usize;
            if ids.len() > size {
                let (now, later) = ids.split_at(size);
                open.extend([later.to_vec(), now.to_vec()]);
                continue;
            }
            match self.page_of(list, task.content, &ids, meter) {
                Ok(None) => return super::read::none(list),
                Ok(Some(page)) => {
                    failures = 0;
                    open.extend(self.capped(list, &ids, &page));
                    self.add(&mut all, list, task, page, meter)?;
                }
                Err(Failure { error, may_be_size }) => {
                    // one after the other, down to single ones: nobody is there
                    failures += 1;
                    if !may_be_size || failures > FAILURES {
                        return Err(error);
                    }
                    match ids.as_slice() {
                        [id] => all.unreadable.push(Unreadable {
                            id: id.clone(),
                            reason: reason(&error),
                        }),
                        ids => {
                            let (left, right) = ids.split_at(ids.len() / 2);
                            open.extend([right.to_vec(), left.to_vec()]);
                        }
                    }
                }
            }
        }
        Ok(all)
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

    /// The ids that an answer lacks where it says itself that there are more of them.
    fn capped(&self, list: &List, asked: &[String], page: &Page) -> Option<Vec<String>> {
        let shown = page.rows.len() as u64;
        if shown == 0 || page.total.is_none_or(|total| total <= shown) {
            return None;
        }
        self.note_page_size(list, shown);
        let is_shown = |id: &String| page.rows.iter().any(|row| map::id(row).as_ref() == Some(id));
        Some(asked.iter().filter(|id| !is_shown(id)).cloned().collect())
    }

    /// One record by its own address.
    fn alone(&self, list: &List, task: &Task, id: &str, meter: &Meter) -> Result<Batch> {
        let route = list.route_of(id).unwrap_or_default();
        let params = vec![("_fields".to_owned(), list.fields(task.content).to_owned())];
        let response = self.api.get(&route, &params, meter)?;
        let kept = |unreadable: Vec<Unreadable>, hidden: Vec<String>| {
            Ok(Batch {
                unreadable,
                hidden,
                server_time: response.date(),
                ..Batch::default()
            })
        };
        if is_gone(&response) {
            return kept(Vec::new(), Vec::new());
        }
        if response.status == 403 && response.json.is_some() {
            return kept(Vec::new(), vec![id.to_owned()]);
        }
        let unreadable = |reason: String| {
            let id = id.to_owned();
            vec![Unreadable { id, reason }]
        };
        if matches!(response.status, 404 | 500) && response.json.is_some() {
            return kept(unreadable(reason(&self.api.error(&response))), Vec::new());
        }
        let server_time = response.date();
        let (_, row) = self.api.expect_json(response)?;
        if map::id(&row).as_deref() != Some(id) || list.lacks(task.content, &row).is_some() {
            return Err(super::page::another(
                list,
                "another record than the one that was asked for",
            ));
        }
        if row["status"] == "trash" && task_knows_trash(list) {
            return Ok(Batch {
                server_time,
                ..Batch::default()
            });
        }
        let batch = self.batch(list, task, std::slice::from_ref(&row), meter)?;
        Ok(Batch { server_time, ..batch })
    }
}

/// Questions in a row that may fail on the way to the record that can't be shown: a hundred ids are halved seven times.
const FAILURES: usize = 12;

/// What is in the trash is in no listing.
fn task_knows_trash(list: &List) -> bool {
    !matches!(list, List::Customers | List::Categories)
}

/// The shop's own word that there is no such record. The codes differ by version and type; a firewall, a page that isn't
/// found, or an address that the API doesn't know have none of them.
fn is_gone(response: &Response) -> bool {
    let code = response.remote_code();
    response.status == 404 && (code.ends_with("_invalid_id") || code == "woocommerce_rest_term_invalid")
}
