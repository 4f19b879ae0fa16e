//! What a browser sends.

use pingora::http::RequestHeader;
use tiergate::session::SESSION_COOKIE;

/// The head for a page of this host: the session's cookie among others, and what somebody hopes would be believed.
pub fn head(host: &str, session: &str) -> RequestHeader {
    let mut head = RequestHeader::build("GET", b"/browse/42?tab=comments&sort=newest", Some(16)).unwrap();
    let cookies = format!("theme=dark; {SESSION_COOKIE}={session}; lang=en; _ga=GA1.1.1234567890.1764100000");
    let referer = format!("https://{host}/browse");
    for (name, value) in [
        ("Host", host),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Language", "en-GB,en;q=0.5"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Referer", &referer),
        ("Cookie", &cookies),
        ("Upgrade-Insecure-Requests", "1"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Priority", "u=0, i"),
        ("X-Forwarded-For", "192.0.2.1"),
    ] {
        head.append_header(name, value).unwrap();
    }
    head
}
