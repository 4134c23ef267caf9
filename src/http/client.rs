//! Whose connection it is, really: behind proxies the address in a forwarded header, but only as far as listed proxies vouch for it.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

/// Which header the proxies write. Only that one is read: the other would be what a client says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies that are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their addresses and networks.
    pub networks: Vec<IpNet>,
    /// What they write.
    pub header: ForwardedHeader,
}

impl Proxies {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that came from `peer`.
    ///
    /// Each proxy adds at the end whom it heard from. So the list is read from there, for as long as who is named is a proxy that is
    /// believed; the first who is not is the client, whatever stands before.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
        for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let address = match self.header {
                ForwardedHeader::XForwardedFor => address(entry.trim()),
                ForwardedHeader::Forwarded => forwarded_for(entry).and_then(address),
            };
            // Not an address: that proxy does not tell, so it is the last one known.
            let Some(address) = address else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// What an element of `Forwarded` says of `for`, without quotes.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address, with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse().or_else(|_| match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address).parse(),
        None => text.rsplit_once(':').map_or("", |(address, _)| address).parse(),
    });
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(header: ForwardedHeader, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let networks = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.9/32"].map(|text| text.parse().unwrap()).into();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Proxies { networks, header }.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_client_is_believed_nothing() {
        let lines = [("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4")];
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            assert_eq!(client(header, "198.51.100.7", &lines), "198.51.100.7");
            assert_eq!(client(header, "::ffff:198.51.100.7", &lines), "198.51.100.7");
        }
    }

    #[test]
    fn the_list_is_read_from_the_end_as_far_as_proxies_vouch() {
        let x = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            client(ForwardedHeader::XForwardedFor, "10.0.0.1", &lines)
        };
        assert_eq!(x(&[]), "10.0.0.1");
        assert_eq!(x(&["203.0.113.5"]), "203.0.113.5");
        assert_eq!(x(&["1.1.1.1, 203.0.113.5"]), "203.0.113.5", "what the client sent stands before");
        assert_eq!(x(&["1.1.1.1, 203.0.113.5,10.2.3.4 , 192.0.2.9"]), "203.0.113.5");
        assert_eq!(x(&["1.1.1.1", "203.0.113.5, 10.2.3.4"]), "203.0.113.5");
        assert_eq!(x(&["203.0.113.5:4711"]), "203.0.113.5");
        assert_eq!(x(&["[2001:db9::1]:4711"]), "2001:db9::1");
        assert_eq!(x(&["::ffff:203.0.113.5"]), "203.0.113.5");
        assert_eq!(x(&["203.0.113.5, unknown"]), "10.0.0.1");
        assert_eq!(x(&["203.0.113.5, unknown, 10.9.9.9"]), "10.9.9.9");
        assert_eq!(x(&["10.5.5.5"]), "10.5.5.5", "nobody but proxies");
    }

    #[test]
    fn the_standard_header_is_read_where_the_proxies_write_it() {
        let f = |line: &str| {
            let lines = [("x-forwarded-for", "1.1.1.1"), ("forwarded", line)];
            client(ForwardedHeader::Forwarded, "2001:db8::7", &lines)
        };
        assert_eq!(f("for=203.0.113.5;proto=https;by=10.0.0.1"), "203.0.113.5");
        assert_eq!(f("for=6.6.6.6, proto=https; For=\"[2001:db9::1]:4711\""), "2001:db9::1");
        assert_eq!(f("for=\"203.0.113.5:80\", for=10.0.0.2"), "203.0.113.5");
        assert_eq!(f("for=203.0.113.5, for=_hidden"), "2001:db8::7");
        assert_eq!(f("proto=https"), "2001:db8::7");
        let only_other = [("x-forwarded-for", "1.1.1.1")];
        assert_eq!(client(ForwardedHeader::Forwarded, "10.0.0.1", &only_other), "10.0.0.1");
    }
}
