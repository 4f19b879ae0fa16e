//! What the sources themselves must keep to: see the crate's documentation. A grep and no proof: it
//! keeps honest people from forgetting.

use std::path::{Path, PathBuf};

/// The Rust files below a folder of the package.
fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            // Libraries of others have their own names.
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// The sources below a folder, without their comments and tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = files(folder);
    files.retain(|path| {
        let mut parts = path.iter().map(|part| part.to_string_lossy());
        !parts.any(|part| part.trim_end_matches(".rs").ends_with("tests"))
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| {
        let text = code(&std::fs::read_to_string(root.join(&path)).unwrap());
        (path, text)
    };
    files.into_iter().map(read).collect()
}

fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = body.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Each place that has one of these words, except in these files.
fn places(folder: &str, words: &[&str], except: &[&str]) -> Vec<String> {
    let mut places = Vec::new();
    for (path, text) in sources(folder) {
        if except.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        for word in words {
            places.extend(text.contains(word).then(|| format!("{} has `{word}`", path.display())));
        }
    }
    places
}

#[test]
fn the_core_does_no_io_and_reads_no_clock() {
    let words = [
        "pingora",
        "tokio",
        "tracing",
        "prometheus",
        "sqlx",
        "axum",
        "reqwest",
        "rustls",
        "hyper",
        "notify",
        "std::fs",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "std::net::Tcp",
        "std::net::Udp",
        "TcpStream",
        "UdpSocket",
        "ToSocketAddrs",
        "SystemTime",
        "Instant",
        "now_utc",
        "println!",
        "eprintln!",
        "crate::gateway",
        "crate::state",
        "crate::telemetry",
        "crate::audit",
        "crate::login",
        "crate::session",
        "crate::identity",
        "crate::config",
        "crate::server",
        "crate::snapshot",
        "crate::reload",
        "crate::admin",
    ];
    for folder in ["src/access", "src/policy", "src/workbench"] {
        assert_eq!(places(folder, &words, &[]), Vec::<String>::new());
    }
    // Arrows point at what a part may use: deciding knows facts and a policy, not what they came from.
    assert_eq!(places("src/access", &["crate::device", "crate::pages"], &[]), Vec::<String>::new());
    // The grep itself finds something where there is something to find.
    assert!(!places("src/gateway", &["pingora"], &[]).is_empty());
}

#[test]
fn nothing_is_dialled_without_a_permit() {
    // A permit has one maker, and so has what forwards.
    assert_eq!(places("src", &["Permit::new("], &["access/decide.rs"]), Vec::<String>::new());
    assert_eq!(places("src", &["Permit {"], &["access/permit.rs"]), Vec::<String>::new());
    let forward =
        sources("src/gateway").into_iter().find(|(path, _)| path.ends_with("forward.rs")).unwrap().1;
    let forward: String = forward.split_whitespace().collect();
    let (makers, from_a_permit) =
        (forward.matches("fnnew(").count(), forward.matches("fnnew(permit:Permit<").count());
    assert_eq!((makers, from_a_permit), (1, 1));
    assert_eq!(places("src/gateway", &["Forward {"], &["forward.rs"]), Vec::<String>::new());

    // The framework connects to the peer that it is handed: only forwarding hands it one.
    assert_eq!(
        places("src/gateway", &["HttpPeer::new", "BasicPeer::new", "PeerAddr"], &["gateway/upstream.rs"]),
        Vec::<String>::new()
    );
    assert_eq!(places("src/gateway", &["upstream.way("], &["gateway/forward.rs"]), Vec::<String>::new());
    assert_eq!(places("src/gateway", &["forward.way("], &["gateway/exchange.rs"]), Vec::<String>::new());
    assert_eq!(
        places("src/gateway", &["Way::new(", "Way {"], &["gateway/upstream.rs"]),
        Vec::<String>::new()
    );
    // Without the framework, only the ways that such a request has are gone.
    assert_eq!(
        places("src/gateway", &["idle.connect(", "idle.take("], &["gateway/relay.rs"]),
        Vec::<String>::new()
    );
    let by_hand = ["TcpStream::connect", "TcpSocket", "UnixStream", "TransportConnector", "reqwest"];
    // The connector for WebSockets dials the address that the framework took from such a peer, and the one
    // for requests without a body takes a way.
    assert_eq!(
        places("src/gateway", &by_hand, &["gateway/unhurried.rs", "gateway/idle.rs"]),
        Vec::<String>::new()
    );
    assert_eq!(
        places("src/gateway", &["unhurried::Connector"], &["gateway/upstream.rs"]),
        Vec::<String>::new()
    );
}

#[test]
fn no_module_is_named_for_what_it_is_not() {
    const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];
    for path in ["src", "tests"].into_iter().flat_map(files) {
        for part in path.iter().map(|part| part.to_string_lossy()) {
            assert!(!EMPTY_NAMES.contains(&part.trim_end_matches(".rs")), "{}", path.display());
        }
    }
}
