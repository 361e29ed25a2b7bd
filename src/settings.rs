//! Every setting of the extension, under `sync_ext.`: private statics, read through functions.

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::prelude::*;
use pgrx::{direct_function_call, PgTryBuilder};
use serde::{Deserialize, Serialize};
use std::ffi::{c_char, c_void, CString};
use std::time::Duration;

static HTTP_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(30);
static MAX_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(120);
static MAX_RUN_TIME: GucSetting<i32> = GucSetting::<i32>::new(21_600);
static PREVIEW_TTL: GucSetting<i32> = GucSetting::<i32>::new(3600);
static PREVIEW_RATE: GucSetting<i32> = GucSetting::<i32>::new(10);
static MAX_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(4);
static MAX_RUNS_PER_ORG: GucSetting<i32> = GucSetting::<i32>::new(5);
static FETCH_CONCURRENCY: GucSetting<i32> = GucSetting::<i32>::new(4);
static MAX_RETRIES: GucSetting<i32> = GucSetting::<i32>::new(3);
static RETRY_BACKOFF: GucSetting<i32> = GucSetting::<i32>::new(1000);
static RETRY_BACKOFF_MAX: GucSetting<i32> = GucSetting::<i32>::new(16_000);
static MASS_DELETE_PERCENT: GucSetting<i32> = GucSetting::<i32>::new(20);
static MASS_UPDATE_PERCENT: GucSetting<i32> = GucSetting::<i32>::new(50);
static PULL_OVERLAP: GucSetting<i32> = GucSetting::<i32>::new(120);
static SCHEDULE_TIME_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(55);
static FULL_PASS_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(86_400);
static LOG_CACHE_HITS: GucSetting<bool> = GucSetting::<bool>::new(false);
static ALLOWED_HOSTS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static CREDENTIALS_DIR: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ACTIVITY_RETENTION: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"12 months"));
static HISTORY_RETENTION: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"24 months"));

/// One integer setting: name, what it is, where it lives, least and greatest value, who may set it, unit.
type IntSetting = (
    &'static std::ffi::CStr,
    &'static std::ffi::CStr,
    &'static GucSetting<i32>,
    i32,
    i32,
    GucContext,
    GucFlags,
);

