//! How a pass over one entity type begins.

use super::api::{Answer, Args};
use super::list::{self, List};
use super::Odoo;
use crate::core::{EntityType, Listing};
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::{At, Content, Pass, Plan, Task};
use chrono::{DateTime, Utc};
use serde_json::{json, Value};

impl Odoo {
    /// Plans a pass. Asks for the number of records first: it decides how, and brings the server's clock.
    pub(super) fn plan_pass(&self, entity: EntityType, pass: Pass, meter: &Meter) -> Result<Plan> {
        let (total, answer) = self.count(entity, &[], meter)?;
        // Where one page holds everything, reading it is as cheap as asking what has changed, and sees what no
        // date tells (the name of an attribute, a line taken away).
        let one_page = self.page_size(&List::Records(entity), Content::Full);
        let small = total <= self.settings.compare_limit.unwrap_or(one_page);
        let since = match pass {
            Pass::Since(since) if !small => Some(since),
            _ => None,
        };
        let mut tasks = vec![begin(entity.name(), since)];
        if since.is_some() {
            tasks.extend(
                list::satellites(entity)
                    .iter()
                    .map(|satellite| begin(satellite.list, since)),
            );
        }
        Ok(Plan {
            tasks,
            sweeps: since.is_none(),
            lists: vec![Listing::of(entity.name())],
            stride: None,
            alone_at_most: None,
            server_time: answer.server_time.unwrap_or_else(Utc::now),
            requests: meter.requests(),
        })
    }

    /// How many records of a type there are, and the answer that said so.
    pub(super) fn count(&self, entity: EntityType, domain: &[Value], meter: &Meter) -> Result<(u64, Answer)> {
        let model = list::model(entity).name;
        let mut args = Args::new();
        args.insert("domain".to_owned(), json!(domain));
        let answer = self.api.call(model, "search_count", args, meter)?;
        let total = answer.value.as_u64();
        let total = total.ok_or_else(|| Error::new(Code::Nonsense, format!("Odoo can't count {model}")))?;
        Ok((total, answer))
    }
}

fn begin(list: &str, since: Option<DateTime<Utc>>) -> Task {
    Task {
        list: Listing::of(list),
        content: Content::Full,
        since,
        at: At::Offset(0),
    }
}
