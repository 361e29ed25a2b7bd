//! Text in one form: NFC, entities decoded, one kind of line end, no white space at the ends.

use std::borrow::Cow;
use unicode_normalization::{is_nfc, is_nfc_quick, IsNormalized, UnicodeNormalization};

/// The longest named entity has 33 bytes; numeric ones with a few leading zeros fit as well.
const LONGEST_ENTITY: usize = 40;

/// What is done besides NFC, line ends and trimming.
#[derive(Clone, Copy)]
struct Options {
    entities: bool,
    lower: bool,
}

/// Text as a shop or an ERP means it: entities decoded.
pub(super) fn clean(s: &str) -> Cow<'_, str> {
    run(
        s,
        Options {
            entities: true,
            lower: false,
        },
    )
}

/// The same in lower case, for e-mail addresses.
pub(super) fn clean_lower(s: &str) -> Cow<'_, str> {
    run(
        s,
        Options {
            entities: true,
            lower: true,
        },
    )
}

/// Text of which nothing is known (custom fields): entities stay.
pub(super) fn plain(s: &str) -> Cow<'_, str> {
    run(
        s,
        Options {
            entities: false,
            lower: false,
        },
    )
}

fn run(s: &str, options: Options) -> Cow<'_, str> {
    if is_clean(s, options) {
        return Cow::Borrowed(s.trim());
    }
    let mut text = Builder {
        out: String::with_capacity(s.len()),
        options,
    };
    s.nfc().for_each(|c| text.push(c));
    Cow::Owned(finish(text.out))
}

/// Whether only the ends are left to trim. Nearly always so: nothing is copied then.
fn is_clean(s: &str, options: Options) -> bool {
    let mut ascii = true;
    for b in s.bytes() {
        match b {
            0 | b'\r' => return false,
            b'&' if options.entities => return false,
            b'A'..=b'Z' if options.lower => return false,
            0x80.. => ascii = false,
            _ => {}
        }
    }
    ascii || (!options.lower && is_nfc_quick(s.chars()) == IsNormalized::Yes)
}

fn finish(mut text: String) -> String {
    if text.contains('\r') {
        text = text.replace("\r\n", "\n").replace('\r', "\n");
    }
    if !is_nfc(&text) {
        text = text.nfc().collect();
    }
    let trimmed = text.trim();
    if trimmed.len() < text.len() {
        text = trimmed.to_owned();
    }
    text
}

/// Collects text and decodes an entity at the moment it is complete, so that what an entity decodes to
/// can be part of the next (`&amp;lt;` is `<`). One pass brings text to the form in which nothing is
/// left to decode, in linear time, whatever was sent.
struct Builder {
    out: String,
    options: Options,
}

impl Builder {
    fn push(&mut self, c: char) {
        self.append(c);
        while self.options.entities && self.out.ends_with(';') && self.decode_last() {}
    }

    fn append(&mut self, c: char) {
        // Postgres stores no NUL, so the local side can't have one.
        if c == '\0' {
        } else if self.options.lower {
            self.out.extend(ascii_twin(c).to_lowercase());
        } else {
            self.out.push(ascii_twin(c));
        }
    }

    /// Decodes the entity that the text ends with. False where there is none.
    fn decode_last(&mut self) -> bool {
        let window = self.out.len().saturating_sub(LONGEST_ENTITY);
        let tail = self.out.as_bytes().get(window..).unwrap_or_default();
        let Some(start) = tail.iter().rposition(|b| *b == b'&').map(|at| window + at) else {
            return false;
        };
        // An ampersand is a character of its own, so this is always a boundary.
        let Some(entity) = self.out.get(start..) else {
            return false;
        };
        let Cow::Owned(decoded) = html_escape::decode_html_entities(entity) else {
            return false;
        };
        self.out.truncate(start);
        decoded.chars().for_each(|c| self.append(c));
        true
    }
}

/// The characters that NFC replaces by an ASCII one. Replaced before entities are looked for, because
/// a Greek question mark would become the semicolon of an entity afterwards.
const fn ascii_twin(c: char) -> char {
    match c {
        '\u{37e}' => ';',
        '\u{1fef}' => '`',
        '\u{212a}' => 'K',
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entities_are_decoded() {
        for (from, to) in [
            ("Tom &amp; Jerry", "Tom & Jerry"),
            ("O&#039;Brien", "O'Brien"),
            ("&#x20AC;5 &#X20ac;", "€5 €"),
            ("&eacute;t&eacute;", "été"),
            ("e&#769;", "é"),
            ("&amp;amp;lt;", "<"),
            ("&am&#112;;", "&"),
            ("&amp&#59;", "&"),
            ("&#38&semi;", "&"),
            ("AT&T; &unknown; & &; &#; &#x;", "AT&T; &unknown; & &; &#; &#x;"),
            ("a & b; c", "a & b; c"),
        ] {
            assert_eq!(clean(from), to, "{from}");
        }
        assert_eq!(plain("a &amp; b"), "a &amp; b");
    }

    #[test]
    fn ends_are_trimmed_and_the_inside_is_kept() {
        assert_eq!(clean("\u{a0} a\u{a0} b \t\n&nbsp;"), "a\u{a0} b");
        assert_eq!(clean(" \u{a0}&nbsp;&#9;"), "");
        assert_eq!(clean("a\r\nb\rc\r\r\nd"), "a\nb\nc\n\nd");
        assert_eq!(clean("a\0b"), "ab");
    }

    #[test]
    fn lower_case_comes_before_decoding() {
        assert_eq!(
            clean_lower(" Ann.O&#039;Brien@Example.ORG "),
            "ann.o'brien@example.org"
        );
        assert_eq!(clean_lower("&NBSP;x&n&#66;sp;"), "x");
        assert_eq!(clean_lower("ÉMILE@x.org"), clean_lower("e\u{301}mile@x.org"));
    }

    #[test]
    fn clean_text_is_not_copied() {
        for s in ["", "plain", " spaced ", "żółć", "日本語"] {
            assert!(matches!(clean(s), Cow::Borrowed(_)), "{s}");
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        let nested = format!("&{}", "amp;".repeat(200_000));
        assert_eq!(clean(&nested), "&");
        let semicolons = format!("{};", "&#59".repeat(200_000));
        assert_eq!(clean(&semicolons), ";");
    }

    /// Text made of what could go wrong together.
    pub(in crate::core) fn tricky() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "&", "&amp", ";", "#", "&#59", "&#894;", "&#8490;", "\u{37e}", "\u{212a}", "amp;", "&am",
                "&#112;", "lt;", "&NBSP;", "&nbsp;", "&#13;", "\r", "\n", "\0", "\u{a0}", " ", "\u{338}",
                "\u{301}", "e", "K", "appa;", "İ", "&#x3a3;", "Σ", "\u{1f71}", "\u{feff}", "&ngE;",
            ])
            .prop_map(str::to_owned),
            any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|v| v.concat())
    }

    proptest! {
        #[test]
        fn cleaning_twice_is_cleaning_once(s in tricky()) {
            for f in [clean, clean_lower, plain] {
                let once = f(&s).into_owned();
                prop_assert_eq!(f(&once), once.as_str());
            }
        }

        #[test]
        fn composed_and_decomposed_are_one(s in tricky()) {
            let (nfc, nfd): (String, String) = (s.nfc().collect(), s.nfd().collect());
            for f in [clean, clean_lower, plain] {
                prop_assert_eq!(f(&nfc), f(&nfd));
            }
        }
    }
}
