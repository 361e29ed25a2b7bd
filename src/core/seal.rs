//! Sealing of credentials: AEAD, bound to the connector they belong to.

use crate::error::{Code, Error, Result};
use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, CHACHA20_POLY1305, NONCE_LEN};
use ring::rand::{SecureRandom, SystemRandom};

const KEY_LEN: usize = 32;

/// The key of one installation.
pub struct SealKey(LessSafeKey);

/// Nonce and ciphertext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl SealKey {
    /// From 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    /// 55000 for anything else.
    pub fn from_hex(text: &str) -> Result<Self> {
        let bytes = unhex(text.trim()).filter(|b| b.len() == KEY_LEN).ok_or_else(|| {
            Error::new(Code::NotReady, "the key file doesn't hold a key")
                .hint("It must hold 64 hexadecimal digits: openssl rand -hex 32 makes them.")
        })?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| internal("unusable key"))?;
        Ok(SealKey(LessSafeKey::new(key)))
    }

    /// Seals `secret` for `owner` (organisation and connector): it opens for that owner alone.
    pub fn seal(&self, owner: &str, secret: &[u8]) -> Result<Sealed> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| internal("no random numbers"))?;
        let mut body = secret.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut body,
            )
            .map_err(|_| internal("sealing failed"))?;
        Ok(Sealed([nonce.as_slice(), &body].concat()))
    }

    /// Opens what was sealed for `owner` with this key.
    ///
    /// # Errors
    /// 55000 when it was sealed with another key or for another owner, or was tampered with.
    pub fn open(&self, owner: &str, sealed: &Sealed) -> Result<Vec<u8>> {
        let refused = || {
            Error::new(Code::NotReady, "the stored credentials can't be opened")
                .detail("They were sealed with another key, or for another connector.")
                .hint("Point sync_ext.key_file at the key they were sealed with, or call sync_connect again.")
        };
        let (nonce, body) = sealed.0.split_at_checked(NONCE_LEN).ok_or_else(refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refused())?;
        let mut body = body.to_vec();
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut body)
            .map_err(|_| refused())?;
        Ok(opened.to_vec())
    }
}

impl Sealed {
    /// Lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The inverse of `to_hex`; None where it isn't hexadecimal.
    pub fn from_hex(text: &str) -> Option<Self> {
        unhex(text).map(Sealed)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

fn internal(message: &str) -> Error {
    Error::new(Code::Internal, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(fill: &str) -> SealKey {
        SealKey::from_hex(&fill.repeat(32)).unwrap()
    }

    #[test]
    fn opens_what_it_sealed() {
        let sealed = key("ab").seal("org/1", b"secret").unwrap();
        let stored = Sealed::from_hex(&sealed.to_hex()).unwrap();
        assert_eq!(key("ab").open("org/1", &stored).unwrap(), b"secret");
    }

    #[test]
    fn refuses_another_owner_another_key_and_a_changed_byte() {
        let sealed = key("ab").seal("org/1", b"secret").unwrap();
        assert!(key("ab").open("org/2", &sealed).is_err());
        assert!(key("cd").open("org/1", &sealed).is_err());
        let mut changed = sealed;
        changed.0[NONCE_LEN] ^= 1;
        assert!(key("ab").open("org/1", &changed).is_err());
        assert!(key("ab").open("org/1", &Sealed(vec![1, 2])).is_err());
    }

    #[test]
    fn two_seals_of_one_secret_differ() {
        assert_ne!(
            key("ab").seal("o", b"s").unwrap(),
            key("ab").seal("o", b"s").unwrap()
        );
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        for bad in ["", "ab", &"zz".repeat(32), &"ab".repeat(33), &"é".repeat(32)] {
            assert_eq!(SealKey::from_hex(bad).err().unwrap().code, Code::NotReady);
        }
        assert!(SealKey::from_hex(&format!("{}\n", "ab".repeat(32))).is_ok());
    }
}
