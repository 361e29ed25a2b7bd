//! Signatures of OAuth 1.0a (RFC 5849) with HMAC-SHA256, of a client alone or with a token.

use crate::error::{Code, Error, Result};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use chrono::Utc;
use reqwest::header::HeaderValue;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt::Write;

/// Parameters of a request, or of its signature.
pub type Params = Vec<(String, String)>;

/// An identifier and the secret that belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    pub id: &'a str,
    pub secret: &'a str,
}

/// Who signs.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    pub client: Pair<'a>,
    /// Whose rights the client uses; None: its own.
    pub token: Option<Pair<'a>>,
}

/// What makes each signature another one.
#[derive(Debug, Clone)]
pub struct Moment {
    pub nonce: String,
    /// Seconds since 1970.
    pub at: i64,
}

impl Moment {
    /// Now, with a nonce that nobody has used.
    pub fn now() -> Result<Self> {
        let mut bytes = [0u8; 16];
        let no_randomness = |_| Error::new(Code::Internal, "the system has no randomness");
        SystemRandom::new().fill(&mut bytes).map_err(no_randomness)?;
        Ok(Moment {
            nonce: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            at: Utc::now().timestamp(),
        })
    }
}

impl Signer<'_> {
    /// The OAuth parameters for a request to `url` (without its query) with these parameters: for its query, or for
    /// [`header`].
    pub fn sign(&self, method: &str, url: &str, params: &[(String, String)], moment: &Moment) -> Params {
        let mut oauth = vec![
            ("oauth_consumer_key".to_owned(), self.client.id.to_owned()),
            ("oauth_nonce".to_owned(), moment.nonce.clone()),
            ("oauth_signature_method".to_owned(), "HMAC-SHA256".to_owned()),
            ("oauth_timestamp".to_owned(), moment.at.to_string()),
        ];
        if let Some(token) = self.token {
            oauth.push(("oauth_token".to_owned(), token.id.to_owned()));
            oauth.push(("oauth_version".to_owned(), "1.0".to_owned()));
        }
        let all = params.iter().chain(&oauth);
        let mut pairs: Vec<_> = all.map(|(n, v)| (percent(n), percent(v))).collect();
        pairs.sort();
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let text = format!("{method}&{}&{}", percent(url), percent(&pairs.join("&")));
        let token = self.token.map_or("", |token| token.secret);
        let key = format!("{}&{}", percent(self.client.secret), percent(token));
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        oauth.push(("oauth_signature".to_owned(), signature));
        oauth
    }
}

/// The header `Authorization` with these OAuth parameters; `realm` is not signed.
pub fn header(realm: &str, oauth: &[(String, String)]) -> Result<HeaderValue> {
    let parts = oauth
        .iter()
        .map(|(n, v)| format!("{}=\"{}\"", percent(n), percent(v)));
    let parts: Vec<_> = std::iter::once(format!("realm=\"{realm}\""))
        .chain(parts)
        .collect();
    let bad = |_| Error::new(Code::Invalid, "the credentials can't be put into a header");
    let mut value = HeaderValue::from_str(&format!("OAuth {}", parts.join(","))).map_err(bad)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Percent encoding by RFC 3986: all but letters, digits and `-._~`.
pub fn percent(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.push(char::from(byte))
                }
                // Writing to a String can't fail.
                _ => drop(write!(out, "%{byte:02X}")),
            }
            out
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The base string of this request is that of RFC 5849, 3.4.1.1, but for the method of signing; what it is signed with
    /// was made by: printf '%s' BASE | openssl dgst -sha256 -hmac 'j49sk3j29djd&dh893hdasih9' -binary | base64
    #[test]
    fn a_token_signs_along() {
        let signer = Signer {
            client: Pair {
                id: "9djdj82h48djs9d2",
                secret: "j49sk3j29djd",
            },
            token: Some(Pair {
                id: "kkk9d7dh3k39sjv7",
                secret: "dh893hdasih9",
            }),
        };
        let params = [
            ("b5", "=%3D"),
            ("a3", "a"),
            ("c@", ""),
            ("a2", "r b"),
            ("c2", ""),
            ("a3", "2 q"),
        ];
        let params: Params = params.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        let moment = Moment {
            nonce: "7d8f3e4a".to_owned(),
            at: 137_131_201,
        };
        let oauth = signer.sign("POST", "http://example.com/request", &params, &moment);
        assert_eq!(
            oauth.last().unwrap().1,
            "xie2kqHv7CoC3VI1g/IUClHXm4q+1H3XJZG1izUgBXs="
        );
        let header = header("Example", &oauth).unwrap();
        assert!(header.is_sensitive());
        let text = header.to_str().unwrap();
        assert!(
            text.starts_with("OAuth realm=\"Example\",oauth_consumer_key=\"9djdj82h48djs9d2\","),
            "{text}"
        );
        assert!(text.contains("oauth_token=\"kkk9d7dh3k39sjv7\""), "{text}");
        assert!(!text.contains("dh893hdasih9"), "{text}");
    }

    #[test]
    fn no_moment_comes_twice() {
        assert_ne!(Moment::now().unwrap().nonce, Moment::now().unwrap().nonce);
    }
}
