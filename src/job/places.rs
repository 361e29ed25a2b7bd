//! Places: how many runs there may be at once, of an organisation and of all.

use crate::pg::limit;
use crate::pg::lock::Lock;
use crate::settings::Settings;
use crate::store::run as runs;
use crate::store::transaction::short;
use sync_engine::error::{Error, Result};

/// What looking for a place came to.
enum Found {
    Taken,
    /// The organisation has as many as it may.
    Enough(String),
    /// Others have them. Who has none at all is the next to get one.
    Full(String),
}

/// A place among the runs of the organisation, and one among all workers, until this process ends, but no longer than a run
/// may take.
///
/// The last one that is free goes to none but an organisation that has no other, so that an organisation never has them all,
/// unless there is only one. And what is free is for those organisations that came before and found nothing, in their order:
/// else those that have places could keep them among themselves, by beginning anew whenever a run of theirs ends.
pub fn take(settings: &Settings, org: &str) -> Result<()> {
    match short(|| find(settings, org))? {
        Found::Taken => limit::begin(settings.max_run_time),
        Found::Enough(message) => Err(refused(message)),
        Found::Full(message) => {
            short(|| runs::stand_in_line(org))?;
            Err(refused(message))
        }
    }
}

fn find(settings: &Settings, org: &str) -> Result<Found> {
    // one at a time, so that what is counted is true until it is taken
    let _choosing = Lock::named("sync_ext:places").guard();
    let (at_most, max_workers) = (settings.runs_of_one(), settings.max_workers);
    let own = free(&format!("sync_ext:org:{org}"), at_most);
    let all = free("sync_ext:workers", max_workers);
    let has_none = own.len() as i32 == at_most;
    let Some(run) = own.first() else {
        return Ok(Found::Enough(format!(
            "the organisation has {at_most} runs under way"
        )));
    };
    let in_front = runs::in_front_of(org)?;
    match all.first() {
        Some(worker) if all.len() > in_front && (has_none || all.len() > 1) => {
            run.try_keep();
            worker.try_keep();
            runs::leave_line(org)?;
            Ok(Found::Taken)
        }
        Some(_) if !has_none => Ok(Found::Enough(format!(
            "of {max_workers} workers, those that are not busy are left to other organisations"
        ))),
        Some(_) => Ok(Found::Full(format!(
            "of {max_workers} workers, those that are not busy are left to organisations that came before"
        ))),
        None if !has_none => Ok(Found::Enough(format!("all {max_workers} workers are busy"))),
        None => Ok(Found::Full(format!("all {max_workers} workers are busy"))),
    }
}

/// The places under a name that nobody has.
fn free(name: &str, places: i32) -> Vec<Lock> {
    let place = |n| Lock::named(&format!("{name}:{n}"));
    (1..=places).map(place).filter(|lock| lock.is_free()).collect()
}

fn refused(message: String) -> Error {
    runs::limit(message, 10.0)
}
