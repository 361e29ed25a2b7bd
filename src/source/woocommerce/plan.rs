//! How a pass over one entity type begins.

use super::api::Params;
use super::list::{List, VARIATIONS};
use super::page::{total, Page, PER_PAGE};
use super::WooCommerce;
use crate::core::{EntityType, Listing};
use crate::error::{Code, Result};
use crate::source::http::Meter;
use crate::source::{At, Content, Pass, Plan, Task};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Statuses that every shop has; `trash` and `auto-draft` are none that an order is in.
const ORDER_STATUSES: &[&str] = &[
    "pending",
    "processing",
    "on-hold",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "checkout-draft",
];

impl WooCommerce {
    /// Plans a pass. Asks for counts first: they decide how, and bring the shop's clock.
    pub(super) fn plan_pass(&self, entity: EntityType, pass: Pass, meter: &Meter) -> Result<Plan> {
        let mut server_time = None;
        let mut total = Some(0);
        self.api.note(|memo| memo.forget(Utc::now().timestamp()));
        if entity == EntityType::Orders {
            self.refresh_order_statuses(meter)?;
        }
        let lists = self.lists(entity, meter, &mut |page_total, time| {
            total = total.zip(page_total).map(|(all, more)| all + more);
            server_time = server_time.or(time);
        })?;
        // An unknown number can't be compared with anything, so everything is read.
        let small = total.is_none_or(|total| total <= self.settings.compare_limit);
        let (content, since) = match (pass, entity) {
            (Pass::Full, _) | (_, EntityType::Categories) => (Content::Full, None),
            (Pass::Since(_), _) if small => (Content::Full, None),
            (Pass::Since(_), EntityType::Customers) => (Content::Ids, None),
            (Pass::Since(since), _) => (Content::Full, Some(since)),
        };
        // that of the shortest windows fits all
        let lists_of = lists.iter().map(|list| List::of(entity, list));
        let lists_of: Vec<List> = lists_of.collect::<Result<_>>()?;
        let rows = lists_of.iter().map(|list| self.page_size(list)).min();
        Ok(Plan {
            stride: rows.map(|rows| rows - 1),
            tasks: lists.iter().map(|list| begin(list, content, since)).collect(),
            sweeps: since.is_none(),
            lists,
            alone_at_most: Some(self.settings.deletion_checks),
            server_time: server_time.unwrap_or_else(Utc::now),
            requests: meter.requests(),
        })
    }

    /// The listings that make up an entity type, each counted.
    fn lists(
        &self,
        entity: EntityType,
        meter: &Meter,
        counted: &mut dyn FnMut(Option<u64>, Option<DateTime<Utc>>),
    ) -> Result<Vec<Listing>> {
        if let Some(page) = self.count_list(&List::main(entity)?, meter)? {
            counted(page.total, page.server_time);
        }
        let mut lists = vec![Listing::of(entity.name())];
        if entity == EntityType::Products {
            match self.count_variations(meter)? {
                Some(page) => {
                    counted(page.total, None);
                    lists.push(Listing::of(VARIATIONS));
                }
                // One request for each of them: as dear as a page of a hundred.
                None => counted(
                    self.count_variable(meter)?.map(|products| PER_PAGE * products),
                    None,
                ),
            }
        }
        Ok(lists)
    }

    /// The answer that tells the number of all variations; None where the shop lists them per product only. Asked at every
    /// plan, as an update of the shop changes it.
    pub(super) fn count_variations(&self, meter: &Meter) -> Result<Option<Page>> {
        let found = self.count_list(&List::Variations, meter)?;
        self.api
            .note(|memo| memo.global_variations = Some(found.is_some()));
        Ok(found)
    }

    /// The number of products that have variations of their own.
    fn count_variable(&self, meter: &Meter) -> Result<Option<u64>> {
        let params = [
            ("type", "variable"),
            ("status", "any"),
            ("per_page", "1"),
            ("_fields", "id"),
        ];
        let params: Params = params
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let (response, _) = self.api.get_json("products", &params, meter)?;
        Ok(total(&response))
    }

    /// Whether the shop can list the variations of all products at once.
    pub(super) fn lists_all_variations(&self, meter: &Meter) -> Result<bool> {
        match self.api.memo().global_variations {
            Some(known) => Ok(known),
            None => Ok(self.count_variations(meter)?.is_some()),
        }
    }

    /// The statuses to list orders by: without naming them, drafts would be left out.
    pub(super) fn order_statuses(&self, meter: &Meter) -> Result<Vec<String>> {
        if let Some(known) = self.api.memo().order_statuses {
            return Ok(known);
        }
        self.refresh_order_statuses(meter)
    }

    fn refresh_order_statuses(&self, meter: &Meter) -> Result<Vec<String>> {
        let mut statuses: Vec<String> = ORDER_STATUSES.iter().map(|s| (*s).to_owned()).collect();
        // Where they can't be told now, those known before stay: without its status, an order looks gone.
        let others = self
            .registered_statuses(meter)?
            .or_else(|| self.api.memo().order_statuses);
        for status in others
            .into_iter()
            .flatten()
            .chain(self.settings.order_statuses.iter().cloned())
        {
            if !statuses.contains(&status) && !matches!(status.as_str(), "trash" | "auto-draft" | "any") {
                statuses.push(status);
            }
        }
        self.api.note(|memo| memo.order_statuses = Some(statuses.clone()));
        Ok(statuses)
    }

    /// The statuses that plugins have registered; None where the shop won't tell.
    fn registered_statuses(&self, meter: &Meter) -> Result<Option<Vec<String>>> {
        let response = match self.api.get("reports/orders/totals", &Params::new(), meter) {
            Err(error) if error.code == Code::TimedOut => return Ok(None),
            response => response?,
        };
        let Some(Value::Array(rows)) = response.json.as_ref().filter(|_| response.is_success()) else {
            return Ok(None);
        };
        let slugs = rows.iter().filter_map(|row| row["slug"].as_str());
        Ok(Some(
            slugs
                .filter(|slug| !slug.is_empty() && !slug.contains(','))
                .map(str::to_owned)
                .collect(),
        ))
    }
}

fn begin(list: &Listing, content: Content, since: Option<DateTime<Utc>>) -> Task {
    Task {
        list: list.clone(),
        content,
        since,
        at: At::Offset(0),
    }
}
