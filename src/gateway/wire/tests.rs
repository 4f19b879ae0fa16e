use super::*;
use proptest::prelude::*;

fn limits() -> Limits {
    Limits {
        header_timeout: Duration::from_secs(10),
        max_headers: 4,
        max_header_bytes: 1024,
        max_target_bytes: 64,
        ..crate::config::Limits::default()
    }
}

fn check_head(bytes: &[u8]) -> Head {
    let mut input = bytes;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(read_head(&mut input, &limits(), Duration::from_secs(1))).unwrap()
}

fn check(bytes: &[u8]) -> String {
    match check_head(bytes) {
        Head::Complete { framing, length, bytes, plain: _ } => {
            format!("{framing:?} +{}", bytes.len() - length)
        }
        Head::Closed => "closed".into(),
        Head::Refused { reason, .. } => reason.to_string(),
    }
}

/// Whether a head goes the short way; `None` where it is refused.
fn is_plain(bytes: &[u8]) -> Option<bool> {
    match check_head(bytes) {
        Head::Complete { plain, .. } => Some(plain),
        Head::Closed | Head::Refused { .. } => None,
    }
}

#[test]
fn only_what_has_no_body_and_says_nothing_of_the_connection_goes_the_short_way() {
    for (head, want) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("HEAD /a?b HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTE: trailers\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", false),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", false),
        ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\nX-A: 1\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nKEEP-ALIVE: 1\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nTrailer: x\r\n\r\n", false),
        // What follows at once is nobody's yet.
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
    ] {
        assert_eq!(is_plain(head.as_bytes()), Some(want), "{head:?}");
    }
}

#[test]
fn a_head_is_in_order_or_refused() {
    for (bytes, want) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], "Length(0) +0"),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "Length(0) +0"),
        (b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "Length(0) +0"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "Length(5) +5"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", "Chunked +0"),
        (b"", "closed"),
        (b"GET / HT", "closed"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", "ambiguous_request"),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"G=T / HTTP/1.1\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "ambiguous_request"),
        (b"GET /\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: v\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nFoo\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n", "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", "expectation_failed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\n\r\n", "request_too_large"),
    ] {
        assert_eq!(check(bytes), want, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_length_is_said_once_and_plainly() {
    for value in
        ["+5", "-1", "0x5", "5_0", "", "5 5", "99999999999999999999", "010", "5, 5", "5\r\nContent-Length: 5"]
    {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {value}\r\n\r\n");
        assert_eq!(check(head.as_bytes()), "ambiguous_request", "{value}");
    }
    for value in [
        "xchunked",
        "chunked, identity",
        "identity",
        "\"chunked\"",
        "chunked;a=b",
        "gzip, chunked",
        ",chunked",
        "chunked\r\nTransfer-Encoding: chunked",
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {value}\r\n\r\n");
        assert_eq!(check(head.as_bytes()), "ambiguous_request", "{value}");
    }
    let both =
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG";
    assert_eq!(check(both), "ambiguous_request");
    assert_eq!(
        check(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "ambiguous_request"
    );
}

#[test]
fn a_long_target_or_header_is_too_large() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64));
    assert_eq!(check(target.as_bytes()), "request_too_large");
    let fits = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(63));
    assert_eq!(check(fits.as_bytes()), "Length(0) +0");
    let header = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(1024));
    assert_eq!(check(header.as_bytes()), "request_too_large");
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(16_384));
    assert_eq!(check(endless.as_bytes()), "request_too_large");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_is_cut_at_the_deadline() {
    let (mut client, server) = tokio::io::duplex(64);
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let _ = client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.write_all(b"X: y\r\n").await.is_err() {
                break;
            }
        }
    });
    let limits = Limits { max_headers: 1000, ..limits() };
    let began = Instant::now();
    let head =
        read_head(&mut tokio::io::BufReader::new(server), &limits, Duration::from_mins(1)).await.unwrap();
    assert!(matches!(head, Head::Refused { reason: Reason::RequestTimeout, .. }), "{head:?}");
    assert_eq!(began.elapsed().as_secs(), 10);
}

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        check(&bytes);
    }

    #[test]
    fn what_is_accepted_has_one_host_and_no_bare_line_feed(tail in "[a-zA-Z: \r\n\t,;=0-9-]{0,80}") {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{tail}\r\n\r\n");
        if check(bytes.as_bytes()).starts_with("Length") {
            let head = bytes.split("\r\n\r\n").next().unwrap();
            prop_assert!(!head.replace("\r\n", "").contains('\n'));
            prop_assert_eq!(head.to_ascii_lowercase().matches("\r\nhost:").count(), 1);
        }
    }
}
