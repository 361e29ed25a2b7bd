//! The connectors of a run: opened when they are first needed, and left alone once they fail altogether.

use super::Done;
use crate::job::crew::Crew;
use crate::job::run::opener;
use crate::job::tokens::{self, Lease};
use crate::pg::lock::Lock;
use crate::settings::Settings;
use crate::store::connector::{self, Connector};
use crate::store::ledger::Ledger;
use crate::store::transaction::short;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sync_engine::core::EntityType;
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{read_only, ConnectorKind, Source};

/// Failures in a row after which a remote is taken for unreachable.
const STRIKES: u32 = 3;
/// Requests leased from the token bucket at a time.
const LEASE: u32 = 10;
/// Longest wait for the token bucket: nobody would sit through more.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A connector that items come from or go to.
pub struct Remote {
    pub connector: Connector,
    pub kind: ConnectorKind,
    pub source: Arc<dyn Source>,
    rate: f64,
    /// Requests in hand; below zero where more were made than were taken.
    tokens: i64,
    strikes: u32,
    answered: bool,
    /// Why nothing more is asked of it in this run.
    down: Option<Error>,
    /// How often its user was forbidden to write an entity type.
    forbidden: BTreeMap<EntityType, (u32, Error)>,
}

/// All connectors of a run by name, those that can't be used with the reason.
#[derive(Default)]
pub struct Remotes(HashMap<String, Result<Remote>>);

