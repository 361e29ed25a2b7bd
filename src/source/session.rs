//! What was found out about a remote, and how requests get through to it.

use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared by the threads of one run. `Memo` is kept with the connector, and whatever of it is missing or wrong is found out
/// again; `Access` is what has worked in this run.
#[derive(Debug)]
pub struct Session<Memo, Access> {
    memo: Mutex<Memo>,
    access: Mutex<Option<Access>>,
}

impl<Memo, Access> Session<Memo, Access>
where
    Memo: Clone + Default + Serialize + DeserializeOwned,
    Access: Clone,
{
    /// With what was found out at another time; what can't be read counts as nothing.
    pub fn new(memo: &Value) -> Self {
        Session {
            memo: Mutex::new(serde_json::from_value(memo.clone()).unwrap_or_default()),
            access: Mutex::new(None),
        }
    }

    /// What was found out so far.
    pub fn memo(&self) -> Memo {
        lock(&self.memo).clone()
    }

    /// The same, to be kept with the connector.
    pub fn kept(&self) -> Value {
        serde_json::to_value(&*lock(&self.memo)).unwrap_or_default()
    }

    /// Notes something found out.
    pub fn note(&self, change: impl FnOnce(&mut Memo)) {
        change(&mut lock(&self.memo));
    }

    /// How requests get through, once one did.
    pub fn access(&self) -> Option<Access> {
        lock(&self.access).clone()
    }

    /// One got through in this way, which is noted.
    pub fn settle(&self, access: Access, note: impl FnOnce(&mut Memo)) {
        self.note(note);
        *lock(&self.access) = Some(access);
    }

    /// Does something in the way that works; where none is known yet, in the one that is remembered; where that one is
    /// outdated, or there is none, as `find` does it. (The remote may have moved, the credentials be another user's.)
    pub fn enter<T>(
        &self,
        remembered: Option<Access>,
        attempt: impl Fn(&Access) -> T,
        is_outdated: impl FnOnce(&T) -> bool,
        find: impl FnOnce() -> T,
    ) -> T {
        if let Some(access) = self.access() {
            return attempt(&access);
        }
        match remembered.map(|access| attempt(&access)) {
            Some(outcome) if !is_outdated(&outcome) => outcome,
            _ => find(),
        }
    }
}

/// A panic while noting something leaves it unnoted, no worse.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    type Known = Session<BTreeMap<String, u64>, u64>;

    #[test]
    fn what_works_is_used_what_is_remembered_is_tried_and_anything_else_found() {
        let session = Known::new(&json!({"way": 3}));
        let enter = |remembered| session.enter(remembered, |way| way * 10, |outcome| *outcome == 30, || 7);
        assert_eq!((enter(None), enter(Some(2)), enter(Some(3))), (7, 20, 7));
        session.settle(3, |memo| memo.extend([("way".to_owned(), 3)]));
        assert_eq!((enter(None), enter(Some(2))), (30, 30));
    }

    #[test]
    fn a_memo_that_cannot_be_read_is_none() {
        let session = Known::new(&json!({"way": "x"}));
        assert_eq!(session.kept(), json!({}));
        session.note(|memo| memo.extend([("way".to_owned(), 3)]));
        assert_eq!(session.kept(), json!({"way": 3}));
    }
}
