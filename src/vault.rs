//! Files of secrets on the server: the key that seals credentials, and credentials that are not to pass through SQL.

use crate::settings::Settings;
use serde_json::Value;
use std::borrow::Cow;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use sync_engine::core::seal::SealKey;
use sync_engine::error::{Code, Error, Result};

/// Longest file of credentials, and longest name of one.
const LONGEST_FILE: u64 = 64 * 1024;
const LONGEST_NAME: usize = 100;

/// Reads the key from its file, which nobody but the server's user may read.
pub fn seal_key(path: &str) -> Result<SealKey> {
    const HOW: &str = "As the server's user: (umask 077; openssl rand -hex 32 > /path/to/sync_ext.key), then as a superuser, and in a new session: \
                       ALTER DATABASE ... SET sync_ext.key_file = '/path/to/sync_ext.key';";
    let not_ready = |why: String| Error::new(Code::NotReady, why).hint(HOW);
    if path.is_empty() {
        return Err(not_ready(
            "no key to seal credentials with: sync_ext.key_file is not set".to_owned(),
        ));
    }
    let unreadable = |e: io::Error| not_ready(format!("the key file can't be read: {e}"));
    let permissions = fs::metadata(path).map_err(unreadable)?.permissions();
    if is_open_to_others(&permissions) {
        return Err(not_ready(
            "the key file can be read by others than the server's user".to_owned(),
        ));
    }
    SealKey::from_hex(&fs::read_to_string(path).map_err(unreadable)?)
}

/// What credentials are bound to.
pub fn owner(org: &str, connector_id: &str) -> String {
    format!("{}/{connector_id}", org.to_ascii_lowercase())
}

/// Credentials as they were given, or what is in the file that they name: `{"file": "shop.json"}` is
/// `<sync_ext.credentials_dir>/<organisation>/shop.json`, so that nobody can name another organisation's.
pub fn credentials<'a>(given: &'a Value, settings: &Settings, org: &str) -> Result<Cow<'a, Value>> {
    let Some(named) = given.get("file") else {
        return Ok(Cow::Borrowed(given));
    };
    let name = file_name(given, named)?;
    let folder = folder_of(&settings.credentials_dir, org)?;
    let content = read(&folder.join(name)).map_err(|why| {
        Error::new(Code::NotReady, format!("the credentials file \"{name}\" {why}")).hint(
            "It lies in the organisation's own folder, belongs to the server's user, and nobody else may read it (0600). \
             Links are not followed.",
        )
    })?;
    match serde_json::from_slice(&content) {
        Ok(Value::Object(credentials)) => Ok(Cow::Owned(Value::Object(credentials))),
        // what it holds instead is not repeated
        _ => Err(Error::new(
            Code::Invalid,
            format!("the credentials file \"{name}\" doesn't hold a JSON object"),
        )
        .hint("It holds what credentials would be otherwise.")),
    }
}

fn file_name<'a>(given: &Value, named: &'a Value) -> Result<&'a str> {
    let refused = |why: &str| {
        Err(Error::new(Code::Invalid, why).hint(format!(
            "Name a file of the organisation's folder: up to {LONGEST_NAME} letters, digits, \".\", \"-\" and \"_\", not beginning with \".\"."
        )))
    };
    if given.as_object().is_some_and(|all| all.len() > 1) {
        return refused("credentials in a file, and others beside it");
    }
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    match named.as_str() {
        Some(name)
            if (1..=LONGEST_NAME).contains(&name.len())
                && name.bytes().all(is_plain)
                && !name.starts_with('.') =>
        {
            Ok(name)
        }
        _ => refused("that is no name of a credentials file"),
    }
}

/// Whoever can write to a folder of credentials can have them sent anywhere.
fn folder_of(dir: &str, org: &str) -> Result<PathBuf> {
    const HOW: &str = "As a superuser, and in a new session: ALTER DATABASE ... SET sync_ext.credentials_dir = '/path/to/credentials'; there, \
                       a folder for each organisation, named by its id, which only the server's user may write to.";
    let not_ready = |why: String| Err(Error::new(Code::NotReady, why).hint(HOW));
    if dir.is_empty() {
        return not_ready(
            "there is no folder for credentials: sync_ext.credentials_dir is not set".to_owned(),
        );
    }
    let dir = Path::new(dir);
    if !dir.is_absolute() {
        return not_ready("sync_ext.credentials_dir is not an absolute path".to_owned());
    }
    let folder = dir.join(org);
    for (what, path) in [
        ("the folder for credentials", dir),
        ("the organisation's folder for credentials", &folder),
    ] {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_dir() => return not_ready(format!("{what} is no folder")),
            Ok(found) if found.permissions().mode() & 0o022 != 0 => {
                return not_ready(format!("{what} can be written to by others than its owner"));
            }
            Ok(_) => {}
            Err(e) => return not_ready(format!("{what} can't be read: {}", e.kind())),
        }
    }
    Ok(folder)
}

/// What is wrong, or the content. Looked at is what has been opened, not what the name stands for a moment later.
fn read(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let mut file = OpenOptions::new()
        .read(true)
        // a pipe would be waited for, a link followed
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|e| match e.raw_os_error() {
            Some(libc::ELOOP) => "is a link".to_owned(),
            _ => format!("can't be read: {}", e.kind()),
        })?;
    let found = file
        .metadata()
        .map_err(|e| format!("can't be read: {}", e.kind()))?;
    if !found.is_file() {
        return Err("is no regular file".to_owned());
    }
    if is_open_to_others(&found.permissions()) {
        return Err("can be read by others than the server's user".to_owned());
    }
    if found.len() > LONGEST_FILE {
        return Err(format!("has more than {LONGEST_FILE} bytes"));
    }
    let mut content = Vec::new();
    file.by_ref()
        .take(LONGEST_FILE)
        .read_to_end(&mut content)
        .map_err(|e| format!("can't be read: {}", e.kind()))?;
    Ok(content)
}

fn is_open_to_others(permissions: &Permissions) -> bool {
    permissions.mode() & 0o077 != 0
}
