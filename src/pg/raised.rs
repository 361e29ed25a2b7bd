//! Errors of Postgres on their way through Rust.
//!
//! pgrx carries message, detail, hint, and a code of Postgres' own list: any other one becomes XX000, and what the error is
//! about is lost. So a callback that Postgres calls for each report (an error context) notes errors where they are raised;
//! and where Rust raises one anew, the same callback puts back what is missing.

use pgrx::prelude::*;
use pgrx::PgMemoryContexts;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use sync_engine::error::{Code, Error, Place, SqlState};

/// Errors that are remembered: those that are under way at once, one inside the handling of another.
const REMEMBERED: usize = 8;

/// What is lost of an error, and the message by which it is known again.
#[derive(Clone)]
struct Raised {
    message: String,
    state: SqlState,
    place: Place,
}

thread_local! {
    static MET: RefCell<VecDeque<Raised>> = const { RefCell::new(VecDeque::new()) };
    /// Rust is about to raise the error anew that was met last.
    static IS_PASSING: Cell<bool> = const { Cell::new(false) };
    /// The relation that foreign code reads just now.
    static ABOUT: RefCell<Option<Place>> = const { RefCell::new(None) };
    static LAST_WORDS: Cell<Option<&'static dyn Fn(Error)>> = const { Cell::new(None) };
}

/// The callback's place in Postgres' chain of callbacks.
struct Link(UnsafeCell<pg_sys::ErrorContextCallback>);
// SAFETY: only the main thread comes near it.
unsafe impl Sync for Link {}

static LINK: Link = Link(UnsafeCell::new(pg_sys::ErrorContextCallback {
    previous: std::ptr::null_mut(),
    callback: Some(met),
    arg: std::ptr::null_mut(),
}));

extern "C-unwind" {
    /// What Postgres' own callbacks call to change the report under way; pgrx leaves it out.
    fn errcode(packed: c_int) -> c_int;
}

/// Notes errors until it is dropped. Where an error unwinds, the callback stays, to meet the one that pgrx makes of it: that
/// is raised further out in the same chain, and whoever catches it there takes the callback off with everything else.
#[must_use]
pub struct Attending {
    is_first: bool,
}

/// Begins to note errors.
pub fn attend() -> Attending {
    let link = LINK.0.get();
    // SAFETY: on the main thread. What is in the chain belongs to frames that are alive, and no link is in it twice.
    unsafe {
        let mut at = pg_sys::error_context_stack;
        while !at.is_null() {
            if at == link {
                return Attending { is_first: false };
            }
            at = (*at).previous;
        }
        (*link).previous = pg_sys::error_context_stack;
        pg_sys::error_context_stack = link;
    }
    Attending { is_first: true }
}

impl Drop for Attending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            IS_PASSING.set(true);
            return;
        }
        let link = LINK.0.get();
        // SAFETY: as above; what was put on top of it is gone by now.
        unsafe {
            if self.is_first && pg_sys::error_context_stack == link {
                pg_sys::error_context_stack = (*link).previous;
            }
        }
    }
}

/// Until it is dropped, an error that names no relation is one of this.
#[must_use]
pub struct About(Option<Place>);

/// Code that a relation's owner has put into it runs.
pub fn about(relation: &Place) -> About {
    About(ABOUT.replace(Some(relation.clone())))
}

impl Drop for About {
    fn drop(&mut self) {
        ABOUT.set(self.0.take());
    }
}

/// A relation by its name.
pub fn relation(id: pg_sys::Oid) -> Place {
    // SAFETY: looks into the catalogue's cache; the texts are null, or copies.
    let [schema, table] = unsafe {
        [
            pg_sys::get_namespace_name(pg_sys::get_rel_namespace(id)),
            pg_sys::get_rel_name(id),
        ]
    };
    // SAFETY: as above.
    let text = |at: *const c_char| unsafe {
        (!at.is_null()).then(|| CStr::from_ptr(at).to_string_lossy().into_owned())
    };
    Place {
        schema: text(schema),
        table: text(table),
        ..Place::default()
    }
}

/// Notes errors for as long as the process lives, and what ends it. What `last_words` holds is never dropped: when the process
/// exits, Postgres has given up its memory before.
pub fn attend_for_good(last_words: impl Fn(Error) + 'static) {
    LAST_WORDS.set(Some(Box::leak(Box::new(last_words))));
    std::mem::forget(attend());
}

