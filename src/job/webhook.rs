//! `sync_ingest_webhook`: checks who sent it, then reads the one record that it names.

use super::pool::{Fetched, Pool};
use super::run::{claim, close, entity_types, opener, unseal, Context, Outcome};
use super::tokens::{self, Lease};
use super::turn;
use crate::request::Answer;
use crate::store::ledger::{Counts, Ledger};
use crate::store::outcome::Ended;
use crate::store::transaction::{guarded, short};
use crate::store::{connector, list as lists, run as runs, webhook as store};
use serde_json::{json, Value};
use std::time::{Duration, Instant};
use sync_engine::core::{Delivery, EntityType};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::webhook::Notice;
use sync_engine::source::{At, ConnectorKind, Content, Source, Task};

/// Requests that reading a record takes at most, retries apart.
const REQUESTS: u32 = 2;
/// Longest wait for the token bucket: the sender waits, too.
const SENDERS_PATIENCE: Duration = Duration::from_secs(3);

/// Carries out a webhook's request.
pub fn run(mut context: Context, headers: &Value, body: &str, is_last: bool) -> Result<Answer> {
    let kind: ConnectorKind = context.connector.kind.parse()?;
    let credentials = unseal(&context.key.org, context.settings, &context.connector)?;
    let told = match kind.notice(&credentials, headers, body)? {
        Notice::Ping { webhook } => json!({ "status": "ping", "webhookId": webhook }),
        Notice::Ignored { topic } => json!({ "status": "ignored", "topic": topic }),
        Notice::Refused { topic, code } => {
            let error = Error::new(
                Code::RemoteAuth,
                format!("the remote sends webhooks without their records: the user they belong to may not view them ({code})"),
            );
            short(|| connector::mark_failed(&context.key.org, context.key.connector, &error))?;
            json!({ "status": "ignored", "topic": topic, "reason": error.message })
        }
        Notice::Hint {
            topic,
            entities,
            external_id,
        } => note_hint(&context, &topic, entities, &external_id)?,
        Notice::Changed(delivery) if !entity_types(&context.connector)?.contains(&delivery.entity) => {
            json!({ "status": "ignored", "topic": delivery.topic })
        }
        Notice::Changed(delivery) => {
            context.key.entity = Some(delivery.entity);
            return pull(&context, &delivery, is_last);
        }
    };
    Ok(Answer::Done(told))
}

/// The remote has not committed yet what it tells us of: reading at once would find the record as it was.
fn note_hint(context: &Context, topic: &str, entities: &[EntityType], id: &str) -> Result<Value> {
    let known = entity_types(&context.connector)?;
    let kept: Vec<EntityType> = entities.iter().copied().filter(|e| known.contains(e)).collect();
    if kept.is_empty() {
        return Ok(json!({ "status": "ignored", "topic": topic }));
    }
    let is_new = short(|| {
        let mut is_new = false;
        for entity in &kept {
            is_new |= store::hint(&context.key, topic, *entity, id)?;
        }
        Ok(is_new)
    })?;
    let names: Vec<_> = kept.iter().map(|entity| entity.name()).collect();
    let status = if is_new { "noted" } else { "duplicate" };
    Ok(json!({ "status": status, "topic": topic, "entityTypes": names, "externalId": id }))
}

fn pull(context: &Context, delivery: &Delivery, is_last: bool) -> Result<Answer> {
    // The sender won't wait for the end of a long pull. Which records that one has still to read nobody knows, so it is the
    // next one that counts.
    let note = || {
        short(|| store::remember(&context.key, delivery, "noted"))?;
        Ok(Answer::Done(told(delivery, "noted")))
    };
    if short(|| store::is_seen(&context.key, delivery))? {
        return Ok(Answer::Done(told(delivery, "duplicate")));
    }
    match short(|| turn::lock_or_number(&context.key.lock_name(), context.request.caller)) {
        Ok(None) => {}
        Ok(Some(lock)) if !is_last => return Ok(Answer::Behind(lock)),
        Ok(Some(_)) => return note(),
        Err(error) if error.code == Code::Locked => return note(),
        Err(error) => return Err(error),
    }
    // a twin of this delivery may have been at it meanwhile
    if short(|| store::is_seen(&context.key, delivery))? {
        return Ok(Answer::Done(told(delivery, "duplicate")));
    }
    match claim(context, false) {
        Err(error) if is_last && error.code == Code::LocalLimit => return note(),
        claimed => claimed?,
    }
    let outcome = guarded(|| read(context, delivery));
    close(context, outcome).map(Answer::Done)
}

