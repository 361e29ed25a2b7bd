//! Names in SQL text, however they are spelt: `Sync_Connect`, `"sync_connect"`, `U&"sync\005Fconnect"`, `E'sync\x5fconnect'`.
//!
//! What is looked for is to be hidden, so the text isn't parsed: any character may be any escape of it, wherever it stands. A
//! statement may hold the name in a string that holds another statement, and say only later which character escapes.

/// Backslashes that one may be written as.
const DEEPEST: usize = 16;
/// Bytes of a name that Postgres looks at.
const NAME_LENGTH: usize = 63;

/// Whether a text names this (in lower case), and not something that only begins alike.
pub fn names(text: &[u8], name: &[u8]) -> bool {
    // most of a long text is neither the first letter nor the beginning of an escape
    let may_begin = |at: usize| {
        let next = text.get(at + 1).copied().unwrap_or_default();
        text[at].eq_ignore_ascii_case(&name[0]) || text[at] == b'\\' || next == b'+' || next.is_ascii_digit()
    };
    (0..text.len()).any(|at| may_begin(at) && begins_with(&text[at..], name))
}

fn begins_with(text: &[u8], name: &[u8]) -> bool {
    let Some((first, rest)) = name.split_first() else {
        return !text
            .first()
            .is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_');
    };
    spellings(text).any(|(code, length)| {
        is_letter(code, *first) && text.get(length..).is_some_and(|t| begins_with(t, rest))
    })
}

fn is_letter(code: u32, letter: u8) -> bool {
    u8::try_from(code).is_ok_and(|code| code.eq_ignore_ascii_case(&letter))
}

/// What the text may begin with, and how long that is.
fn spellings(text: &[u8]) -> impl Iterator<Item = (u32, usize)> + '_ {
    // in a string within a string, each backslash is two
    let backslashes = text.iter().take(DEEPEST).take_while(|c| **c == b'\\').count();
    let escaped = (0..backslashes.max(1)).filter_map(move |more| Some((more, text.get(more + 1..)?)));
    let escaped = escaped.flat_map(move |(more, digits)| {
        let of = move |skipped: usize, length: usize, radix: u32| {
            Some((
                number(digits.get(skipped..skipped + length)?, radix)?,
                more + 1 + skipped + length,
            ))
        };
        let is = |mark: u8| digits.first() == Some(&mark);
        let any = [of(0, 4, 16), is(b'+').then(|| of(1, 6, 16)).flatten()];
        let of_strings = (backslashes > 0).then(|| {
            [
                is(b'x').then(|| of(1, 2, 16)).flatten(),
                is(b'x').then(|| of(1, 1, 16)).flatten(),
                is(b'u').then(|| of(1, 4, 16)).flatten(),
                is(b'U').then(|| of(1, 8, 16)).flatten(),
                of(0, 3, 8),
                of(0, 2, 8),
            ]
        });
        any.into_iter().chain(of_strings.into_iter().flatten()).flatten()
    });
    let literal = text.first().map(|c| (u32::from(*c), 1));
    // an escaping character that stands for itself
    let doubled = literal
        .filter(|_| text.first() == text.get(1))
        .map(|(code, _)| (code, 2));
    literal.into_iter().chain(doubled).chain(escaped)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    let is_plain = digits.bytes().all(|c| c.is_ascii_hexdigit());
    is_plain
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

/// What the first name of a text may be, after blanks and comments.
pub fn first_names(text: &str) -> Vec<String> {
    let text = without_comments(text);
    let mut found = match text.split_once('"') {
        Some(("", quoted)) => vec![unquoted(quoted)],
        Some(("U&" | "u&", quoted)) => every_meaning(&unquoted(quoted)),
        _ => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || c == '_' || c == '$';
            let name = text.split(|c| !is_part(c)).next().unwrap_or_default();
            vec![name.to_ascii_lowercase()]
        }
    };
    for name in &mut found {
        let end = (0..=NAME_LENGTH.min(name.len()))
            .rev()
            .find(|at| name.is_char_boundary(*at));
        name.truncate(end.unwrap_or_default());
    }
    found
}

fn without_comments(text: &str) -> &str {
    let mut text = text.trim_start();
    loop {
        let end = match text.get(..2) {
            Some("--") => text.find('\n'),
            Some("/*") => comment_end(text),
            _ => return text,
        };
        text = end
            .and_then(|end| text.get(end..))
            .unwrap_or_default()
            .trim_start();
    }
}

