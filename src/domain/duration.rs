//! Spans of time as people write them: ISO 8601 with weeks, days, hours, minutes and whole seconds.
//!
//! A day is 24 hours. Years, months, fractions and signs are refused: none of them is one certain number of seconds, or
//! none that anybody needs here.

use entity::Seconds;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// The parts before the `T`, then those after it, in the only order that is allowed.
const DATE: [(u8, i64); 2] = [(b'W', WEEK), (b'D', DAY)];
const TIME: [(u8, i64); 3] = [(b'H', HOUR), (b'M', MINUTE), (b'S', 1)];

/// Reads `P14D`, `P1DT6H`, `PT0S`, `P1W2D`; None for everything else, and for spans of more seconds than 64 bits hold.
pub fn parse(text: &str) -> Option<Seconds> {
    let span = text.strip_prefix('P')?;
    let (date, time) = match span.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (span, None),
    };
    let days = parts(date, &DATE)?;
    let total = match time {
        Some("") => return None,
        Some(time) => days.checked_add(parts(time, &TIME)?)?,
        None if date.is_empty() => return None,
        None => days,
    };
    Some(Seconds(total))
}

/// The sum of the parts: each a number and its letter, in the order of `units`, each letter at most once.
fn parts(text: &str, units: &[(u8, i64)]) -> Option<i64> {
    let mut total: i64 = 0;
    let mut units = units.iter();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        // An empty number is no number, and `i64::from_str` would take a sign.
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        let letter = *rest.as_bytes().get(digits)?;
        let (_, size) = units.find(|(unit, _)| *unit == letter)?;
        total = total.checked_add(number.checked_mul(*size)?)?;
        rest = rest.get(digits + 1..)?;
    }
    Some(total)
}

/// The shortest form, with days as the largest unit: `P14D`, `P1DT6H`, `PT0S`. A negative span, which [`parse`] never gives, is
/// shown as none.
pub fn print(span: Seconds) -> String {
    let total = span.0.max(0);
    let mut text = String::from("P");
    if total / DAY > 0 {
        text.push_str(&format!("{}D", total / DAY));
    }
    let time = [(total % DAY / HOUR, 'H'), (total % HOUR / MINUTE, 'M'), (total % MINUTE, 'S')];
    if total == 0 {
        text.push_str("T0S");
    } else if total % DAY > 0 {
        text.push('T');
        for (number, letter) in time.into_iter().filter(|(number, _)| *number > 0) {
            text.push_str(&format!("{number}{letter}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_counts_what_it_says() {
        for (text, seconds) in [
            ("PT0S", 0),
            ("P0D", 0),
            ("P1W", WEEK),
            ("P1W2D", 9 * DAY),
            ("P1WT1H", WEEK + HOUR),
            ("P14D", 14 * DAY),
            ("P1DT6H", 30 * HOUR),
            ("PT90M", 90 * MINUTE),
            ("PT1H30M15S", HOUR + 30 * MINUTE + 15),
            ("P007D", WEEK),
        ] {
            assert_eq!(parse(text), Some(Seconds(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_certain_number_of_seconds_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1",
            "1D",
            "p1d",
            "P1d",
            "P1Y",
            "P1M",
            "P1DT",
            "PT1.5S",
            "PT1,5S",
            "-P1D",
            "+P1D",
            "P-1D",
            "P+1D",
            "P1D2W",
            "P1D1D",
            "PT1M1H",
            "PT1D",
            "P1H",
            "P 1D",
            "P1D ",
            "P1DT1HT1M",
            "P९D",
            "PD",
            "P99999999999999999999D",
            "P9223372036854775807W",
            "P106751991167300DT23H59M68S9",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_shortest_form_has_days() {
        for (seconds, text) in
            [(0, "PT0S"), (14 * DAY, "P14D"), (30 * HOUR, "P1DT6H"), (HOUR + 1, "PT1H1S"), (DAY + 61, "P1DT1M1S")]
        {
            assert_eq!(print(Seconds(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(seconds in 0..=i64::MAX) {
            prop_assert_eq!(parse(&print(Seconds(seconds))), Some(Seconds(seconds)));
        }

        #[test]
        fn whatever_comes_is_refused_or_read_without_a_panic(text in "\\PC{0,12}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_looks_right_is_printed_no_longer_than_it_came(text in "P([1-9]W)?([1-9]D)?(T[1-9]H([1-9]M)?)?") {
            if let Some(span) = parse(&text) {
                prop_assert_eq!(parse(&print(span)), Some(span));
            }
        }
    }
}
