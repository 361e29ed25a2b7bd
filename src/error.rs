//! The one error type of the project: what went wrong, as a caller can act on it.
//!
//! Each case has one SQLSTATE (docs/design.md, "Errors"). Messages are lower case and name the thing;
//! what to do about it is in the hint. No message, detail or hint ever holds a credential.

use std::time::Duration;

/// Result with the project's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed, with its SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Code {
    /// 28000: no organisation set
    NoOrganisation,
    /// 42501: organisation or action not granted
    NotGranted,
    /// 22023: unknown kind, entity type or option; malformed payload
    Invalid,
    /// 42704: no such connector, run, conflict
    NotFound,
    /// 53400: a local limit (previews per minute, runs, workers)
    LocalLimit,
    /// 28P01: the remote refuses the credentials
    RemoteAuth,
    /// 08001: the remote can't be reached (DNS, TCP, TLS), or its address is not allowed
    Unreachable,
    /// 08006: the remote timed out or broke the connection
    TimedOut,
    /// 08P01: the remote answered nonsense
    Nonsense,
    /// 53400: the remote throttles beyond the retries
    Throttled,
    /// 53400: the connector's own rate leaves no request for as long as anybody waits
    RateUsed,
    /// 57014: cancelled
    Cancelled,
    /// 57014: the run has met `sync_ext.max_run_time`
    OutOfTime,
    /// 25001: the caller's transaction can't see what a worker commits
    WrongTransaction,
    /// 25006: the caller's transaction, or the whole server, may only be read
    ReadOnly,
    /// 55000: a prerequisite is missing (key file, ...)
    NotReady,
    /// 40001: the preview an apply is bound to is no longer true
    Moved,
    /// 54000: more than is taken in one call
    TooLarge,
    /// 23514: more deletions than are believed without being asked for
    MassDelete,
    /// 21000: rows of a local relation that can't be told apart
    NotUnique,
    /// 55006: another run is at the same records
    Busy,
    /// 55P03: a lock that the caller's own transaction holds
    Locked,
    /// XX000: a bug
    Internal,
    /// What Postgres, or code of the app, has raised: its own
    Other(SqlState),
}

/// A five-character SQLSTATE, of Postgres' list or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// Something outside Postgres failed.
    pub const SYSTEM: SqlState = SqlState(*b"58000");

    /// As Postgres packs it into a number, six bits a character.
    pub fn unpacked(packed: i32) -> Self {
        let character = |at: usize| b'0' + ((packed >> (6 * at)) & 0x3f) as u8;
        SqlState(std::array::from_fn(character))
    }
    pub fn packed(self) -> i32 {
        let bits = |(at, byte): (usize, &u8)| i32::from(byte.wrapping_sub(b'0') & 0x3f) << (6 * at);
        self.0.iter().enumerate().map(bits).sum()
    }
    /// From text; None where that isn't five digits and capital letters.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one = |b: &u8| b.is_ascii_digit() || b.is_ascii_uppercase();
        text.as_bytes()
            .try_into()
            .ok()
            .filter(|b: &[u8; 5]| b.iter().all(is_one))
            .map(SqlState)
    }
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl Code {
    /// Those of the extension's own.
    pub const OWN: [Code; 22] = [
        Code::NoOrganisation,
        Code::NotGranted,
        Code::Invalid,
        Code::NotFound,
        Code::LocalLimit,
        Code::RemoteAuth,
        Code::Unreachable,
        Code::TimedOut,
        Code::Nonsense,
        Code::Throttled,
        Code::RateUsed,
        Code::Cancelled,
        Code::OutOfTime,
        Code::WrongTransaction,
        Code::ReadOnly,
        Code::NotReady,
        Code::Moved,
        Code::TooLarge,
        Code::MassDelete,
        Code::NotUnique,
        Code::Busy,
        Code::Locked,
    ];

    /// What SQL has raised: a case of the extension's own that its functions raise, a bug, or what others say.
    pub fn raised(state: SqlState) -> Self {
        use Code::{Busy, Cancelled, Internal, Invalid, Locked, MassDelete, Moved, NoOrganisation};
        use Code::{NotFound, NotGranted, NotUnique};
        let ours = [
            NoOrganisation,
            NotGranted,
            Invalid,
            NotFound,
            NotUnique,
            Moved,
            MassDelete,
            Busy,
            Locked,
            Cancelled,
            Internal,
        ];
        match state.as_str() {
            // of two that wait for each other, Postgres ends one
            "40P01" => Locked,
            said => ours
                .into_iter()
                .find(|code| code.sqlstate() == said)
                .unwrap_or(Code::Other(state)),
        }
    }

    /// The five-character SQLSTATE.
    pub fn sqlstate(&self) -> &str {
        match self {
            Code::NoOrganisation => "28000",
            Code::NotGranted => "42501",
            Code::Invalid => "22023",
            Code::NotFound => "42704",
            Code::LocalLimit | Code::Throttled | Code::RateUsed => "53400",
            Code::RemoteAuth => "28P01",
            Code::Unreachable => "08001",
            Code::TimedOut => "08006",
            Code::Nonsense => "08P01",
            Code::Cancelled | Code::OutOfTime => "57014",
            Code::WrongTransaction => "25001",
            Code::ReadOnly => "25006",
            Code::NotReady => "55000",
            Code::Moved => "40001",
            Code::TooLarge => "54000",
            Code::MassDelete => "23514",
            Code::NotUnique => "21000",
            Code::Busy => "55006",
            Code::Locked => "55P03",
            Code::Internal => "XX000",
            Code::Other(state) => state.as_str(),
        }
    }

    /// Whether it tells of the remote or of how it is reached, and not of what was asked or of the local side.
    pub const fn is_about_the_connector(self) -> bool {
        use Code::{Nonsense, NotReady, RemoteAuth, Throttled, TimedOut, Unreachable};
        matches!(
            self,
            RemoteAuth | Unreachable | TimedOut | Nonsense | Throttled | NotReady
        )
    }
}