const INTS: [IntSetting; 16] = [
    (
        c"sync_ext.http_timeout",
        c"Time after which an HTTP request to a remote is given up.",
        &HTTP_TIMEOUT,
        1,
        600,
        GucContext::Userset,
        GucFlags::UNIT_S,
    ),
    (
        c"sync_ext.max_timeout",
        c"Longest time that sync_ext.http_timeout and a connector's timeout may allow.",
        &MAX_TIMEOUT,
        1,
        600,
        GucContext::Suset,
        GucFlags::UNIT_S,
    ),
    (
        c"sync_ext.max_run_time",
        c"Longest time that a run may take; it ends then, and the next one goes on.",
        &MAX_RUN_TIME,
        1,
        604_800,
        GucContext::Suset,
        GucFlags::UNIT_S,
    ),
    (
        c"sync_ext.preview_ttl",
        c"How long a preview stays in the cache.",
        &PREVIEW_TTL,
        1,
        604_800,
        GucContext::Userset,
        GucFlags::UNIT_S,
    ),
    (
        c"sync_ext.preview_rate",
        c"Fresh previews per minute and organisation.",
        &PREVIEW_RATE,
        1,
        10_000,
        GucContext::Suset,
        GucFlags::empty(),
    ),
    (
        c"sync_ext.max_workers",
        c"Background workers of this extension that may run at once in a database.",
        &MAX_WORKERS,
        1,
        64,
        GucContext::Suset,
        GucFlags::empty(),
    ),
    (
        c"sync_ext.max_runs_per_org",
        c"Runs that one organisation may have at once.",
        &MAX_RUNS_PER_ORG,
        1,
        64,
        GucContext::Suset,
        GucFlags::empty(),
    ),
    (
        c"sync_ext.fetch_concurrency",
        c"Requests that a run sends to its remote at once.",
        &FETCH_CONCURRENCY,
        1,
        16,
        GucContext::Userset,
        GucFlags::empty(),
    ),
    (
        c"sync_ext.max_retries",
        c"How often a failed request is repeated.",
        &MAX_RETRIES,
        0,
        5,
        GucContext::Userset,
        GucFlags::empty(),
    ),
    (
        c"sync_ext.retry_backoff",
        c"Wait before the first repetition; it doubles with each further one.",
        &RETRY_BACKOFF,
        1,
        60_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    ),
    (
        c"sync_ext.retry_backoff_max",
        c"Longest wait between two repetitions.",
        &RETRY_BACKOFF_MAX,
        1,
        600_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    ),
    (
        c"sync_ext.mass_delete_percent",
        c"Share of the linked records above which deletions are marked as massive.",
        &MASS_DELETE_PERCENT,
        0,
        100,
        GucContext::Suset,
        GucFlags::empty(),
    ),
    (
        c"sync_ext.mass_update_percent",
        c"Share of the linked records above which updates are marked as massive, where there are 100 or more.",
        &MASS_UPDATE_PERCENT,
        0,
        100,
        GucContext::Suset,
        GucFlags::empty(),
    ),
    (
        c"sync_ext.pull_overlap",
        c"How far an incremental pull reaches back before the last one.",
        &PULL_OVERLAP,
        1,
        86_400,
        GucContext::Userset,
        GucFlags::UNIT_S,
    ),
    (
        c"sync_ext.full_pass_interval",
        c"An incremental pull reads everything when the last full pass is older than this.",
        &FULL_PASS_INTERVAL,
        1,
        31_536_000,
        GucContext::Userset,
        GucFlags::UNIT_S,
    ),
    (
        c"sync_ext.schedule_time_limit",
        c"How long sync_scheduled() works for one organisation before it leaves the rest for the next call.",
        &SCHEDULE_TIME_LIMIT,
        1,
        86_400,
        GucContext::Userset,
        GucFlags::UNIT_S,
    ),
];