/// Lets the error that Rust raises next have these.
pub fn pass(message: &str, state: SqlState, place: Option<&Place>) {
    std::mem::forget(attend());
    remember(Raised {
        message: message.to_owned(),
        state,
        place: place.cloned().unwrap_or_default(),
    });
    IS_PASSING.set(true);
}

/// What was lost of an error that has been caught in Rust.
pub fn lost(message: &str) -> Option<(SqlState, Place)> {
    IS_PASSING.set(false);
    let found = known(message)?;
    Some((found.state, found.place))
}

fn known(message: &str) -> Option<Raised> {
    MET.with_borrow(|met| met.iter().rev().find(|one| one.message == message).cloned())
}

fn remember(raised: Raised) {
    MET.with_borrow_mut(|met| {
        if met.len() == REMEMBERED {
            met.pop_front();
        }
        met.push_back(raised);
    });
}

/// Called with a report under way.
unsafe extern "C-unwind" fn met(_: *mut c_void) {
    // SAFETY: this is where Postgres lets a callback look at the report; the copy is freed in `taken`.
    let (level, raised, detail) = unsafe {
        let copy = PgMemoryContexts::TopMemoryContext.switch_to(|_| pg_sys::CopyErrorData());
        let taken = taken(&*copy);
        pg_sys::FreeErrorData(copy);
        taken
    };
    if level < PgLogLevel::ERROR as c_int {
        return;
    }
    if level > PgLogLevel::ERROR as c_int {
        if let Some(say) = LAST_WORDS.take() {
            let mut error = Error::new(Code::Other(raised.state), raised.message);
            error.detail = detail;
            say(error);
        }
        return;
    }
    match known(&raised.message).filter(|_| IS_PASSING.replace(false)) {
        // SAFETY: as above.
        Some(known) => unsafe {
            errcode(known.state.packed());
            complete(&known.place, &raised.place);
        },
        None => remember(placed(raised)),
    }
}

/// An error that says nothing of a relation is about the one that is being read.
fn placed(raised: Raised) -> Raised {
    let about = ABOUT.with_borrow(|about| about.clone().filter(|_| raised.place == Place::default()));
    let Some(place) = about else { return raised };
    // SAFETY: called with the report under way.
    unsafe { complete(&place, &raised.place) };
    Raised { place, ..raised }
}

/// Adds to the report under way what it doesn't have.
unsafe fn complete(known: &Place, has: &Place) {
    let fields = [
        (pg_sys::PG_DIAG_SCHEMA_NAME, &known.schema, &has.schema),
        (pg_sys::PG_DIAG_TABLE_NAME, &known.table, &has.table),
        (pg_sys::PG_DIAG_COLUMN_NAME, &known.column, &has.column),
        (pg_sys::PG_DIAG_DATATYPE_NAME, &known.data_type, &has.data_type),
        (
            pg_sys::PG_DIAG_CONSTRAINT_NAME,
            &known.constraint,
            &has.constraint,
        ),
    ];
    for (field, was, is) in fields {
        if let (Some(was), None) = (was, is) {
            let was = CString::new(was.as_str()).unwrap_or_default();
            // SAFETY: what Postgres' own callbacks call; it copies what it is given.
            unsafe { pg_sys::err_generic_string(field as c_int, was.as_ptr()) };
        }
    }
}

/// Level, what may be lost, and the detail.
unsafe fn taken(data: &pg_sys::ErrorData) -> (c_int, Raised, Option<String>) {
    // SAFETY: the caller's copy of a report: each text is null or ends in a NUL.
    let text = |at: *const c_char| unsafe {
        (!at.is_null()).then(|| CStr::from_ptr(at).to_string_lossy().into_owned())
    };
    let raised = Raised {
        message: text(data.message).unwrap_or_default(),
        state: SqlState::unpacked(data.sqlerrcode),
        place: Place {
            schema: text(data.schema_name),
            table: text(data.table_name),
            column: text(data.column_name),
            data_type: text(data.datatype_name),
            constraint: text(data.constraint_name),
        },
    };
    (data.elevel, raised, text(data.detail))
}
