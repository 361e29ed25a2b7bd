//! Where the server's files are and whom it runs as.

use std::ffi::CStr;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{chown, DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "sync_ext-test-";

/// The folder with the binaries of the private copy of Postgres, as `scripts/cluster.sh install` makes it.
///
/// It is a real path: Postgres finds its other folders relative to it.
pub fn bin_dir() -> PathBuf {
    let tree = match std::env::var_os("SYNC_EXT_PG_TREE") {
        Some(tree) => PathBuf::from(tree),
        None => {
            let version = std::env::var("PG")
                .ok()
                .filter(|version| !version.is_empty())
                .unwrap_or("15".into());
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../.pg")
                .join(version)
                .join("tree")
        }
    };
    tree.join("bin").canonicalize().unwrap_or_else(|error| {
        panic!(
            "{}: {error} (run scripts/cluster.sh install, or set SYNC_EXT_PG_TREE)",
            tree.display()
        )
    })
}

/// Postgres refuses to run as root: then it is another user's.
#[derive(Clone, Copy)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

pub fn server_user() -> Option<User> {
    // SAFETY: no arguments, cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    Some(
        [c"postgres", c"nobody"]
            .into_iter()
            .find_map(lookup)
            .expect("a user to run Postgres as"),
    )
}

fn lookup(name: &CStr) -> Option<User> {
    // SAFETY: `name` ends in a NUL, and the record is read before any other call that could overwrite it.
    let record = unsafe { libc::getpwnam(name.as_ptr()).as_ref()? };
    Some(User {
        uid: record.pw_uid,
        gid: record.pw_gid,
    })
}

/// A fresh folder for one cluster.
///
/// Its path is short, since a socket's path has 107 bytes at most, and the server's user can enter it.
pub fn fresh_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let parent = parent_dir();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if number == 0 {
        sweep(&parent);
    }
    let dir = parent.join(format!("{PREFIX}{}-{number}", process::id()));
    let mode = if server_user().is_some() { 0o755 } else { 0o700 };
    DirBuilder::new()
        .mode(mode)
        .create(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    // Whatever the umask took away.
    fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
    dir
}

/// Gives `path` to the user of the server.
pub fn hand_over(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    if let Some(user) = server_user() {
        chown(path, Some(user.uid), Some(user.gid)).unwrap();
    }
}

fn parent_dir() -> PathBuf {
    let asked = std::env::temp_dir();
    let open = |dir: &Path| fs::metadata(dir).is_ok_and(|found| found.mode() & 0o001 != 0);
    let short = asked.as_os_str().len() <= 60;
    if short && (server_user().is_none() || asked.ancestors().all(open)) {
        asked
    } else {
        PathBuf::from("/tmp")
    }
}

/// Removes what test processes that were killed left behind.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next());
        let Some(pid) = owner.and_then(|pid| pid.parse::<i32>().ok()) else {
            continue;
        };
        // SAFETY: signal 0 only asks whether the process exists.
        let gone = unsafe { libc::kill(pid, 0) } != 0
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        if gone {
            // What belongs to somebody else stays.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
