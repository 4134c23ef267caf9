//! Which form the client wants its answer in: the `Accept` header.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};

/// A form an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/json`: what GraphQL says about itself stays 200.
    Json,
    /// `application/graphql-response+json`: the status says whether execution began.
    GraphQl,
    /// `text/event-stream`.
    Events,
}

impl Form {
    const ALL: [(Form, &str, &str); 3] = [
        (Form::Json, "application", "json"),
        (Form::GraphQl, "application", "graphql-response+json"),
        (Form::Events, "text", "event-stream"),
    ];

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Form::Json => "application/json; charset=utf-8",
            Form::GraphQl => "application/graphql-response+json; charset=utf-8",
            Form::Events => "text/event-stream",
        })
    }
}

/// What the header allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    /// What the client likes best.
    pub best: Form,
    /// Does it name `text/event-stream`? A subscription needs that, whatever it likes better.
    pub takes_events: bool,
}

impl Accepted {
    /// The form of an answer that is no stream.
    pub fn plain(self) -> Form {
        if self.best == Form::Events { Form::Json } else { self.best }
    }
}

/// Reads the header. None: it allows nothing that there is.
///
/// The highest `q` wins, then what is named first. A wildcard means `application/json`; an event stream must be named.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Accepted> {
    let lines: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return Some(Accepted { best: Form::Json, takes_events: false });
    }
    let ranges: Vec<Range<'_>> = lines.iter().flat_map(|line| line.split(',')).filter_map(Range::read).collect();
    let mut best: Option<(u16, usize, Form)> = None;
    let mut takes_events = false;
    for (form, kind, subtype) in Form::ALL {
        // The most exact range decides, so that `*/*, application/json;q=0` refuses JSON.
        let matching = ranges.iter().enumerate().filter(|(_, range)| range.matches(form, kind, subtype));
        let Some((at, range)) = matching.max_by_key(|(at, range)| (range.exactness(), usize::MAX - at)) else {
            continue;
        };
        if range.quality == 0 {
            continue;
        }
        takes_events |= form == Form::Events;
        if best.is_none_or(|(quality, place, _)| (range.quality, usize::MAX - at) > (quality, usize::MAX - place)) {
            best = Some((range.quality, at, form));
        }
    }
    best.map(|(_, _, best)| Accepted { best, takes_events })
}

/// One entry of the header; quality in thousandths.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Range<'a>> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let quality = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(Some(1000), |(_, value)| thousandths(value.trim()))?;
        Some(Range { kind, subtype, quality })
    }

    fn matches(&self, form: Form, kind: &str, subtype: &str) -> bool {
        match (self.kind, self.subtype) {
            ("*", "*") => form == Form::Json,
            (own, "*") => own.eq_ignore_ascii_case(kind) && form != Form::Events,
            (own, sub) => own.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype),
        }
    }

    fn exactness(&self) -> u8 {
        match (self.kind, self.subtype) {
            ("*", _) => 0,
            (_, "*") => 1,
            _ => 2,
        }
    }
}

fn thousandths(text: &str) -> Option<u16> {
    let number: f32 = text.parse().ok()?;
    // A cast of a float saturates, and what is not between 0 and 1 is no quality.
    (0.0..=1.0).contains(&number).then_some((number * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &str) -> Option<(Form, bool)> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        negotiate(&headers).map(|accepted| (accepted.best, accepted.takes_events))
    }

    #[test]
    fn the_header_is_read_as_the_specification_says() {
        use Form::{Events, GraphQl, Json};
        for (accept, expected) in [
            ("", Some((Json, false))),
            ("*/*", Some((Json, false))),
            ("application/*", Some((Json, false))),
            ("application/json", Some((Json, false))),
            ("Application/JSON; charset=utf-8", Some((Json, false))),
            ("application/graphql-response+json", Some((GraphQl, false))),
            ("application/graphql-response+json, application/json;q=0.9", Some((GraphQl, false))),
            ("application/json;q=0.9, application/graphql-response+json", Some((GraphQl, false))),
            ("application/json, application/graphql-response+json", Some((Json, false))),
            ("application/graphql-response+json, application/json, text/event-stream", Some((GraphQl, true))),
            ("text/event-stream", Some((Events, true))),
            ("text/event-stream, application/json;q=0.5", Some((Events, true))),
            ("text/event-stream;q=0, */*", Some((Json, false))),
            ("application/graphql-response+json;q=0, application/*", Some((Json, false))),
            ("*/*, application/json;q=0", None),
            ("text/html", None),
            ("text/*", None),
            ("nonsense", None),
        ] {
            assert_eq!(asked(accept), expected, "{accept}");
        }
        assert!(negotiate(&HeaderMap::new()).is_some());
    }
}
