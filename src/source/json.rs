//! Reading JSON whose texts are not all text, or that is nested deeper than anybody reads: what one record holds must not fail
//! the page that it comes on, and with it every pull of all the others.

use crate::core::nesting;
use serde_json::Value;
use std::borrow::Cow;

/// Where a page that is nested too deep is cut: no record can be read from there on, and the page around it has levels of
/// its own.
const CUT: usize = 100;

/// Reads a body. Where that isn't JSON, bytes that aren't UTF-8 and halves of surrogate pairs are read as U+FFFD, as browsers
/// do, and what is nested too deep to be read is read as text: the record that it belongs to is still deeper than a record
/// may be ([`nesting::DEEPEST`]). The error is that of the body with these mended: one that ends too early is told as that.
pub fn parse(body: &[u8]) -> serde_json::Result<Value> {
    let body = without_marks(body);
    serde_json::from_slice(body).or_else(|error| {
        let text = mended(body);
        let parsed = match &text {
            Some(text) => serde_json::from_str(text),
            None => Err(error),
        };
        parsed.or_else(|error| {
            let text = text.map_or_else(|| String::from_utf8_lossy(body), Cow::Owned);
            nesting::shallow(&text, CUT).map_or(Err(error), |text| serde_json::from_str(&text))
        })
    })
}

/// The body behind byte order marks: files of plugins that were saved with one send it ahead of everything.
fn without_marks(body: &[u8]) -> &[u8] {
    let mut rest = body.trim_ascii_start();
    while let Some(behind) = rest.strip_prefix("\u{feff}".as_bytes()) {
        rest = behind.trim_ascii_start();
    }
    rest
}

/// None where every text is one.
fn mended(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let mut is_mended = matches!(text, Cow::Owned(_));
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (length, is_whole) = measure(escape);
        let (escape, after) = escape.split_at(length);
        out.push_str(if is_whole { escape } else { "\\ufffd" });
        is_mended |= !is_whole;
        rest = after;
    }
    out.push_str(rest);
    is_mended.then_some(out)
}

/// How long the escape is that a text begins with, and whether it stands for a character.
fn measure(escape: &str) -> (usize, bool) {
    match (unit(escape), escape.get(6..).and_then(unit)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, true),
        (Some(0xD800..=0xDFFF), _) => (6, false),
        // with what follows the backslash, as that may be another one
        _ => (escape.chars().take(2).map(char::len_utf8).sum(), true),
    }
}

/// The code unit of the `\uXXXX` that a text begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn reads(body: impl AsRef<[u8]>, text: &str) {
        assert_eq!(parse(body.as_ref()).unwrap(), json!({ "name": text }));
    }

    #[test]
    fn halves_of_surrogate_pairs_are_no_characters() {
        reads(r#"{"name":"a\ud800b"}"#, "a\u{fffd}b");
        reads(r#"{"name":"\uDC00"}"#, "\u{fffd}");
        reads(r#"{"name":"\ud83d\ud83d\ude00!"}"#, "\u{fffd}\u{1f600}!");
        reads(r#"{"name":"\ud800\u0041\ud800"}"#, "\u{fffd}A\u{fffd}");
        reads(r#"{"name":"\ud800é\ud8"}"#.replace("\\ud8\"", "\""), "\u{fffd}é");
    }

    #[test]
    fn what_is_text_stays_as_it_is() {
        // the whole of a body is looked through once one of its texts is broken
        reads(
            r#"{"name":"\\ud800 \\\\ud800 \"\/\n\u00e9 \ud83d\ude00 \udbff"}"#,
            "\\ud800 \\\\ud800 \"/\né \u{1f600} \u{fffd}",
        );
        // NUL is a character; that Postgres can't store it is seen to where records are made
        reads(r#"{"name":"a\u0000b"}"#, "a\0b");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_no_characters() {
        reads(b"{\"name\":\"M\xfcller\"}", "M\u{fffd}ller");
        // a surrogate encoded as if it were a character
        reads(b"{\"name\":\"\xed\xa0\x80\"}", "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_body_that_ends_too_early_is_told_as_that() {
        for body in [
            &b"[{\"name\":\"M\xfcller\"}, {\"na"[..],
            br#"["\ud800", "\ud8"#,
            b"[\"\xfc\", \"\xc3",
        ] {
            assert!(parse(body).unwrap_err().is_eof(), "{body:?}");
        }
    }

    #[test]
    fn byte_order_marks_are_skipped() {
        reads("\u{feff}{\"name\":\"a\u{feff}\"}", "a\u{feff}");
        reads("\r\n\u{feff}\u{feff}\n{\"name\":\"a\"}", "a");
        assert!(parse("\u{feff}".as_bytes()).is_err());
        assert!(parse("\u{feff}{\"na".as_bytes()).unwrap_err().is_eof());
    }

    #[test]
    fn what_is_nested_too_deep_is_cut_and_stays_deep() {
        let deep = "[".repeat(5000) + &"]".repeat(5000);
        let read =
            parse(format!(r#"[{{"id": 1, "a": {deep}}}, {{"id": 2, "b": "\ud800"}}]"#).as_bytes()).unwrap();
        assert_eq!(
            (&read[0]["id"], &read[1]),
            (&json!(1), &json!({"id": 2, "b": "\u{fffd}"}))
        );
        assert!(nesting::depth(&read[0]) > nesting::DEEPEST);
        assert!(parse(&deep.as_bytes()[..9000]).is_err());
    }

    #[test]
    fn what_is_no_json_is_none() {
        for body in [&b"<html>\xfc</html>"[..], b"\\ud800", br#"{"name": "\ux"}"#, b""] {
            assert!(parse(body).is_err(), "{body:?}");
        }
    }
}
