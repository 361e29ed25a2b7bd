//! Imports run one way: each room of `src/` uses those below it that the law names, and no other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A room, and the rooms that it may use. Errors may be used by all.
const LAW: [(&str, &[&str]); 12] = [
    ("lib", &["pg", "settings"]),
    ("worker", &["job", "store", "request", "pg"]),
    (
        "api",
        &[
            "call", "store", "request", "pg", "settings", "vault", "source", "core",
        ],
    ),
    ("call", &["request", "pg", "settings", "core"]),
    (
        "job",
        &["store", "request", "pg", "settings", "vault", "source", "core"],
    ),
    ("store", &["request", "pg", "core"]),
    ("vault", &["settings", "core"]),
    ("request", &["settings", "core"]),
    ("pg", &["settings", "core"]),
    ("source", &["core"]),
    ("settings", &[]),
    ("core", &[]),
];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")
}

/// Every file under `folder` with that ending, by its path from there, and its text.
fn files(folder: &Path, under: &str, ending: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{under}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            all.extend(files(&path, &format!("{name}/"), ending));
        } else if name.ends_with(ending) {
            all.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    all
}

fn room(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// The rooms that a file names: `crate::room`, `crate::{room, ..}`, and the same of the crate of `source` and `core`.
fn named(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join(" ");
    let first_word = |path: &str| {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
        path[..end.unwrap_or(path.len())].to_owned()
    };
    let mut found = BTreeSet::new();
    for root in ["crate::", "sync_engine::"] {
        for (at, _) in code.match_indices(root) {
            match code[at + root.len()..].strip_prefix('{') {
                Some(group) => found.extend(
                    group[..group.find('}').unwrap_or(0)]
                        .split(',')
                        .map(|path| first_word(path.trim())),
                ),
                None => found.extend([first_word(&code[at + root.len()..])]),
            }
        }
    }
    found
}

/// What a file uses against the law.
fn offences(file: &str, text: &str) -> Vec<String> {
    let own = room(file);
    let Some((_, allowed)) = LAW.iter().find(|(name, _)| *name == own) else {
        return match own {
            "error" | "engine" => Vec::new(),
            _ => vec![format!("{file} is in no room")],
        };
    };
    let depth = file.matches('/').count();
    let out = "super::".repeat(depth + 1);
    let mut all: Vec<String> = named(text)
        .into_iter()
        .filter(|name| {
            LAW.iter().any(|(room, _)| room == name) && name != own && !allowed.contains(&name.as_str())
        })
        .map(|name| format!("{file} uses {name}"))
        .collect();
    if text.contains(&out) && !text.contains("#[cfg(test)]") {
        all.push(format!("{file} leaves its room by super"));
    }
    all
}

#[test]
fn imports_run_down_only() {
    let found: Vec<String> = files(&sources(), "", ".rs")
        .iter()
        .flat_map(|(file, text)| offences(file, text))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn an_arrow_up_is_an_offence() {
    for (file, text, offence) in [
        (
            "store/apply.rs",
            "use crate::call::Call;",
            "store/apply.rs uses call",
        ),
        (
            "store/apply.rs",
            "use crate::{\n    request,\n    job,\n};",
            "store/apply.rs uses job",
        ),
        ("pg/lock.rs", "    crate::store::set(x);", "pg/lock.rs uses store"),
        (
            "core/diff.rs",
            "use crate::source::Source;",
            "core/diff.rs uses source",
        ),
        (
            "store/run.rs",
            "use sync_engine::source::Source;",
            "store/run.rs uses source",
        ),
        (
            "call/mod.rs",
            "use super::super::job;",
            "call/mod.rs leaves its room by super",
        ),
        ("attic.rs", "", "attic.rs is in no room"),
    ] {
        assert_eq!(offences(file, text), [offence], "{text}");
    }
    for (file, text) in [
        (
            "store/apply.rs",
            "use crate::request::{ApplyOptions, Job};\n// crate::job is above",
        ),
        ("job/list/write.rs", "use super::super::crew::Crew;"),
        ("worker.rs", "use crate::{job, pg};"),
    ] {
        assert!(offences(file, text).is_empty(), "{text}");
    }
}

#[test]
fn the_library_only_wires() {
    let text = std::fs::read_to_string(sources().join("lib.rs")).unwrap();
    assert!(text.lines().count() < 100);
    // each file of SQL once, and none is left out
    let mut listed: Vec<&str> = text
        .split("../sql/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    listed.sort_unstable();
    let mut there: Vec<String> = files(&sources().join("../sql"), "", ".sql")
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("upgrade/"))
        .collect();
    there.sort_unstable();
    assert_eq!(listed, there);
}

/// What is read beside other things, in reviews and terminals. Texts go on as one literal below the other.
#[test]
fn no_line_of_sql_is_longer_than_140_characters_and_no_file_than_400_lines() {
    let texts = files(&sources().join("../sql"), "", ".sql");
    let long: Vec<String> = texts
        .iter()
        .flat_map(|(name, text)| {
            let lines = text
                .lines()
                .zip(1..)
                .filter(|(line, _)| line.chars().count() > 140);
            lines.map(move |(_, number)| format!("sql/{name}:{number}"))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
    let texts = texts.iter().filter(|(name, _)| !name.starts_with("upgrade"));
    let long: Vec<_> = texts
        .filter(|(_, text)| text.lines().count() > 400)
        .map(|(name, _)| name)
        .collect();
    assert!(long.is_empty(), "more than 400 lines: {long:#?}");
}
