//! What does not start: every mistake is named with its place, and nothing listens.

mod support;

use support::Estate;
use support::process::{Process, run, tiergate};

const RESOURCES: &str = "policies/resources.yaml";

/// Copies an estate's files, changes one, and tries to serve them on free ports.
async fn try_to_serve(estate: &Estate, file: &str, change: impl Fn(&str) -> String) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let copied = run(std::process::Command::new("cp").arg("-r").arg(estate.at(".")).arg(folder.path()));
    assert!(copied.status.success());
    let config = folder.path().join("tiergate.yaml");
    let (port, admin) = (support::port::free_port(), support::port::free_port());
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace(&estate.address().to_string(), &format!("127.0.0.1:{port}"));
    let text = text.replace(&format!("127.0.0.1:{}", estate.admin), &format!("127.0.0.1:{admin}"));
    std::fs::write(&config, text).unwrap();
    let path = folder.path().join(file);
    let changed = change(&std::fs::read_to_string(&path).unwrap_or_default());
    std::fs::write(&path, changed).unwrap();
    let mut process =
        Process::start(&["serve", "--config", config.to_str().unwrap()], &folder.path().join("serve.log"));
    let mut opened = false;
    let status = support::estate::poll("it gives up", || {
        opened |=
            [port, admin].into_iter().any(|port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        process.exit()
    })
    .await;
    assert!(!opened, "a port was open: {}", process.words());
    (status.code(), process.words())
}

#[tokio::test]
async fn what_has_a_mistake_does_not_start_and_every_mistake_is_named_with_its_place() {
    let estate = Estate::start();
    let resources = estate.read(RESOURCES);
    let wiki = 1 + resources.lines().position(|line| line.contains("tier: open")).unwrap();
    let upstream = 1 + resources.lines().position(|line| line.contains("upstream: demo")).unwrap();
    let group = 1 + resources.lines().position(|line| line.contains("[finance, admins]")).unwrap();
    // Three mistakes at once, three places.
    let (code, words) = try_to_serve(&estate, RESOURCES, |text| {
        text.replacen("tier: open", "tier: opne", 1)
            .replacen("upstream: demo", "upstream: dmeo", 1)
            .replace("[finance, admins]", "[finanse, admins]")
    })
    .await;
    assert_eq!(code, Some(2), "{words}");
    for place in [
        format!("resources.yaml:{wiki}:11"),
        format!("resources.yaml:{upstream}:15"),
        format!("resources.yaml:{group}:"),
        "`opne`".to_owned(),
        "`dmeo`".to_owned(),
        "`finanse`".to_owned(),
        "`finance`".to_owned(),
    ] {
        assert!(words.contains(&place), "{place} is missing:\n{words}");
    }

    let token = estate.read("tiergate.yaml").lines().position(|line| line.contains("token: {")).unwrap();
    let written_out = format!("(line {})", token + 1);
    type Change = fn(&str) -> String;
    let cases: [(&str, &str, Change, &str); 12] = [
        (
            "an unknown key",
            "tiergate.yaml",
            |text| text.replacen("sessions:", "sesions:", 1),
            "tiergate.yaml:",
        ),
        (
            "a secret in the file",
            "tiergate.yaml",
            |text| text.replacen("{ token: { file: admin.token } }", "{ token: hunter2-hunter2-hunter2 }", 1),
            &written_out,
        ),
        ("no version", "tiergate.yaml", |text| text.replacen("version: 1\n", "", 1), "tiergate.yaml"),
        (
            "a version that is not known",
            "tiergate.yaml",
            |text| text.replacen("version: 1\n", "version: 2\n", 1),
            "tiergate.yaml:",
        ),
        ("nothing", "tiergate.yaml", |_| String::new(), "tiergate.yaml"),
        ("what is not built", "policies/more.yaml", |_| "version: 1\nassertions: []\n".into(), "more.yaml:2"),
        (
            "a name twice",
            "policies/more.yaml",
            |_| "version: 1\ngroups:\n  finance: { any_of: [local:x] }\n".into(),
            "more.yaml:3",
        ),
        (
            "a host twice",
            "policies/more.yaml",
            |_| {
                "version: 1\nresources:\n  - { name: more, tier: open, hosts: [wiki.localhost], upstream: demo }\n".into()
            },
            "more.yaml:3",
        ),
        (
            "no hosts",
            "policies/more.yaml",
            |_| "version: 1\nresources:\n  - { name: more, tier: open, hosts: [], upstream: demo }\n".into(),
            "more.yaml:3",
        ),
        ("the wrong key", "certs/server.key", |_| String::new(), "server.key"),
        ("no list", "certs/mdm.crl", |_| "x".into(), "mdm.crl"),
        ("no users", "users.yaml", |_| "version: 1\n".into(), "users.yaml"),
    ];
    let mut wrong = Vec::new();
    for (what, file, change, place) in cases {
        let (code, words) = try_to_serve(&estate, file, change).await;
        let good = code == Some(2)
            && words.contains(place)
            && !words.contains("hunter2")
            && !words.contains("panicked");
        if !good {
            wrong.push(format!("{what}: exit code {code:?}, or {place} is missing:\n{words}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));

    // Mistakes of every kind in both kinds of file: none hides another.
    estate.rewrite(RESOURCES, "hosts: [wiki.localhost]", "hots: [wiki.localhost]");
    estate.rewrite(RESOURCES, "[finance, admins]", "[finanse, admins]");
    let (code, words) = try_to_serve(&estate, "tiergate.yaml", |text| {
        text.replace("audit: {", "audti: {")
            .replace("grants: issued", "grants: isued")
            .replace("idle_timeout: 30m", "idle_timeout: 30")
    })
    .await;
    assert_eq!(code, Some(2), "{words}");
    for said in ["`audti`", "`isued`", "`30`", "`hots`", "`finanse`"] {
        assert!(words.contains(said), "{said} is missing:\n{words}");
    }
    assert_eq!(words.matches("error[").count(), 5, "{words}");

    // No file at all, and how it is called.
    for arguments in
        [&["serve", "--config", "/nonexistent/tiergate.yaml"][..], &["serve", "--confg"], &["nonsense"]]
    {
        let output = run(&mut tiergate(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}
