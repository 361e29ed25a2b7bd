//! JSON as PHP's `json_encode` writes it: `\/` for `/` and `\uXXXX` for all that is not ASCII.

use std::io::Write;

use serde_json::Value;

/// Which bytes can be copied as they are.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0x20;
    while b < 0x7f {
        table[b] = !matches!(b as u8, b'"' | b'\\' | b'/');
        b += 1;
    }
    table
};

/// Writes a string's content without the quotes.
pub fn escape(buf: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let run = bytes[start..].iter().position(|b| !PLAIN[usize::from(*b)]);
        let end = run.map_or(bytes.len(), |n| start + n);
        buf.extend_from_slice(&bytes[start..end]);
        let Some(c) = text[end..].chars().next() else {
            return;
        };
        escape_char(buf, c);
        start = end + c.len_utf8();
    }
}

fn escape_char(buf: &mut Vec<u8>, c: char) {
    let short = match c {
        '"' => b'"',
        '\\' => b'\\',
        '/' => b'/',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        _ => 0,
    };
    if short != 0 {
        buf.extend_from_slice(&[b'\\', short]);
        return;
    }
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for unit in c.encode_utf16(&mut [0; 2]) {
        buf.extend_from_slice(b"\\u");
        for shift in [12, 8, 4, 0] {
            buf.push(HEX[usize::from(*unit >> shift & 15)]);
        }
    }
}

/// Writes a quoted string.
pub fn string(buf: &mut Vec<u8>, text: &str) {
    buf.push(b'"');
    escape(buf, text);
    buf.push(b'"');
}

/// Writes an integer.
pub fn int(buf: &mut Vec<u8>, n: i64) {
    // Writing to a Vec cannot fail.
    let _ = write!(buf, "{n}");
}

/// Writes any value.
pub fn value(buf: &mut Vec<u8>, v: &Value) {
    match v {
        Value::String(s) => string(buf, s),
        Value::Array(items) => {
            buf.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    buf.push(b',');
                }
                value(buf, item);
            }
            buf.push(b']');
        }
        Value::Object(map) => {
            buf.push(b'{');
            for (i, (k, item)) in map.iter().enumerate() {
                if i > 0 {
                    buf.push(b',');
                }
                string(buf, k);
                buf.push(b':');
                value(buf, item);
            }
            buf.push(b'}');
        }
        other => {
            let _ = write!(buf, "{other}");
        }
    }
}

/// A value as bytes.
pub fn bytes(v: &Value) -> Vec<u8> {
    let mut buf = Vec::new();
    value(&mut buf, v);
    buf
}