fn told(delivery: &Delivery, status: &str) -> Value {
    json!({ "status": status, "topic": delivery.topic, "entityType": delivery.entity.name(), "externalId": delivery.external_id })
}

/// Reads the record and writes it down, with the delivery, in one transaction.
fn read(context: &Context, delivery: &Delivery) -> Result<Outcome> {
    let started = Instant::now();
    let pool = Pool::start(1, opener(&context.key.org, context.settings, &context.connector)?)?;
    wait_for_tokens(context, &pool)?;
    let ledger = Ledger {
        org: context.key.org.clone(),
        connector: context.key.connector,
        entity: delivery.entity,
    };
    let (before, shape) = short(|| Ok((store::held(&ledger, &delivery.external_id)?, ledger.shape()?)))?;
    // a deletion names the id alone
    let known_parent = before.and_then(|held| held.parent_id);
    let parent = delivery.parent_id.clone().or(known_parent);
    let (entity, id) = (delivery.entity, delivery.external_id.clone());
    let (fetched, is_listed, memo) = pool.ask(move |source: &dyn Source| {
        let parent = parent.as_deref();
        let task = Task {
            list: (source.alone(entity, parent)).unwrap_or_else(|| source.list_of(entity, parent)),
            content: Content::Full,
            since: None,
            at: At::Alone(id.clone()),
        };
        let mut batch = source.fetch(entity, &task)?;
        batch.records.retain(|record| record.external_id == id);
        let is_listed = batch.records.iter().all(|record| source.lists(entity, record));
        Ok((Fetched::new(&shape, batch)?, is_listed, source.memo()))
    })?;
    let effect = short(|| {
        connector::mark_ok(&context.key.org, context.key.connector, &memo)?;
        let effect = write(context, delivery, &ledger, &fetched, is_listed)?;
        store::remember(&context.key, delivery, "done")?;
        Ok(effect)
    })?;
    let held = short(|| store::held(&ledger, &delivery.external_id))?;
    let mut result = told(delivery, "pulled");
    result["change"] = held.and_then(|held| held.change).into();
    result["effect"] = effect.into();
    result["syncId"] = context.key.sync_id.as_str().into();
    result["syncType"] = context.key.sync_type.as_str().into();
    result["durationMs"] = (started.elapsed().as_millis() as u64).into();
    let count = u64::from(!matches!(effect, "unchanged" | "absent" | "unreadable"));
    let ended = match effect {
        "unreadable" => Ended::counted(1, 1, Some("the record could not be read")),
        _ => Ended::well(),
    };
    Ok(Outcome { result, count, ended })
}

/// What the answer means for the ledger.
fn write(
    context: &Context,
    delivery: &Delivery,
    ledger: &Ledger,
    fetched: &Fetched,
    is_listed: bool,
) -> Result<&'static str> {
    let before = store::held(ledger, &delivery.external_id)?;
    let is_held = before.as_ref().is_some_and(|held| held.is_live);
    // what no listing shows isn't taken up; once it was, it is kept until it is gone
    let rows = if is_listed || is_held {
        &fetched.rows[..]
    } else {
        &[]
    };
    let effect = match (ledger.upsert(false, rows)?, is_held) {
        (Counts { inserted: 1.., .. }, _) => "inserted",
        (Counts { updated: 1.., .. }, _) => "updated",
        (Counts { unchanged: 1.., .. }, _) => "unchanged",
        _ if !fetched.batch.unreadable.is_empty() => "unreadable",
        // it is there, only not for us
        (_, true) if !fetched.batch.hidden.is_empty() => "unchanged",
        (_, true) => {
            ledger.mark_gone(std::slice::from_ref(&delivery.external_id))?;
            "deleted"
        }
        (_, false) => "absent",
    };
    if !matches!(effect, "unchanged" | "absent" | "unreadable") {
        let old = before.and_then(|held| held.match_key);
        let keys: Vec<String> = rows
            .iter()
            .filter_map(|row| row.match_key.clone())
            .chain(old)
            .collect();
        store::link(ledger, &keys)?;
        if effect != "deleted" {
            lists::hurry(&context.key, delivery)?;
        }
        runs::drop_previews(&context.key, delivery.entity)?;
    }
    Ok(effect)
}

fn wait_for_tokens(context: &Context, pool: &Pool) -> Result<()> {
    let (org, number, rate) = (&context.key.org, context.key.connector, context.connector.rate());
    let begun = Instant::now();
    loop {
        let left = SENDERS_PATIENCE.saturating_sub(begun.elapsed());
        match tokens::lease(org, number, rate, REQUESTS, left)? {
            Lease::Granted(_) => return Ok(()),
            Lease::Wait(wait) => pool.pause(wait),
        }
    }
}
