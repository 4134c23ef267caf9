//! Event cursors: a position of the log that tells its bearer nothing, not even how far two of them are apart.

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entity::{Secret, deployment};
use sha2::{Digest, Sha256};

use super::Fault;

/// Bytes that say which log a cursor is of, in the clear, so that one of another log is told from nonsense.
const MARK: usize = 4;

/// Seals and opens cursors of one log and generation. Deterministic: one position has one cursor.
pub struct CursorKey {
    cipher: Aes256GcmSiv,
    mark: [u8; MARK],
    generation: i64,
}

impl CursorKey {
    /// A new key, for a new installation.
    pub fn generate() -> Result<Secret, String> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
        Ok(Secret(STANDARD.encode(bytes)))
    }

    /// The installation's key.
    pub fn new(deployment: &deployment::Model) -> Result<CursorKey, String> {
        let unusable = || "the installation's cursor key cannot be used".to_owned();
        let bytes = STANDARD.decode(&deployment.cursor_key.0).map_err(|_| unusable())?;
        let cipher = Aes256GcmSiv::new_from_slice(&bytes).map_err(|_| unusable())?;
        let digest = Sha256::digest(deployment.log_id.0.as_bytes());
        let mut mark = [0; MARK];
        mark.copy_from_slice(&digest[..MARK]);
        Ok(CursorKey { cipher, mark, generation: deployment.generation })
    }

    /// The cursor of a position.
    pub fn seal(&self, position: i64) -> String {
        let mut plain = [0; 16];
        plain[..8].copy_from_slice(&self.generation.to_be_bytes());
        plain[8..].copy_from_slice(&position.to_be_bytes());
        // GCM-SIV stays safe with one nonce for all: equal positions have equal cursors, which is wanted, and nothing else shows.
        let sealed =
            self.cipher.encrypt(&Nonce::default(), Payload { msg: &plain, aad: &self.mark }).unwrap_or_default();
        let mut bytes = self.mark.to_vec();
        bytes.extend(sealed);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position of a cursor, where the log has it: `head` is its newest.
    pub fn open(&self, text: &str, head: i64) -> Result<i64, Fault> {
        let nonsense = || Fault::BadInput("That is not a cursor of the event log.".to_owned());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| nonsense())?;
        if bytes.len() != MARK + 32 {
            return Err(nonsense());
        }
        let (mark, sealed) = bytes.split_at(MARK);
        if mark != self.mark {
            return Err(Fault::CursorExpired);
        }
        let plain =
            self.cipher.decrypt(&Nonce::default(), Payload { msg: sealed, aad: &self.mark }).map_err(|_| nonsense())?;
        let number = |range: std::ops::Range<usize>| {
            plain.get(range).and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes).ok_or_else(nonsense)
        };
        let (generation, position) = (number(0..8)?, number(8..16)?);
        if generation != self.generation || position > head || position < 0 {
            return Err(Fault::CursorExpired);
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::{LogId, Timestamp};

    fn key(generation: i64, log_id: LogId, secret: &Secret) -> CursorKey {
        CursorKey::new(&deployment::Model {
            id: 1,
            log_id,
            generation,
            issuer_key: Secret(String::new()),
            cursor_key: secret.clone(),
            is_builtin_issuer: false,
            is_demo: false,
            created_at: Timestamp(0),
            directory_source: None,
        })
        .unwrap()
    }

    #[test]
    fn a_cursor_opens_where_it_was_made_and_nowhere_else() {
        let (secret, log) = (CursorKey::generate().unwrap(), LogId::new());
        let cursors = key(1, log, &secret);
        let text = cursors.seal(41);
        assert_eq!(text, cursors.seal(41));
        assert_eq!(cursors.open(&text, 41), Ok(41));
        assert_eq!(cursors.open(&text, 40), Err(Fault::CursorExpired));
        assert_eq!(key(2, log, &secret).open(&text, 100), Err(Fault::CursorExpired));
        assert_eq!(key(1, LogId::new(), &secret).open(&text, 100), Err(Fault::CursorExpired));
        for bad in ["", "x", "AAAA", &text[1..], &format!("{text}A")] {
            assert!(matches!(cursors.open(bad, 100), Err(Fault::BadInput(_) | Fault::CursorExpired)), "{bad}");
        }
        let flipped: String =
            text.chars().enumerate().map(|(i, c)| if i == 20 { if c == 'A' { 'B' } else { 'A' } } else { c }).collect();
        assert!(matches!(cursors.open(&flipped, 100), Err(Fault::BadInput(_))));
    }
}
