//! Places: how many runs there may be at once, of an organisation and of all.

use crate::settings::Settings;
use crate::store::run as runs;
use crate::worker::lock::Lock;
use sync_engine::error::{Error, Result};

/// A place among the runs of the organisation, and one among all workers, until this process ends. The last one that is free
/// goes to none but an organisation that has no other: nobody else could work until its runs end. So an organisation never has
/// them all, unless there is only one.
pub fn take(settings: &Settings, org: &str) -> Result<()> {
    // one at a time, so that what is counted is true until it is taken
    let _choosing = Lock::named("sync_ext:places").guard();
    let runs_at_most = settings.runs_of_one();
    let own = free(&format!("sync_ext:org:{org}"), runs_at_most);
    let all = free("sync_ext:workers", settings.max_workers);
    let is_first = own.len() as i32 == runs_at_most;
    let (Some(run), Some(worker)) = (own.first(), all.first()) else {
        return Err(refused(match own.is_empty() {
            true => format!("the organisation has {runs_at_most} runs under way"),
            false => format!("all {} workers are busy", settings.max_workers),
        }));
    };
    if all.len() == 1 && !is_first {
        return Err(refused(format!(
            "all but one of {} workers are busy, and that is left to other organisations",
            settings.max_workers
        )));
    }
    run.try_keep();
    worker.try_keep();
    Ok(())
}

/// The places under a name that nobody has.
fn free(name: &str, places: i32) -> Vec<Lock> {
    let place = |n| Lock::named(&format!("{name}:{n}"));
    (1..=places).map(place).filter(|lock| lock.is_free()).collect()
}

fn refused(message: String) -> Error {
    runs::limit(message, 10.0)
}
