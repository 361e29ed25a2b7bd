//! What is done one after the other by one thread.

use crate::error::{Code, Error, Result};

/// After so many failures in a row that tell of the remote, or of what its user may do, the next ones would end alike: a
/// single one may be about its record.
const IN_A_ROW: usize = 3;

/// Does it for each, until the remote fails altogether: what is left then is not sent, and fails with that.
pub fn in_turn<T, U>(all: &[T], mut act: impl FnMut(&T) -> Result<U>) -> Vec<Result<U>> {
    let mut outcomes: Vec<Result<U>> = Vec::with_capacity(all.len());
    for one in all {
        let outcome = match given_up(&outcomes) {
            Some(error) => Err(error),
            None => act(one),
        };
        outcomes.push(outcome);
    }
    outcomes
}

fn given_up<U>(outcomes: &[Result<U>]) -> Option<Error> {
    use Code::{NotGranted, RemoteAuth, Throttled, TimedOut, Unreachable};
    let last = outcomes.get(outcomes.len().checked_sub(IN_A_ROW)?..)?;
    let is_down = |one: &Result<U>| {
        let code = one.as_ref().err().map(|error| error.code);
        matches!(
            code,
            Some(NotGranted | RemoteAuth | Throttled | TimedOut | Unreachable)
        )
    };
    let error = last
        .last()?
        .as_ref()
        .err()
        .filter(|_| last.iter().all(is_down))?
        .clone();
    Some(match error.code {
        // that one may have been carried out; what was not sent was not
        TimedOut => Error {
            code: Unreachable,
            ..error
        },
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn asked(codes: &[Option<Code>]) -> (usize, Vec<Option<Code>>) {
        let mut asked = 0;
        let outcomes = in_turn(codes, |code| {
            asked += 1;
            code.map_or(Ok(()), |code| Err(Error::new(code, "x")))
        });
        (
            asked,
            outcomes
                .into_iter()
                .map(|one| one.err().map(|error| error.code))
                .collect(),
        )
    }

    #[test]
    fn a_remote_that_is_down_is_left_alone_and_what_was_not_sent_is_not_open() {
        let late = Some(Code::TimedOut);
        let (count, outcomes) = asked(&[late, None, late, late, late, None, late]);
        assert_eq!(count, 5);
        assert_eq!(
            outcomes[4..],
            [late, Some(Code::Unreachable), Some(Code::Unreachable)]
        );
        // what is wrong with records keeps nothing back
        let bad = [Some(Code::Invalid); 7];
        assert_eq!(asked(&bad), (7, bad.to_vec()));
        let may_not = [Some(Code::NotGranted); 7];
        assert_eq!(asked(&may_not), (3, may_not.to_vec()));
    }
}
