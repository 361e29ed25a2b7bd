//! What tests ask again and again.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Returns as soon as `condition` holds, and fails the test where it doesn't in time.
#[track_caller]
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + timeout;
    while !condition() {
        assert!(Instant::now() < end, "waited {timeout:?} in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The SQLSTATE of a statement that has to fail.
#[track_caller]
pub fn sqlstate<T: Debug>(result: Result<T, postgres::Error>) -> String {
    let error = result.expect_err("the statement should have failed");
    match error.code() {
        Some(code) => code.code().to_string(),
        None => panic!("not an error of the server: {error:?}"),
    }
}
