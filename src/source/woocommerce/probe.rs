//! What `sync_test_connection` asks a shop.

use super::api::MAX_SKEW_SECONDS;
use super::list::List;
use super::page::{total, Page};
use super::value::elements;
use super::WooCommerce;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use crate::source::http::{Meter, Response};
use crate::source::Probe;
use chrono::Utc;
use serde_json::{json, Map, Value};

impl WooCommerce {
    /// Finds out version, authentication mode, rights, clock and counts.
    pub(super) fn probe_shop(&self) -> Result<Probe> {
        let meter = Meter::default();
        let mut warnings = self.site_warnings(&meter)?;
        let (entities, pages) = self.readable(&meter)?;
        let skew = pages.first().map_or(0, |page| skew(&page.response));
        let fastest = pages
            .iter()
            .map(|page| page.response.elapsed)
            .min()
            .unwrap_or_default();
        if skew.abs() > MAX_SKEW_SECONDS {
            let minutes = skew.abs() / 60;
            warnings.push(format!("The shop's clock differs from ours by {minutes} minutes; signed requests over http fail beyond 15."));
        }
        warnings.extend(self.unlistable());
        if self.api.memo().global_variations == Some(false) {
            warnings.push("Variations are read product by product (WooCommerce before 10.3): pulls of products take longer.".to_owned());
        }
        let status = self.status(&meter)?;
        let orders = entities.get("orders").and_then(|orders| orders["count"].as_u64());
        warnings.extend(undated(&status, orders.unwrap_or(0), self.settings.compare_limit));
        Ok(Probe {
            version: status["environment"]["version"].as_str().map(str::to_owned),
            auth_mode: self.api.mode().map_or("none", |mode| mode.name()).to_owned(),
            clock_skew_seconds: skew,
            latency_ms: u64::try_from(fastest.as_millis()).unwrap_or(u64::MAX),
            entities,
            companies: Vec::new(),
            warnings,
        })
    }

    fn site_warnings(&self, meter: &Meter) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if !self.api.is_tls() {
            warnings.push("The connection is not encrypted: use https if the shop has it.".to_owned());
        }
        let site = match self.api.site(meter) {
            Ok((_, site)) => site,
            Err(error) if matches!(error.code, Code::Nonsense | Code::RemoteAuth) => {
                warnings.push(format!(
                    "The site's description (/wp-json/) can't be read: {error}."
                ));
                return Ok(warnings);
            }
            Err(error) => return Err(error),
        };
        let namespaces = site["namespaces"].as_array();
        if namespaces.is_some_and(|all| !all.iter().any(|name| name == "wc/v3")) {
            return Err(
                Error::new(Code::Nonsense, "the site has no WooCommerce REST API (wc/v3)")
                    .hint("Activate WooCommerce on it, or check base_url."),
            );
        }
        let zone = site["timezone_string"]
            .as_str()
            .filter(|zone| !zone.is_empty() && *zone != "UTC");
        if let Some(zone) = zone {
            warnings.push(format!(
                "The shop shows times in {zone}; here they are kept in UTC."
            ));
        }
        Ok(warnings)
    }

    /// Per entity type whether it can be read, and the answers that came.
    fn readable(&self, meter: &Meter) -> Result<(Map<String, Value>, Vec<Page>)> {
        let mut entities = Map::new();
        let mut pages = Vec::new();
        for entity in &self.entities {
            let told = match self.count_of(*entity, meter) {
                Ok((count, page)) => {
                    pages.extend(page);
                    json!({"readable": true, "count": count})
                }
                // Refused keys are refused for everything.
                Err(error) if self.api.mode().is_none() => return Err(error),
                Err(error) if matches!(error.code, Code::Nonsense | Code::RemoteAuth | Code::Invalid) => {
                    json!({"readable": false, "reason": reason(&error)})
                }
                Err(error) => return Err(error),
            };
            entities.insert(entity.name().to_owned(), told);
        }
        Ok((entities, pages))
    }

    fn count_of(&self, entity: EntityType, meter: &Meter) -> Result<(Option<u64>, Option<Page>)> {
        let page = self.count_list(&List::main(entity)?, meter)?;
        let mut count = page.as_ref().and_then(|page| page.total);
        if entity == EntityType::Products {
            let variations = match self.count_variations(meter)? {
                Some(page) => page.total,
                None => self.count_by_product(meter)?,
            };
            count = count
                .zip(variations)
                .map(|(products, variations)| products + variations);
        }
        Ok((count, page))
    }

    /// The number of all variations where the shop has no listing of them: products name theirs. None where not all of these
    /// products are shown, or they are too many to ask for.
    fn count_by_product(&self, meter: &Meter) -> Result<Option<u64>> {
        let (mut found, mut seen) = (0, 0);
        for _ in 0..100 {
            let params = [
                ("type", "variable".to_owned()),
                ("status", "any".to_owned()),
                ("per_page", self.page_size(&List::Products).to_string()),
                ("offset", seen.to_string()),
                ("orderby", "id".to_owned()),
                ("_fields", "id,variations".to_owned()),
            ];
            let params = params.map(|(name, value)| (name.to_owned(), value)).to_vec();
            let (response, json) = self.api.get_json("products", &params, meter)?;
            let rows = json.as_array().map_or(&[][..], Vec::as_slice);
            for row in rows {
                found += elements(row, "variations")?.len() as u64;
            }
            seen += rows.len() as u64;
            // a page may be shorter than asked for: the shop's count says where they end
            let is_end = total(&response).map_or(rows.is_empty(), |total| seen >= total);
            if is_end || rows.is_empty() {
                return Ok(is_end.then_some(found));
            }
        }
        Ok(None)
    }

    /// Version and settings of WooCommerce, where the key may read them; else null.
    fn status(&self, meter: &Meter) -> Result<Value> {
        let params = vec![("_fields".to_owned(), "environment,settings".to_owned())];
        let response = self.api.get("system_status", &params, meter)?;
        let is_success = response.is_success();
        Ok(response.json.filter(|_| is_success).unwrap_or_default())
    }
}

/// Where more orders are kept as posts than are compared one by one, most edits of one are not seen at once: a post gets
/// another date by its own columns only, and of an order these are hardly more than the status.
fn undated(status: &Value, orders: u64, compare_limit: u64) -> Option<String> {
    let store = status["settings"]["order_datastore"].as_str()?;
    (store.ends_with("_CPT") && orders > compare_limit).then(|| {
        format!(
            "The shop keeps its {orders} orders as posts, whose date stays when their address, currency, customer, lines, fees or \
             coupons are edited. With more than compare_limit ({compare_limit}) orders such edits show at the next full pass \
             (sync_ext.full_pass_interval): raise compare_limit, or switch the shop to high-performance order storage."
        )
    })
}

fn reason(error: &Error) -> String {
    match &error.detail {
        Some(detail) => format!("{error}: {detail}"),
        None => error.to_string(),
    }
}

/// The remote's clock less ours, at the middle of the exchange.
fn skew(response: &Response) -> i64 {
    let middle = Utc::now() - chrono::Duration::from_std(response.elapsed / 2).unwrap_or_default();
    response.date().map_or(0, |date| (date - middle).num_seconds())
}