/// What an error of Postgres is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
}

/// An error with everything Postgres can show: code, message, detail, hint, and the relation it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{message}")]
pub struct Error {
    pub code: Code,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Where Postgres has said that.
    pub place: Option<Box<Place>>,
    /// How long to wait before another try, where the remote or a limit said so.
    pub retry_after: Option<Duration>,
    /// The same would come of another try, though others with this code may pass.
    pub stays: bool,
}

impl Error {
    /// Of a write: whether the remote may have carried it out all the same.
    pub fn leaves_open(&self) -> bool {
        matches!(
            self.code,
            Code::TimedOut | Code::Nonsense | Code::Cancelled | Code::OutOfTime | Code::Internal
        )
    }

    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            place: None,
            retry_after: None,
            stays: false,
        }
    }
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
    /// With no text longer than so many characters.
    #[must_use]
    pub fn shortened(mut self, longest: usize) -> Self {
        let place = self.place.as_deref_mut().map(|p| {
            [
                &mut p.schema,
                &mut p.table,
                &mut p.column,
                &mut p.data_type,
                &mut p.constraint,
            ]
        });
        let texts = [self.detail.as_mut(), self.hint.as_mut(), Some(&mut self.message)];
        let texts = texts
            .into_iter()
            .chain(place.into_iter().flatten().map(Option::as_mut));
        for text in texts.flatten() {
            if let Some((end, _)) = text.char_indices().nth(longest) {
                text.replace_range(end.., "...");
            }
        }
        self
    }
    /// Says that somebody has to act before another try can help.
    #[must_use]
    pub fn stays(mut self) -> Self {
        self.stays = true;
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sqlstate_is_packed_as_postgres_does_it() {
        for (text, packed) in [("00000", 0), ("22012", 33_816_706), ("XX000", 2600)] {
            let state = SqlState::parse(text).unwrap();
            assert_eq!(state.packed(), packed, "{text}");
            assert_eq!(SqlState::unpacked(packed).as_str(), text);
        }
        let own = SqlState::parse("MY001").unwrap();
        assert_eq!(SqlState::unpacked(own.packed()), own);
        for bad in ["", "2201", "220121", "22o12", "é001"] {
            assert_eq!(SqlState::parse(bad), None, "{bad}");
        }
    }
}