/// Comments stand in comments.
fn comment_end(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_u32, 0);
    while let Some(pair) = text.as_bytes().get(at..at + 2) {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What stands before the closing quotation mark; a doubled one is one, and goes on.
fn unquoted(text: &str) -> String {
    let mut name = String::new();
    let mut parts = text.split('"');
    name.push_str(parts.next().unwrap_or_default());
    while let (Some(""), Some(more)) = (parts.next(), parts.next()) {
        name.push('"');
        name.push_str(more);
    }
    name
}

/// Behind the name, UESCAPE may say which character escapes in it: any that could is tried.
fn every_meaning(name: &str) -> Vec<String> {
    let could = |c: &char| c.is_ascii() && !c.is_ascii_hexdigit() && !matches!(c, '+' | '\'' | '"');
    let mut marks: Vec<char> = name.chars().filter(could).collect();
    marks.sort_unstable();
    marks.dedup();
    let meanings = marks.into_iter().filter_map(|mark| meaning(name, mark));
    std::iter::once(name.to_owned()).chain(meanings).collect()
}

fn meaning(name: &str, mark: char) -> Option<String> {
    let mut units: Vec<u16> = Vec::new();
    let mut rest = name;
    while let Some(next) = rest.chars().next() {
        let after = rest.get(next.len_utf8()..)?;
        let (char, length) = match after.chars().next() {
            _ if next != mark => (next, 0),
            Some(again) if again == mark => (mark, 1),
            Some('+') => (char::from_u32(number(after.as_bytes().get(1..7)?, 16)?)?, 7),
            _ => {
                // half a pair, perhaps
                units.push(u16::try_from(number(after.as_bytes().get(..4)?, 16)?).ok()?);
                rest = after.get(4..)?;
                continue;
            }
        };
        units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
        rest = after.get(length..)?;
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_named(text: &str) -> bool {
        names(text.as_bytes(), b"sync_connect")
    }

    #[test]
    fn every_spelling_of_a_name_is_known() {
        for text in [
            "SELECT sync_connect('{}')",
            "select Sync_CONNECT ('{}')",
            "SELECT sync.\"sync_connect\"('{}')",
            "SELECT sync /* a */ . -- b\n sync_connect /* c */ ('{}')",
            r#"SELECT U&"sync\005Fconnect"('{}')"#,
            r#"SELECT u&"\0073\0079\006e\0063\005f\0063\006f\006E\006e\0065\0063\0074"('{}')"#,
            r#"SELECT U&"\+000073ync_connec\0074"('{}')"#,
            r#"SELECT U&"sync!005Fconnect" UESCAPE '!'('{}')"#,
            r#"SELECT U&"syncz005Fconnect" /* a */ uescape E'\x7a' ('{}')"#,
            r#"SELECT U&"sync__connect" UESCAPE '_' ('{}')"#,
            r#"DO $$BEGIN PERFORM U&"sync\005Fconnect"('{}'); END$$"#,
            r#"DO E'BEGIN PERFORM U&"sync\\\\005Fconnect"(\'{}\'); END'"#,
            r"DO E'BEGIN PERFORM sync\x5fconnect(1); END'",
            r"DO E'BEGIN PERFORM sync\137\143onnect(1); END'",
            r"DO E'BEGIN PERFORM s\u0079nc\U0000005fconnect(1); END'",
            r"DO U&'BEGIN PERFORM sync\005Fconnect(1); END'",
            "SELECT sync_connect",
        ] {
            assert!(is_named(text), "{text}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_another_name() {
        for text in [
            "SELECT * FROM sync_connectors",
            "SELECT sync_connect_all(), sync_conn",
            r#"SELECT U&"sync\005Econnect""#,
            r"sync\005F connect, sync\00",
            "sync",
            "\\",
            "",
        ] {
            assert!(!is_named(text), "{text}");
        }
    }

    #[test]
    fn the_first_name_is_read_as_postgres_does() {
        let long = "é".repeat(40);
        for (text, name) in [
            (" Mine('a')", "mine"),
            ("/* a /* b */ c */ -- d\n mine;", "mine"),
            (r#""my ""Own"""('a')"#, r#"my "Own""#),
            (r#"U&"m\0069ne"(1)"#, "mine"),
            (r#"u&"m!0069n!+000065!!" UESCAPE '!' (1)"#, "mine!"),
            (r#"U&"\d83d\de00""#, "😀"),
            ("größe$1 (", "größe$1"),
            (&long, &"é".repeat(31)),
        ] {
            assert!(
                first_names(text).iter().any(|found| found == name),
                "{text}: {:?}",
                first_names(text)
            );
        }
        assert_eq!(first_names("/* open"), [""]);
    }
}
