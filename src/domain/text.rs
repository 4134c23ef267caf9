//! What texts from outside must look like, and how names are folded for order and search.

use super::refusal::{Code, Refusal};

/// Longest name, in characters.
pub const NAME_MAX: usize = 256;
/// Longest description, justification, reason or detail, in characters.
pub const TEXT_MAX: usize = 4_000;
/// Longest idempotency key or reference, in characters.
pub const KEY_MAX: usize = 128;

/// A name: 1 to 256 characters, not blank, no control characters.
pub fn name(field: &str, value: &str) -> Result<(), Refusal> {
    if value.trim().is_empty() {
        return Err(Refusal::at(Code::Invalid, field, "A name may not be blank."));
    }
    bounded(field, value, NAME_MAX)
}

/// A text: at most 4,000 characters, no control characters but tab and newline.
pub fn text(field: &str, value: Option<&str>) -> Result<(), Refusal> {
    value.map_or(Ok(()), |value| bounded(field, value, TEXT_MAX))
}

/// A key: 1 to 128 characters, no control characters but tab and newline.
pub fn key(field: &str, value: Option<&str>) -> Result<(), Refusal> {
    match value {
        Some("") => Err(Refusal::at(Code::Invalid, field, "A key may not be empty.")),
        Some(value) => bounded(field, value, KEY_MAX),
        None => Ok(()),
    }
}

fn bounded(field: &str, value: &str, max: usize) -> Result<(), Refusal> {
    if value.chars().count() > max {
        return Err(Refusal::at(Code::Invalid, field, format!("At most {max} characters.")));
    }
    if value.chars().any(|c| c.is_control() && c != '\t' && c != '\n') {
        return Err(Refusal::at(
            Code::Invalid,
            field,
            "Control characters other than tab and newline are not allowed.",
        ));
    }
    Ok(())
}

/// A text with nothing in it says nothing.
pub fn is_blank(value: Option<&str>) -> bool {
    value.is_none_or(|value| value.trim().is_empty())
}

/// A name with case folded: what lists are ordered and searched by, alike on every database.
pub fn folded(value: &str) -> String {
    value.to_lowercase()
}

/// A name that somebody else's system keeps, made to fit ours; nothing where nothing is left of it.
pub fn fitted(value: &str) -> Option<String> {
    let plain: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut: String = plain.trim().chars().take(NAME_MAX).collect();
    (!cut.is_empty()).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_counted_in_characters() {
        assert!(name("n", &"é".repeat(256)).is_ok());
        assert_eq!(name("n", &"é".repeat(257)).unwrap_err().code, Code::Invalid);
        assert!(text("t", Some(&"x".repeat(4_000))).is_ok());
        assert!(text("t", Some(&"x".repeat(4_001))).is_err());
        assert!(key("k", Some("")).is_err());
        assert!(name("n", " \t").is_err());
    }

    #[test]
    fn what_fits_is_a_name() {
        assert_eq!(fitted(" \u{85}\n"), None);
        for given in ["Ada", " Ada\0Lovelace\r", &"é".repeat(300), &format!("{} x", "y".repeat(255))] {
            assert!(name("n", &fitted(given).unwrap()).is_ok(), "{given:?}");
        }
        assert_eq!(fitted("Ada\tL").unwrap(), "Ada L");
    }

    #[test]
    fn control_characters_other_than_tab_and_newline_are_refused() {
        assert!(text("t", Some("a\tb\nc")).is_ok());
        for bad in ["\0", "\r", "\u{7f}", "\u{85}"] {
            assert!(text("t", Some(bad)).is_err(), "{bad:?}");
        }
    }
}
