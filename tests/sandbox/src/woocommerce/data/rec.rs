//! Writes one JSON object, leaving out fields nobody asked for and putting changed ones in.

use serde_json::{Map, Value};

use super::facts;
use crate::core::{clock, json};

/// An object being written.
pub struct Rec<'b, 'v> {
    buf: &'b mut Vec<u8>,
    fields: Option<&'v [String]>,
    patch: Option<&'v Map<String, Value>>,
    first: bool,
}

impl<'b, 'v> Rec<'b, 'v> {
    pub fn new(
        buf: &'b mut Vec<u8>,
        fields: Option<&'v [String]>,
        patch: Option<&'v Map<String, Value>>,
    ) -> Self {
        buf.push(b'{');
        Self {
            buf,
            fields,
            patch: patch.filter(|p| !p.is_empty()),
            first: true,
        }
    }

    /// An object with all its fields.
    pub fn plain(buf: &'b mut Vec<u8>) -> Self {
        Self::new(buf, None, None)
    }

    pub fn end(self) {
        self.buf.push(b'}');
    }

    /// Whether a field was asked for.
    pub fn wants(&self, key: &str) -> bool {
        self.fields.is_none_or(|all| all.iter().any(|f| f == key))
    }

    /// Begins a field; false when the caller has nothing (more) to write for it.
    pub fn key(&mut self, key: &str) -> bool {
        if !self.wants(key) {
            return false;
        }
        self.begin(key);
        match self.patch.and_then(|p| p.get(key)) {
            Some(changed) => {
                json::value(self.buf, changed);
                false
            }
            None => true,
        }
    }

    /// Begins a field whether or not it was asked for.
    pub fn begin(&mut self, key: &str) {
        if !self.first {
            self.buf.push(b',');
        }
        self.first = false;
        self.buf.push(b'"');
        self.buf.extend_from_slice(key.as_bytes());
        self.buf.extend_from_slice(b"\":");
    }

    /// What a field's value is written to.
    pub fn buf(&mut self) -> &mut Vec<u8> {
        self.buf
    }

    pub fn text(&mut self, key: &str, text: &str) {
        if self.key(key) {
            json::string(self.buf, text);
        }
    }

    pub fn int(&mut self, key: &str, n: impl Into<i64>) {
        if self.key(key) {
            json::int(self.buf, n.into());
        }
    }

    pub fn bool(&mut self, key: &str, yes: bool) {
        self.raw(key, if yes { "true" } else { "false" });
    }

    /// A field whose JSON is given.
    pub fn raw(&mut self, key: &str, raw: &str) {
        if self.key(key) {
            self.buf.extend_from_slice(raw.as_bytes());
        }
    }

    /// An amount of cents as WooCommerce writes money; `None` is no price.
    pub fn money(&mut self, key: &str, cents: Option<i64>) {
        if self.key(key) {
            self.buf.push(b'"');
            if let Some(cents) = cents {
                write_money(self.buf, cents);
            }
            self.buf.push(b'"');
        }
    }

    /// `key` in local time.
    pub fn local(&mut self, key: &str, utc: Option<i64>) {
        if self.key(key) {
            self.date(utc.map(|t| t + facts::offset(t)));
        }
    }

    /// `key` in UTC.
    pub fn gmt(&mut self, key: &str, utc: Option<i64>) {
        if self.key(key) {
            self.date(utc);
        }
    }

    /// A list of numbers.
    pub fn ints(&mut self, key: &str, numbers: impl IntoIterator<Item = u32>) {
        if !self.key(key) {
            return;
        }
        self.buf.push(b'[');
        for (i, n) in numbers.into_iter().enumerate() {
            if i > 0 {
                self.buf.push(b',');
            }
            json::int(self.buf, n.into());
        }
        self.buf.push(b']');
    }

    fn date(&mut self, seconds: Option<i64>) {
        match seconds {
            None => self.buf.extend_from_slice(b"null"),
            Some(t) => {
                self.buf.push(b'"');
                clock::write_iso(self.buf, t);
                self.buf.push(b'"');
            }
        }
    }
}

/// `12.30`, without quotes.
pub fn write_money(buf: &mut Vec<u8>, cents: i64) {
    if cents < 0 {
        buf.push(b'-');
    }
    let cents = cents.abs();
    json::int(buf, cents / 100);
    buf.extend_from_slice(&[b'.', b'0' + (cents / 10 % 10) as u8, b'0' + (cents % 10) as u8]);
}

/// `12.30` as text.
pub fn money(cents: i64) -> String {
    let mut buf = Vec::new();
    write_money(&mut buf, cents);
    String::from_utf8(buf).unwrap_or_default()
}