/// Registers all settings; called once, from `_PG_init`.
pub fn register() {
    for (name, about, setting, least, greatest, context, flags) in INTS {
        GucRegistry::define_int_guc(name, about, c"", setting, least, greatest, context, flags);
    }
    GucRegistry::define_string_guc(
        c"sync_ext.allowed_hosts",
        c"Hosts, host:port, addresses or networks (CIDR) a connector may name although they are local or private.",
        c"Comma-separated.",
        &ALLOWED_HOSTS,
        GucContext::Suset,
        GucFlags::empty(),
    );
    GucRegistry::define_bool_guc(
        c"sync_ext.log_cache_hits",
        c"Previews that come from the cache are entered into the activity log, too.",
        c"",
        &LOG_CACHE_HITS,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_string_guc(
        c"sync_ext.key_file",
        c"File with the key (64 hexadecimal digits) that seals credentials.",
        c"Readable by the server's user alone.",
        &KEY_FILE,
        GucContext::Suset,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_string_guc(
        c"sync_ext.credentials_dir",
        c"Folder with files of credentials that sync_connect may name, one folder for each organisation.",
        c"Writable by nobody but its owner.",
        &CREDENTIALS_DIR,
        GucContext::Suset,
        GucFlags::SUPERUSER_ONLY,
    );
    for (name, about, setting) in [
        (
            c"sync_ext.activity_retention",
            c"How long the activity log is kept (an interval).",
            &ACTIVITY_RETENTION,
        ),
        (
            c"sync_ext.history_retention",
            c"How long the history of applies and list runs is kept (an interval).",
            &HISTORY_RETENTION,
        ),
    ] {
        // SAFETY: during library load; the hook is guarded.
        unsafe {
            GucRegistry::define_string_guc_with_hooks(
                name,
                about,
                c"",
                setting,
                GucContext::Suset,
                GucFlags::empty(),
                Some(check_retention),
                None,
                None,
            );
        }
    }
    #[cfg(not(feature = "pg14"))]
    // SAFETY: a plain call with a static string, during library load.
    unsafe {
        pgrx::pg_sys::MarkGUCPrefixReserved(c"sync_ext".as_ptr());
    }
}

/// A thousand years, in microseconds: further back there may be no date.
const LONGEST_RETENTION: i128 = 1000 * 366 * 86_400_000_000;

/// Whether a retention is an interval of more than nothing: by a negative one everything would be too old.
#[pg_guard]
unsafe extern "C-unwind" fn check_retention(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    PgTryBuilder::new(|| {
        // SAFETY: Postgres hands over a C string or null; interval_in reads no catalog.
        let interval: Option<Interval> = unsafe {
            if (*value).is_null() {
                return false;
            }
            let no_modifier = pg_sys::Datum::from(-1i32);
            let no_type = pg_sys::Datum::from(pg_sys::InvalidOid);
            let text = pg_sys::Datum::from((*value).cast_const());
            direct_function_call(
                pg_sys::interval_in,
                &[Some(text), Some(no_type), Some(no_modifier)],
            )
        };
        interval.is_some_and(|i| i.as_micros() > 0 && i.as_micros() <= LONGEST_RETENTION)
    })
    .catch_others(|_| false)
    .execute()
}

/// The settings as the caller sees them, for the worker that works for it (a `SET` of the caller's session
/// is not visible there).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    pub http_timeout: Duration,
    pub max_timeout: Duration,
    pub max_run_time: Duration,
    pub preview_ttl: Duration,
    pub preview_rate: i32,
    pub max_workers: i32,
    pub max_runs_per_org: i32,
    pub fetch_concurrency: usize,
    pub max_retries: u32,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub pull_overlap: Duration,
    pub full_pass_interval: Duration,
    pub schedule_time_limit: Duration,
    pub allowed_hosts: Vec<String>,
    pub key_file: String,
    pub credentials_dir: String,
}

impl Settings {
    /// How many runs one organisation may have at once: never all that there are places for, unless there is only one.
    pub fn runs_of_one(&self) -> i32 {
        self.max_runs_per_org.min((self.max_workers - 1).max(1))
    }

    /// Reads all settings. Main thread of a backend only.
    pub fn current() -> Self {
        let seconds = |s: &GucSetting<i32>| Duration::from_secs(s.get().unsigned_abs().into());
        let millis = |s: &GucSetting<i32>| Duration::from_millis(s.get().unsigned_abs().into());
        Settings {
            http_timeout: seconds(&HTTP_TIMEOUT),
            max_timeout: seconds(&MAX_TIMEOUT),
            max_run_time: seconds(&MAX_RUN_TIME),
            preview_ttl: seconds(&PREVIEW_TTL),
            preview_rate: PREVIEW_RATE.get(),
            max_workers: MAX_WORKERS.get(),
            max_runs_per_org: MAX_RUNS_PER_ORG.get(),
            fetch_concurrency: FETCH_CONCURRENCY.get().unsigned_abs() as usize,
            max_retries: MAX_RETRIES.get().unsigned_abs(),
            retry_backoff: millis(&RETRY_BACKOFF),
            retry_backoff_max: millis(&RETRY_BACKOFF_MAX),
            pull_overlap: seconds(&PULL_OVERLAP),
            full_pass_interval: seconds(&FULL_PASS_INTERVAL),
            schedule_time_limit: seconds(&SCHEDULE_TIME_LIMIT),
            allowed_hosts: list(&text(&ALLOWED_HOSTS)),
            key_file: text(&KEY_FILE),
            credentials_dir: text(&CREDENTIALS_DIR),
        }
    }
}

/// A setting's text; empty where there is none.
pub fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting
        .get()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect()
}
