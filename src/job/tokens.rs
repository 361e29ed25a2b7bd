//! Requests from a connector's token bucket, which all sessions share.

use crate::store::connector;
use crate::store::transaction::relaxed;
use std::time::Duration;
use sync_engine::error::{Code, Error, Result};

/// What a bucket gives.
pub enum Lease {
    Granted(u32),
    /// Nothing for so long.
    Wait(Duration),
}

/// Up to `most` requests of the connector with this number, or how long to wait for the next one.
///
/// # Errors
/// 53400 where that is longer than `longest`: the remote has asked not to be called, or the connector's own rate is used up.
pub fn lease(org: &str, number: i32, rate: f64, most: u32, longest: Duration) -> Result<Lease> {
    let lease = relaxed(|| connector::take_tokens(org, number, most, rate))?;
    if lease.granted > 0 {
        return Ok(Lease::Granted(lease.granted));
    }
    let wait = lease.wait();
    if wait <= longest {
        return Ok(Lease::Wait(wait));
    }
    let seconds = wait.as_secs().max(1);
    Err(match lease.blocked {
        true => Error::new(Code::Throttled, "the remote asked not to be called for a while")
            .hint(format!("Try again in {seconds} s.")),
        false => Error::new(
            Code::RateUsed,
            "the connector has no requests left for the moment",
        )
        .hint(format!(
            "Try again in {seconds} s., or raise requests_per_second in its settings."
        )),
    }
    .retry_after(wait))
}
