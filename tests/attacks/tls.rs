//! TLS: handshakes that should not come about, or should come about all the same.

use super::scene::Scene;
use crate::support::raw::exchange;
use crate::support::{Browser, DEADLINE, Device, Estate, Tls, find};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Everything until the server closes; it must.
fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return bytes,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("the server did not close: {error}; it said {}", bytes.escape_ascii()),
        }
    }
}

/// A ClientHello as one would have been written when this version was the newest.
fn old_hello(version: u8, host: &str) -> Vec<u8> {
    let name = host.as_bytes();
    let length = u16::try_from(name.len()).unwrap();
    let sni = [&(length + 3).to_be_bytes()[..], &[0], &length.to_be_bytes(), name].concat();
    let extension = |kind: u16, body: &[u8]| {
        [&kind.to_be_bytes()[..], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    };
    let extensions = [
        extension(0, &sni),
        extension(10, &[0, 4, 0, 23, 0, 24]),
        extension(11, &[1, 0]),
        extension(13, &[0, 8, 4, 3, 4, 1, 2, 3, 2, 1]),
    ]
    .concat();
    let suites: &[u8] =
        &[0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0xc0, 0x0a, 0xc0, 0x14, 0x00, 0x2f, 0x00, 0x35];
    let body = [
        &[3, version][..],
        &[7; 32],
        &[0],
        &u16::try_from(suites.len()).unwrap().to_be_bytes(),
        suites,
        &[1, 0],
        &u16::try_from(extensions.len()).unwrap().to_be_bytes(),
        &extensions,
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    record(&[&[1, length[1], length[2], length[3]][..], &body].concat(), version)
}

fn record(fragment: &[u8], version: u8) -> Vec<u8> {
    [&[22, 3, version][..], &u16::try_from(fragment.len()).unwrap().to_be_bytes(), fragment].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_older_than_tls_1_2_is_spoken() {
    let estate = Estate::start();
    for version in [0, 1, 2] {
        let failed = estate.metric("tiergate_tls_handshakes_total", &["result=\"failed\""]);
        let mut stream = dial(estate.port);
        stream.write_all(&old_hello(version, "wiki.localhost")).unwrap();
        let bytes = read_all(&mut stream);
        // A fatal alert, `protocol_version` or `handshake_failure`.
        assert!(
            matches!(bytes[..], [21, 3, _, 0, 2, 2, 40 | 70]),
            "TLS-01 3.{version}: {}",
            bytes.escape_ascii()
        );
        let counted = || {
            (estate.metric("tiergate_tls_handshakes_total", &["result=\"failed\""]) > failed).then_some(())
        };
        crate::support::estate::poll("a failed handshake to be counted", counted).await;
    }
    // The same hello of TLS 1.2 is answered by a ServerHello: the bytes above were in order.
    let mut stream = dial(estate.port);
    stream.write_all(&old_hello(3, "wiki.localhost")).unwrap();
    let mut first = [0; 6];
    stream.read_exact(&mut first).unwrap();
    assert_eq!((first[0], first[5]), (22, 2), "TLS-01 3.3: {}", first.escape_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_before_the_handshake_is_over() {
    let estate = Estate::start();
    let mut config = estate.tls(Device::None, Tls::H1);
    config.enable_early_data = true;
    let config = Arc::new(config);
    for round in 0..3 {
        let name = ServerName::try_from("wiki.localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&config), name).unwrap();
        assert!(tls.early_data().is_none(), "TLS-09: 0-RTT is offered in round {round}");
        let mut tcp = dial(estate.port);
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        stream
            .write_all(
                format!(
                    "GET / HTTP/1.1\r\nHost: wiki.localhost:{}\r\nConnection: close\r\n\r\n",
                    estate.port
                )
                .as_bytes(),
            )
            .unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 401 "), "TLS-09 {}", answer.escape_ascii());
        let resumed = tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        assert_eq!(resumed, round > 0, "TLS-09: a ticket there was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_and_tls_on_the_wrong_ports_get_no_answer() {
    let estate = Estate::start();
    for text in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"SSH-2.0-x\r\n",
    ] {
        let mut stream = dial(estate.port);
        stream.write_all(text).unwrap();
        let bytes = read_all(&mut stream);
        let banner = find(&bytes, b"HTTP").is_some() || find(&bytes, b"tiergate").is_some();
        assert!(!banner && bytes.len() <= 7, "TLS-11 {}: {}", text.escape_ascii(), bytes.escape_ascii());
    }
    let mut stream = dial(estate.admin);
    stream.write_all(&old_hello(3, "wiki.localhost")).unwrap();
    let bytes = read_all(&mut stream);
    assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 400"), "TLS-11 {}", bytes.escape_ascii());
    // Both still serve.
    assert!(estate.metrics().contains("tiergate_build_info"));
    let page = Browser::new(&estate, Device::None, Tls::H2).open(&estate.url("wiki.localhost", "/")).await;
    assert_eq!(page.status, 200, "TLS-11");
}

/// Sends the first flight as these pieces and goes on as usual; the answer to one request.
fn ask_in_pieces(scene: &Estate, request: &[u8], split: impl FnOnce(&[u8]) -> Vec<Vec<u8>>) -> Vec<u8> {
    let config = Arc::new(scene.tls(Device::None, Tls::H1));
    let mut tls = ClientConnection::new(config, ServerName::try_from("app.localhost").unwrap()).unwrap();
    let mut hello = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut hello).unwrap();
    }
    let mut tcp = dial(scene.port);
    for piece in split(&hello) {
        tcp.write_all(&piece).unwrap();
    }
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragmented_hello_says_the_same_as_a_whole_one() {
    let scene = Scene::start().await;
    scene.clear();
    let request = scene.fill(b"GET /high/x HTTP/1.1\r\n{H}Connection: close\r\n\r\n");
    let check = |row: String, answer: &[u8]| {
        assert!(answer.starts_with(b"HTTP/1.1 403 "), "HOST-04 {row}: {}", answer.escape_ascii())
    };
    // Two records, at each byte of the name and around it.
    for offset in 0..="app.localhost".len() + 4 {
        let answer = ask_in_pieces(&scene.estate, &request, |hello| {
            let fragment = &hello[5..];
            // Extensions come in any order, so the name may be the very end.
            let at = (find(fragment, b"app.localhost").unwrap() - 2 + offset).min(fragment.len() - 1);
            vec![[record(&fragment[..at], 1), record(&fragment[at..], 1)].concat()]
        });
        check(format!("split at {offset}"), &answer);
    }
    // A record a byte around the name, and a segment a byte for all of it.
    let answer = ask_in_pieces(&scene.estate, &request, |hello| {
        let fragment = &hello[5..];
        let at = find(fragment, b"app.localhost").unwrap();
        let (before, name, after) = (&fragment[..at], &fragment[at..at + 13], &fragment[at + 13..]);
        let name = name.iter().flat_map(|byte| record(&[*byte], 1)).collect();
        // The name may be the very end here too, and a record of nothing is none (RFC 8446 §5.1).
        let after = if after.is_empty() { Vec::new() } else { record(after, 1) };
        vec![[record(before, 1), name, after].concat()]
    });
    check("a record a byte".to_owned(), &answer);
    let answer =
        ask_in_pieces(&scene.estate, &request, |hello| hello.iter().map(|byte| vec![*byte]).collect());
    check("a segment a byte".to_owned(), &answer);
    assert!(scene.upstream.bytes().is_empty(), "HOST-04");
    let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
    assert_eq!(exchange(stream, &request, 1).await.status(), 403, "HOST-04: whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_agreed_on_against_quantum_computers_where_the_client_asks_for_it() {
    use rustls::NamedGroup::{X25519, X25519MLKEM768, secp256r1};
    let estate = Estate::start();
    // The library takes what the client likes best; browsers and OpenSSL like the hybrid best.
    for (offered, want) in [
        (&[X25519MLKEM768, X25519][..], X25519MLKEM768),
        (&[X25519MLKEM768], X25519MLKEM768),
        (&[X25519, X25519MLKEM768], X25519),
        (&[secp256r1, X25519], secp256r1),
        (&[secp256r1], secp256r1),
    ] {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let all = rustls::crypto::aws_lc_rs::ALL_KX_GROUPS;
        provider.kx_groups =
            offered.iter().map(|name| *all.iter().find(|group| group.name() == *name).unwrap()).collect();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(estate.roots())
            .with_no_client_auth();
        let stream = estate.try_connect("wiki.localhost", &Arc::new(config)).await.unwrap();
        let agreed = stream.get_ref().1.negotiated_key_exchange_group().map(|group| group.name());
        assert_eq!(agreed, Some(want), "{offered:?}");
    }
}
