//! Which addresses may be asked.

use std::net::IpAddr;

/// May this address be asked? By https anywhere; by plain http only on this machine, where nobody stands between.
pub fn is_safe(url: &str) -> bool {
    let (rest, is_plain) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_plausible = !host.is_empty() && !authority.contains(['@', '\\', ' ']) && !url.contains(char::is_control);
    let is_loopback = || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_plausible && (!is_plain || is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for url in [
            "https://login.example.com/tenant/v2.0",
            "https://login.example.com:8443",
            "http://127.0.0.1:8080/x",
            "http://127.9.9.9",
            "http://[::1]:80/x",
            "http://localhost/x",
        ] {
            assert!(is_safe(url), "{url}");
        }
        for url in [
            "",
            "login.example.com",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://user@login.example.com",
            "http://login.example.com",
            "http://169.254.169.254/latest",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@evil.example",
            "http://localhost.example.com",
            "http://[::2]/",
            "http://127.0.0.1\\@evil.example",
            "https://a.example/\nx",
        ] {
            assert!(!is_safe(url), "{url}");
        }
    }
}
