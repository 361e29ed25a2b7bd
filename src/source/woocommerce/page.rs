//! One answer of a listing: what is asked, and whether what came is an answer to that.

use super::api::Params;
use super::list::List;
use super::map;
use super::WooCommerce;
use crate::error::{Code, Error, Result};
use crate::source::http::{is_late, is_too_big, Meter, Response};
use crate::source::{Content, Task};
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

/// The most that WooCommerce gives at once.
pub(super) const PER_PAGE: u64 = 100;

/// The rows of one answer, with what its headers say.
pub(super) struct Page {
    pub rows: Vec<Value>,
    pub total: Option<u64>,
    pub server_time: Option<DateTime<Utc>>,
    pub response: Response,
}

/// Which rows of a listing are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub offset: u64,
    pub rows: u64,
    /// Counted from the end, the last one first.
    pub is_backwards: bool,
}

impl Place {
    pub const fn new(offset: u64, rows: u64) -> Self {
        Place {
            offset,
            rows,
            is_backwards: false,
        }
    }
}

/// A question that brought no page.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: Error,
    /// Asking for less may help: the shop broke down over it, or gave up.
    pub may_be_size: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            may_be_size: is_late(&error) || is_too_big(&error),
            error,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl WooCommerce {
    /// Rows of a task's listing; None where the shop has no such listing of variations.
    pub(super) fn page_at(
        &self,
        list: &List,
        task: &Task,
        place: Place,
        meter: &Meter,
    ) -> Result<Option<Page>, Failure> {
        let role = &self.settings.customer_role;
        let mut params = self.params(list, task.content, task.since, role, meter)?;
        set(&mut params, "per_page", place.rows.to_string());
        if place.offset > 0 {
            params.push(("offset".to_owned(), place.offset.to_string()));
        }
        if place.is_backwards {
            set(&mut params, "order", "desc".to_owned());
        }
        let Some(mut page) = self.ask_page(list, &params, meter)? else {
            return Ok(None);
        };
        if place.is_backwards {
            page.rows.reverse();
        }
        check(list, task.content, &page.rows, place.rows)?;
        Ok(Some(page))
    }

    /// Records by their ids, in full or not.
    pub(super) fn page_of(
        &self,
        list: &List,
        content: Content,
        ids: &[String],
        meter: &Meter,
    ) -> Result<Option<Page>, Failure> {
        // With any role: a customer whose role has changed is not gone.
        let mut params = self.params(list, content, None, "all", meter)?;
        set(&mut params, "per_page", ids.len().to_string());
        params.push(("include".to_owned(), ids.join(",")));
        let Some(page) = self.ask_page(list, &params, meter)? else {
            return Ok(None);
        };
        check(list, content, &page.rows, ids.len() as u64)?;
        let is_asked = |row: &Value| map::id(row).is_some_and(|id| ids.contains(&id));
        if !page.rows.iter().all(is_asked) {
            return Err(another(list, "records that were not asked for").into());
        }
        Ok(Some(page))
    }

    pub(super) fn params(
        &self,
        list: &List,
        content: Content,
        since: Option<DateTime<Utc>>,
        role: &str,
        meter: &Meter,
    ) -> Result<Params> {
        let mut params = vec![
            ("per_page", self.page_size(list).to_string()),
            ("orderby", "id".to_owned()),
            ("order", "asc".to_owned()),
            ("_fields", list.fields(content).to_owned()),
        ];
        match list {
            List::Customers => params.push(("role", role.to_owned())),
            List::Orders => params.push(("status", self.order_statuses(meter)?.join(","))),
            List::Categories => {}
            _ => params.push(("status", "any".to_owned())),
        }
        if let List::VariationsIn(parents) = list {
            params.push(("parent", parents.clone()));
        }
        if let Some(since) = since.filter(|_| list.knows_changes()) {
            // The shop compares whole seconds, strictly: one second earlier loses nothing.
            let after = since - Duration::seconds(1);
            params.push(("modified_after", after.format("%Y-%m-%dT%H:%M:%S").to_string()));
            params.push(("dates_are_gmt", "true".to_owned()));
        }
        Ok(params
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }

    /// One answer of a listing; None where the shop has no such listing of variations.
    pub(super) fn find_page(&self, list: &List, params: &Params, meter: &Meter) -> Result<Option<Page>> {
        Ok(self.ask_page(list, params, meter)?)
    }

    fn ask_page(&self, list: &List, params: &Params, meter: &Meter) -> Result<Option<Page>, Failure> {
        let mut response = self.api.list(&list.route(), params, meter)?;
        let mut params = params.clone();
        while let Some(why) = refused_param(&response, "status").filter(|_| *list == List::Orders) {
            params = self
                .without_status(params, why)
                .ok_or_else(|| self.unknown(&response, "order_statuses"))?;
            response = self.api.list(&list.route(), &params, meter)?;
        }
        if *list == List::Customers && refused_param(&response, "role").is_some() {
            return Err(self.unknown(&response, "customer_role").into());
        }
        if response.status == 404 && matches!(list, List::Variations | List::VariationsOf(_)) {
            return Ok(None);
        }
        let may_be_size = refused_param(&response, "per_page").is_some() || response.may_be_size();
        self.parse(list, response)
            .map(Some)
            .map_err(|error| Failure { error, may_be_size })
    }

    /// The parameters without the order status that the shop refuses (`status[7] is not one of ...`):
    /// old shops know no drafts, and a plugin that is gone takes its statuses along. None where that
    /// can't be told. What the settings name is told by a warning.
    fn without_status(&self, mut params: Params, why: &str) -> Option<Params> {
        let (_, value) = params.iter_mut().find(|(name, _)| name == "status")?;
        let mut statuses: Vec<String> = value.split(',').map(str::to_owned).collect();
        let index: usize = why.strip_prefix("status[")?.split(']').next()?.parse().ok()?;
        let refused = (index < statuses.len() && statuses.len() > 1).then(|| statuses.remove(index))?;
        if self.settings.order_statuses.contains(&refused) {
            self.note_unlistable(refused);
        }
        *value = statuses.join(",");
        self.api.note(|memo| memo.order_statuses = Some(statuses));
        Some(params)
    }

    fn unknown(&self, response: &Response, setting: &str) -> Error {
        let message = format!("the shop doesn't know the {setting} of this connector");
        let error = Error {
            code: Code::Invalid,
            message,
            ..self.api.error(response)
        };
        error.hint(format!("Correct {setting} in the connector's settings."))
    }

    fn parse(&self, list: &List, response: Response) -> Result<Page> {
        let (response, json) = self.api.expect_json(response)?;
        let rows = match json {
            Value::Array(rows) => rows,
            _ => return Err(another(list, "no list")),
        };
        let total = total(&response);
        Ok(Page {
            rows,
            total,
            server_time: response.date(),
            response,
        })
    }

    /// How many records a listing holds, and the answer that said so; None where there is no such
    /// listing of variations.
    pub(super) fn count_list(&self, list: &List, meter: &Meter) -> Result<Option<Page>> {
        let mut params = self.params(list, Content::Ids, None, &self.settings.customer_role, meter)?;
        set(&mut params, "per_page", "1".to_owned());
        set(&mut params, "_fields", "id".to_owned());
        match self.ask_page(list, &params, meter) {
            Err(failure) if failure.may_be_size => self.count_behind(list, params, failure, meter),
            answer => Ok(answer?),
        }
    }

    /// The same where the first record is one that can't be shown, and those behind it may be such, too. A place behind the end
    /// tells nothing: shops say of it that there is nothing at all.
    fn count_behind(
        &self,
        list: &List,
        mut params: Params,
        failure: Failure,
        meter: &Meter,
    ) -> Result<Option<Page>> {
        params.push(("offset".to_owned(), String::new()));
        for offset in ["1", "10", "100"] {
            set(&mut params, "offset", offset.to_owned());
            match self.ask_page(list, &params, meter) {
                Ok(Some(page)) if !page.rows.is_empty() => return Ok(Some(page)),
                Ok(None) => return Ok(None),
                _ => {}
            }
        }
        Err(failure.error)
    }
}

fn set(params: &mut Params, name: &str, value: String) {
    for (_, old) in params.iter_mut().filter(|(param, _)| param == name) {
        old.clone_from(&value);
    }
}

/// Whether rows can be an answer to the question: no more than were asked for, in ascending order of their ids, and at least
/// one of them with the fields that were asked for. A cache that ignores the query answers another one.
fn check(list: &List, content: Content, rows: &[Value], asked: u64) -> Result<()> {
    if rows.len() as u64 > asked {
        return Err(another(list, "more records than were asked for"));
    }
    let ids = rows.iter().map(|row| {
        let id = map::required_id(row)?;
        id.parse::<u64>()
            .map_err(|_| another(list, "a record whose id is no number"))
    });
    let ids: Vec<u64> = ids.collect::<Result<_>>()?;
    if !ids.is_sorted_by(|a, b| a < b) {
        return Err(another(list, "records in another order"));
    }
    if !rows.is_empty() && rows.iter().all(|row| list.lacks(content, row).is_some()) {
        return Err(another(list, "records without the fields that were asked for"));
    }
    Ok(())
}

/// The error for an answer to another question.
pub(super) fn another(list: &List, what: &str) -> Error {
    Error::new(
        Code::Nonsense,
        format!("the shop answers the question for its {} with {what}", list.route()),
    )
    .hint("A cache that ignores the query, or a plugin that changes the API's answers, may be the cause: exclude /wp-json/ from caching. Nothing was marked as deleted.")
}

/// Why the shop refuses a parameter, in its words; None where it doesn't.
pub(super) fn refused_param<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let json = response.json.as_ref().filter(|_| response.status == 400)?;
    json["data"]["params"][name]
        .as_str()
        .filter(|_| response.remote_code() == "rest_invalid_param")
}

/// How many records a listing holds, by the word of the site.
pub(super) fn total(response: &Response) -> Option<u64> {
    response.header("x-wp-total")?.parse().ok()
}
