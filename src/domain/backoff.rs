//! How long something that fails is left alone.

use std::time::Duration;

/// The first wait, and the longest that we choose ourselves, in microseconds.
const FIRST: u64 = 1_000_000;
const LONGEST: u64 = 60_000_000;

/// Whoever asks for more than this is not believed: it would be out of order for good.
const ASKED_MAX: Duration = Duration::from_secs(600);

/// The wait after so many failures one after the other (1 for the first), in microseconds: what was asked for, or else a second, and
/// twice as long each time, up to a minute. A half of that is left to `luck`, so that those who failed together do not come again
/// together.
pub fn wait(failures: u32, asked: Option<Duration>, luck: u64) -> i64 {
    let span = match asked {
        Some(asked) => {
            let least = u64::try_from(asked.min(ASKED_MAX).as_micros()).unwrap_or(LONGEST).max(FIRST);
            // Never before the time: luck only adds.
            least + luck % (FIRST / 2)
        }
        None => {
            let span = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
            span / 2 + luck % (span / 2 + 1)
        }
    };
    i64::try_from(span).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_minute_and_is_never_less_than_half() {
        for (failures, span) in [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            let span = span * 1_000_000;
            assert_eq!(wait(failures, None, 0), span / 2, "{failures}");
            assert_eq!(wait(failures, None, (span / 2) as u64), span, "{failures}");
            for luck in [1, 77, u64::MAX, u64::MAX / 3] {
                assert!((span / 2..=span).contains(&wait(failures, None, luck)), "{failures} {luck}");
            }
        }
    }

    #[test]
    fn what_was_asked_for_is_kept_but_not_for_ever() {
        for (asked, least) in [(0, 1), (1, 1), (7, 7), (600, 600), (1_000_000, 600), (u64::MAX, 600)] {
            for luck in [0, u64::MAX] {
                let wait = wait(9, Some(Duration::from_secs(asked)), luck);
                assert!((least * 1_000_000..least * 1_000_000 + 500_000).contains(&wait), "{asked} {luck}: {wait}");
            }
        }
    }
}
