//! How the reading of the directory's source goes on: what a round begins with, what follows a page, and when what a listing left out
//! is taken away.
//!
//! A listing reads everything anew. What was known stays in force meanwhile; at its end what it did not name goes, unless that is so
//! much that the listing is more likely wrong than the directory. Then nothing goes, and as long as that stands the stream does not
//! count as read: whoever needs roles that are no older than some time has them asked for one by one.

use entity::{Seconds, SyncPhase, SyncStream, Timestamp, sync};

/// So long after a listing that left out too much the next one is made.
const PAUSE: Seconds = Seconds::hours(1);

/// Where a source goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There is one more page.
    Page(String),
    /// That was all for now; what changes from here on stands there.
    End(String),
}

/// A round begins, or goes on where the last one was cut off. `is_known`: is anything known that a listing could leave out?
pub fn begin(mut row: sync::Model, now: Timestamp, is_known: bool) -> sync::Model {
    if row.begun_at.is_some() {
        return row;
    }
    let is_due = row.listed_at.is_none_or(|at| at.plus(PAUSE) <= now);
    let is_held = row.held_back.is_some() && (row.is_removal_approved || is_due);
    row.begun_at = Some(now);
    match row.stream {
        SyncStream::Roles => row.phase = SyncPhase::Following,
        _ if row.phase == SyncPhase::New || is_held => return start_over(row, now, is_known),
        _ => {}
    }
    row
}

/// Everything is read anew: at the very first, and where the source does not know any more what it told last.
pub fn start_over(mut row: sync::Model, now: Timestamp, is_known: bool) -> sync::Model {
    row.phase = if is_known { SyncPhase::Listing } else { SyncPhase::First };
    row.listing += 1;
    row.listed_at = Some(now);
    row.begun_at = Some(now);
    row.link = None;
    row
}

/// As if nothing had ever been read; listings are counted on, for their marks may still be there.
pub fn anew(row: sync::Model) -> sync::Model {
    sync::Model {
        phase: SyncPhase::New,
        listed_at: None,
        link: None,
        begun_at: None,
        read_at: None,
        held_back: None,
        is_removal_approved: false,
        ..row
    }
}

/// After a page.
pub fn turn(mut row: sync::Model, next: Next) -> sync::Model {
    match next {
        Next::Page(link) => row.link = Some(link),
        Next::End(link) => {
            row.link = Some(link);
            if row.phase == SyncPhase::Listing {
                row.phase = SyncPhase::Sweeping;
            } else {
                if row.phase == SyncPhase::First {
                    row.held_back = None;
                }
                return end(row);
            }
        }
    }
    row
}

/// What the listing left out is gone.
pub fn swept(mut row: sync::Model) -> sync::Model {
    row.held_back = None;
    row.is_removal_approved = false;
    end(row)
}

/// What the listing left out stays, for it is too much.
pub fn hold_back(mut row: sync::Model, count: i64) -> sync::Model {
    row.held_back = Some(count);
    end(row)
}

/// The round is over.
pub fn end(mut row: sync::Model) -> sync::Model {
    row.phase = SyncPhase::Following;
    if row.held_back.is_none() {
        row.read_at = row.begun_at;
    }
    row.begun_at = None;
    row
}

/// More than a third: that is more likely wrong than meant.
pub fn is_too_much(unnamed: i64, all: i64) -> bool {
    unnamed.saturating_mul(3) > all
}

/// How much listings left out that nobody has taken away.
pub fn held_back(rows: &[sync::Model]) -> i64 {
    rows.iter().filter_map(|row| row.held_back).sum()
}

/// Since when all of this is known: what the source said by then has been read, from every stream.
pub fn read_at(rows: &[sync::Model]) -> Option<Timestamp> {
    rows.iter().map(|row| row.read_at).min().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(stream: SyncStream) -> sync::Model {
        sync::Model {
            stream,
            version: 1,
            phase: SyncPhase::New,
            listing: 0,
            listed_at: None,
            link: None,
            begun_at: None,
            read_at: None,
            held_back: None,
            is_removal_approved: false,
        }
    }

    fn page(link: &str) -> Next {
        Next::Page(link.to_owned())
    }

    fn last(link: &str) -> Next {
        Next::End(link.to_owned())
    }

    #[test]
    fn a_first_load_sweeps_nothing_and_counts_from_its_beginning() {
        let row = begin(new(SyncStream::Users), Timestamp(5), false);
        assert_eq!((row.phase, row.listing, row.link.as_deref()), (SyncPhase::First, 1, None));
        let row = turn(row, page("2"));
        let row = begin(row, Timestamp(9), true);
        assert_eq!((row.link.as_deref(), row.begun_at), (Some("2"), Some(Timestamp(5))), "it goes on");
        let row = turn(row, last("delta"));
        assert_eq!((row.phase, row.read_at, row.begun_at), (SyncPhase::Following, Some(Timestamp(5)), None));
        let row = turn(begin(row, Timestamp(70), true), last("delta 2"));
        assert_eq!((row.listing, row.read_at, row.link.as_deref()), (1, Some(Timestamp(70)), Some("delta 2")));
    }

    #[test]
    fn a_listing_over_what_is_known_sweeps() {
        let row = begin(new(SyncStream::Groups), Timestamp(5), true);
        let row = turn(row, last("delta"));
        assert_eq!((row.phase, row.read_at), (SyncPhase::Sweeping, None));
        let row = swept(row);
        assert_eq!((row.phase, row.read_at), (SyncPhase::Following, Some(Timestamp(5))));
        let row = start_over(begin(row, Timestamp(60), true), Timestamp(61), true);
        assert_eq!(
            (row.phase, row.listing, row.link, row.begun_at),
            (SyncPhase::Listing, 2, None, Some(Timestamp(61)))
        );
    }

    #[test]
    fn what_is_held_back_makes_the_stream_old_until_a_listing_is_right_or_an_operator_agrees() {
        let row = swept(turn(begin(new(SyncStream::Users), Timestamp(0), true), last("a")));
        let row = turn(start_over(begin(row, Timestamp(60), true), Timestamp(60), true), last("b"));
        let row = hold_back(row, 7);
        assert_eq!((row.held_back, row.read_at), (Some(7), Some(Timestamp(0))));
        let row = turn(begin(row, Timestamp(120), true), last("c"));
        assert_eq!(
            (row.phase, row.read_at),
            (SyncPhase::Following, Some(Timestamp(0))),
            "changes are followed all the same"
        );
        let agreed = begin(sync::Model { is_removal_approved: true, ..row.clone() }, Timestamp(180), true);
        assert_eq!((agreed.phase, agreed.listing), (SyncPhase::Listing, 3));
        let later = begin(row, Timestamp(60).plus(PAUSE), true);
        assert_eq!(later.phase, SyncPhase::Listing);
        assert_eq!(swept(turn(later, last("d"))).held_back, None);
    }

    #[test]
    fn a_third_is_not_too_much() {
        assert!(!is_too_much(0, 0));
        assert!(!is_too_much(1, 3));
        assert!(is_too_much(2, 3));
        assert!(is_too_much(1, 1));
    }

    #[test]
    fn all_is_as_old_as_its_oldest_part() {
        let at = |stream, read_at| sync::Model { read_at, ..new(stream) };
        let rows = [at(SyncStream::Users, Some(Timestamp(3))), at(SyncStream::Groups, Some(Timestamp(2)))];
        assert_eq!(read_at(&rows), Some(Timestamp(2)));
        assert_eq!(read_at(&[rows[0].clone(), at(SyncStream::Roles, None)]), None);
        assert_eq!(read_at(&[]), None);
    }
}
