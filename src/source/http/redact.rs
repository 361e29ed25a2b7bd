//! Keeps secrets and mark-up out of what people read.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use reqwest::Url;

const MASK: &str = "***";
const SHOWN: usize = 120;

/// Strings that must never be shown, in every form in which they travel.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Secrets as the connector knows them; their percent-encoded and base64 forms are masked as well.
    pub fn new<S: AsRef<str>>(secrets: &[S]) -> Self {
        let plain: Vec<&str> = secrets
            .iter()
            .map(AsRef::as_ref)
            .filter(|s| !s.is_empty())
            .collect();
        let mut forms: Vec<String> = plain.iter().map(|s| (*s).to_owned()).collect();
        forms.extend(plain.iter().map(|s| query_encoded(s)));
        forms.extend(plain.iter().map(|s| STANDARD.encode(s)));
        // The longest first, so that no part of a long one is left standing.
        forms.sort_by_key(|s| std::cmp::Reverse(s.len()));
        forms.dedup();
        Secrets(forms)
    }

    /// The text with every secret masked.
    pub fn mask(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), MASK)
        })
    }

    /// The beginning of a body, fit to be shown: masked, on one line, without control characters.
    pub fn excerpt(&self, body: &[u8]) -> String {
        // Masked before it is cut: half a secret would no longer be recognised.
        let head = String::from_utf8_lossy(&body[..body.len().min(16 * 1024)]);
        shorten(&one_line(&self.mask(&head)), SHOWN)
    }

    /// A remote's message, fit to be shown: masked, without mark-up.
    pub fn message(&self, text: &str) -> String {
        shorten(&one_line(&self.mask(&without_tags(text))), 3 * SHOWN)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({MASK})")
    }
}

fn query_encoded(text: &str) -> String {
    let mut url = match Url::parse("http://x/") {
        Ok(url) => url,
        Err(_) => return text.to_owned(),
    };
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or(text).to_owned()
}

fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Drops `<...>`; a lone `<` (as in "a < b") stays.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let opens = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        match tag.find('>').filter(|_| opens) {
            Some(end) => {
                out.push(' ');
                rest = &tag[end + 1..];
            }
            None => {
                out.push('<');
                rest = &tag[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn secrets_are_masked_in_every_form() {
        let secrets = Secrets::new(&["cs_a+b/c", "", "ck_1:cs_a+b/c"]);
        let text = format!(
            "plain cs_a+b/c, query cs_a%2Bb%2Fc, basic {}",
            STANDARD.encode("ck_1:cs_a+b/c")
        );
        assert_eq!(secrets.mask(&text), "plain ***, query ***, basic ***");
        assert_eq!(format!("{secrets:?}"), "Secrets(***)");
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        let secrets = Secrets::new(&["hidden"]);
        let body = format!("<br />\n<b>hidden\u{7}\0 {}", "é".repeat(500));
        let shown = secrets.excerpt(body.as_bytes());
        assert!(
            shown.starts_with("<br /> <b>*** é") && shown.ends_with('…'),
            "{shown}"
        );
        assert!(shown.chars().count() <= SHOWN + 1);
    }

    #[test]
    fn tags_are_dropped() {
        let message = "<p>There has been a <b>critical</b> error.</p><p><a href=\"x\">Learn</a> a < b</p>";
        assert_eq!(
            Secrets::default().message(message),
            "There has been a critical error. Learn a < b"
        );
    }
}