impl Remotes {
    /// Opens those that are not open yet.
    pub fn open<'n>(
        &mut self,
        names: impl Iterator<Item = &'n str>,
        org: &str,
        settings: &Settings,
        crew: &Crew<Done>,
    ) {
        for name in names {
            if !self.0.contains_key(name) {
                let opened = open(name, org, settings, crew);
                self.0.insert(name.to_owned(), opened);
            }
        }
    }

    /// The connector of that name; the reason where it can't be used (any more).
    pub fn usable(&self, name: &str) -> Result<&Remote> {
        match self.0.get(name) {
            Some(Ok(remote)) => remote.down.clone().map_or(Ok(remote), Err),
            Some(Err(error)) => Err(error.clone()),
            None => Err(Error::new(Code::Internal, format!("\"{name}\" was not opened"))),
        }
    }

    /// The same, even where nothing more is asked of it.
    pub fn opened(&self, name: &str) -> Result<&Remote> {
        match self.0.get(name) {
            Some(Ok(remote)) => Ok(remote),
            _ => self.usable(name),
        }
    }

    /// The connector of that name, unless such records are only read there, or its user may not write them.
    pub fn writable(&self, name: &str, entity: EntityType) -> Result<&Remote> {
        let remote = self.usable(name)?;
        if remote.kind.writes(entity).is_empty() {
            return Err(read_only(entity));
        }
        match remote.forbidden.get(&entity) {
            Some((times, error)) if *times >= STRIKES => Err(error.clone()),
            _ => Ok(remote),
        }
    }

    /// Takes a request from the connector's token bucket, waiting for it; false: there will be none in time.
    pub fn take(
        &mut self,
        name: &str,
        org: &str,
        crew: &Crew<Done>,
        deadline: Option<Instant>,
    ) -> Result<bool> {
        self.usable(name)?;
        let Some(Ok(remote)) = self.0.get_mut(name) else {
            return Ok(false);
        };
        let number = remote.connector.number;
        while remote.tokens <= 0 {
            match tokens::lease(org, number, remote.rate, LEASE, LONGEST_WAIT) {
                Ok(Lease::Granted(granted)) => remote.tokens += i64::from(granted),
                Ok(Lease::Wait(wait)) if is_too_late(deadline, Some(wait)) => return Ok(false),
                Ok(Lease::Wait(wait)) => crew.pause(wait),
                // a run that has a time limit leaves the items as they are
                Err(error) if is_too_late(deadline, error.retry_after) => return Ok(false),
                Err(error) => {
                    remote.down = Some(error.clone());
                    return Err(error);
                }
            }
        }
        remote.tokens -= 1;
        Ok(true)
    }

    /// Draws conclusions from how something ended that took so many requests.
    pub fn note<T>(&mut self, name: &str, entity: EntityType, org: &str, requests: u32, outcome: &Result<T>) {
        let Some(Ok(remote)) = self.0.get_mut(name) else {
            return;
        };
        // one was taken
        remote.tokens -= i64::from(requests) - 1;
        let Err(error) = outcome else {
            remote.strikes = 0;
            remote.answered = true;
            return;
        };
        let hopeless = match error.code {
            Code::Throttled => true,
            Code::NotGranted => {
                let (times, _) = remote.forbidden.entry(entity).or_insert((0, error.clone()));
                *times += 1;
                false
            }
            // one record may be forbidden, or slow to save: not every one
            Code::RemoteAuth | Code::Unreachable | Code::TimedOut => {
                remote.strikes += 1;
                remote.strikes >= STRIKES
            }
            _ => false,
        };
        if hopeless && remote.down.is_none() {
            remote.down = Some(error.clone());
            let number = remote.connector.number;
            // where even that fails, the items still say what happened
            let _ = short(|| connector::mark_failed(org, number, error));
        }
    }

    /// The same of several that shared these requests: the remote has answered where one went well, and what its user may not
    /// write counts for each.
    pub fn note_each<T>(
        &mut self,
        name: &str,
        entity: EntityType,
        org: &str,
        requests: u32,
        outcomes: &[Result<T>],
    ) {
        let errors = || outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        let has_answered = outcomes.iter().any(Result::is_ok);
        let verdict = match errors().next() {
            Some(error) if !has_answered => Err(error.clone()),
            _ => Ok(()),
        };
        self.note(name, entity, org, requests, &verdict);
        let noted = verdict.is_err_and(|error| error.code == Code::NotGranted);
        let Some(Ok(remote)) = self.0.get_mut(name) else {
            return;
        };
        for error in errors()
            .filter(|error| error.code == Code::NotGranted)
            .skip(usize::from(noted))
        {
            remote.forbidden.entry(entity).or_insert((0, error.clone())).0 += 1;
        }
    }

    /// Notes which connectors have answered.
    pub fn close(&self, org: &str) {
        let well = |remote: &&Remote| remote.answered && remote.down.is_none();
        for remote in self.0.values().flatten().filter(well) {
            let memo = remote.source.memo();
            let _ = short(|| connector::mark_ok(org, remote.connector.number, &memo));
        }
    }
}

impl Remote {
    pub fn ledger(&self, org: &str, entity: EntityType) -> Ledger {
        Ledger {
            org: org.to_owned(),
            connector: self.connector.number,
            entity,
        }
    }
}

/// Whether a wait would end after that.
fn is_too_late(deadline: Option<Instant>, wait: Option<Duration>) -> bool {
    deadline
        .zip(wait)
        .is_some_and(|(at, wait)| Instant::now() + wait > at)
}

fn open(name: &str, org: &str, settings: &Settings, crew: &Crew<Done>) -> Result<Remote> {
    // until this process ends; waits for a removal that is not committed
    short(|| {
        Lock::named(&format!("sync_ext:opened:{org}:{name}")).keep_shared();
        Ok(())
    })?;
    let connector = short(|| connector::find(org, name))?;
    if !connector.is_active {
        return Err(Error::new(
            Code::NotReady,
            format!("connector \"{name}\" is not active"),
        ));
    }
    let kind: ConnectorKind = connector.kind.parse()?;
    let source = crew.ask(opener(org, settings, &connector)?)?;
    Ok(Remote {
        kind,
        source: source.into(),
        rate: connector.rate(),
        tokens: 0,
        strikes: 0,
        answered: false,
        down: None,
        forbidden: BTreeMap::new(),
        connector,
    })
}
