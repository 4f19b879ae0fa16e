//! First contact: `tiergate demo`, what it prints and makes, `demo --check`, `check` and `user`.

mod support;

use std::path::Path;
use std::process::Command;
use support::estate::poll;
use support::port::free_port;
use support::process::{Process, run, signal, tiergate};
use support::visitor::Visitor;
use support::wait::until;
use support::{Device, Estate};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The files of a folder, by their path in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let name = entry.strip_prefix(folder).unwrap().display().to_string();
                all.push((name, std::fs::read(entry).unwrap()));
            }
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn each_of_the_three_commands_works_when_it_is_pasted_and_does_what_it_says() {
    let estate = Estate::start();
    let said = poll("it says what to try", || {
        let words = estate.words();
        (words.matches("curl ").count() >= 3).then_some(words)
    })
    .await;
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let commands: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("curl ")).collect();
    assert_eq!(commands.len(), 3, "{said}");
    let mut statuses = Vec::new();
    for at in commands {
        let promise = lines[at - 1];
        let output =
            run(Command::new("bash").arg("-c").arg(format!("{} --silent --show-error --include", lines[at])));
        let answer = text(&output.stdout);
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(promise.contains(&status), "`{promise}`, and it is {answer}{}", text(&output.stderr));
        statuses.push(status);
    }
    assert!(statuses.contains(&"200".to_owned()), "one of them is allowed: {statuses:?}");
    assert!(statuses.iter().any(|status| status.starts_with('4')), "and one is not: {statuses:?}");
    for host in ["wiki", "tickets", "payroll"] {
        let url = format!("https://{host}.localhost:{}/", estate.port);
        assert!(said.contains(&url), "{url}:\n{said}");
    }
    for password in estate.read("passwords.txt").lines() {
        let (_, password) = password.split_once(' ').unwrap();
        assert!(!said.contains(password), "passwords stay in their file");
    }
}

#[tokio::test]
async fn every_user_of_the_file_signs_in_and_gets_where_the_sample_policy_says() {
    let estate = Estate::start();
    let passwords = estate.read("passwords.txt");
    let names: Vec<&str> = passwords.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        ["admin@corp.example", "contractor@corp.example", "employee@corp.example", "finance@corp.example"]
    );
    assert!(passwords.lines().all(|line| line.split(' ').count() == 2), "{passwords}");

    for (user, wiki, tickets, payroll) in [
        ("employee@corp.example", 200, 200, 403),
        ("finance@corp.example", 200, 200, 200),
        ("contractor@corp.example", 200, 403, 403),
        ("admin@corp.example", 200, 200, 200),
    ] {
        let mut browser = Visitor::signed_in(&estate, Device::Issued, user).await;
        for (host, want) in [("wiki", wiki), ("tickets", tickets), ("payroll", payroll)] {
            assert_eq!(browser.open(host, "/headers").await.status, want, "{user} {host}");
        }
    }
}

#[tokio::test]
async fn the_certificates_can_be_used_as_the_documentation_says() {
    let estate = Estate::start();
    let said = poll("it says the password of the p12 files", || {
        let words = estate.words();
        words.contains("p12").then_some(words)
    })
    .await;
    let password = estate.read("certs/p12-password.txt").trim().to_owned();
    assert!(said.contains(&password), "{said}");
    for name in ["issued", "enrolled"] {
        let p12 = estate.at(&format!("certs/{name}.p12"));
        let mut openssl = Command::new("openssl");
        let openssl =
            openssl.args(["pkcs12", "-nodes", "-passin", &format!("pass:{password}"), "-in"]).arg(&p12);
        let output = run(openssl);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let contents = text(&output.stdout);
        assert!(contents.contains("BEGIN CERTIFICATE") && contents.contains("PRIVATE KEY"), "{name}");
        let leaf = estate.read(&format!("certs/{name}.pem"));
        let body = leaf.lines().nth(1).unwrap();
        assert!(contents.contains(body), "{name}: the same certificate as in the PEM file");
    }
    for name in
        ["ca", "issued", "enrolled", "revoked", "expired", "service", "server", "corporate-ca", "mdm-ca"]
    {
        let output = run(Command::new("openssl")
            .args(["x509", "-noout", "-subject", "-in"])
            .arg(estate.at(&format!("certs/{name}.pem"))));
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    }
    let hosts = run(Command::new("openssl")
        .args(["x509", "-noout", "-ext", "subjectAltName", "-in"])
        .arg(estate.at("certs/server.pem")));
    for host in ["wiki", "tickets", "payroll", "login"] {
        assert!(text(&hosts.stdout).contains(&format!("DNS:{host}.localhost")), "{}", text(&hosts.stdout));
    }
}

#[tokio::test]
async fn run_again_it_keeps_what_is_there() {
    let estate = Estate::start();
    estate.rewrite("policies/resources.yaml", "# Whoever is signed in.", "# Ours now.");
    let kept = |(name, _): &(String, Vec<u8>)| {
        !["state", "audit", "output.log", "again.log", "tiergate.yaml"]
            .iter()
            .any(|part| name.starts_with(part))
    };
    let before: Vec<_> = files(&estate.at("")).into_iter().filter(kept).collect();
    let config = estate.read("tiergate.yaml");
    let browser = Visitor::signed_in(&estate, Device::Issued, "finance@corp.example").await;
    let _again = Process::after_crash(&estate).await;
    let after: Vec<_> = files(&estate.at("")).into_iter().filter(kept).collect();
    let names = |all: &[(String, Vec<u8>)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    for (then, now) in before.iter().zip(&after) {
        assert!(then == now, "{} was changed", then.0);
    }
    // Only an address may differ.
    let later = estate.read("tiergate.yaml");
    let differing: Vec<_> = config.lines().zip(later.lines()).filter(|(then, now)| then != now).collect();
    assert!(differing.iter().all(|(_, now)| now.contains("# demo:")), "{differing:?}");
    let mut browser = browser;
    assert_eq!(browser.open("payroll", "/headers").await.status, 200);
}

#[tokio::test]
async fn the_check_walks_every_tier_and_sees_a_tier_that_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo").display().to_string();
    let check = || {
        let (listen, admin) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        run(&mut tiergate(&["demo", "--check", "--dir", &dir, "--listen", &listen, "--admin", &admin]))
    };
    let output = check();
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{table}{}", text(&output.stderr));
    for part in [
        "open",
        "low",
        "high",
        "wiki.localhost",
        "none",
        "enrolled",
        "issued",
        "revoked",
        "expired",
        "service",
        "200",
        "403",
    ] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    let resources = folder.path().join("demo/policies/resources.yaml");
    let good = std::fs::read_to_string(&resources).unwrap();
    for (from, to) in [("tier: high", "tier: low"), ("tier: low", "tier: open"), ("tier: open", "tier: high")]
    {
        std::fs::write(&resources, good.replacen(from, to, 1)).unwrap();
        let output = check();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{from} → {to}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        assert!(text(&output.stdout).contains("wrong"), "{from} → {to}: {}", text(&output.stdout));
    }
    // A mistake in the policy is not a difference from the rule: there was nothing to check.
    std::fs::write(&resources, good.replacen("tier: high", "teir: high", 1)).unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(2), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stderr).contains("resources.yaml:"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_ends_at_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo").display().to_string();
    for (listen, admin) in
        [("0.0.0.0:0", "127.0.0.1:0"), ("127.0.0.1:0", "0.0.0.0:0"), ("[::]:0", "127.0.0.1:0")]
    {
        let output = run(&mut tiergate(&["demo", "--dir", &dir, "--listen", listen, "--admin", admin]));
        assert_eq!(output.status.code(), Some(2), "{listen} {admin}: {}", text(&output.stderr));
        assert!(!Path::new(&dir).exists(), "nothing is made");
    }
    let estate = Estate::start();
    let mut process = Process::after_crash(&estate).await;
    signal(process.pid(), "INT");
    assert_eq!(process.ended().await.code(), Some(0), "{}", process.words());
}

#[test]
fn the_policy_is_checked_before_it_is_used() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&samples).unwrap().map(|entry| entry.unwrap()) {
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let dir = folder.path().display().to_string();
    let resources = folder.path().join("resources.yaml");
    let good = std::fs::read_to_string(&resources).unwrap();
    let line = |part: &str| 1 + good.lines().position(|line| line.contains(part)).unwrap();
    let open_admin = "    paths:\n      - { prefix: /public, tier: open }\n";
    let lowered = good.replacen(
        "hosts: [payroll.localhost]\n    upstream: demo\n",
        &format!("hosts: [payroll.localhost]\n    upstream: demo\n{open_admin}"),
        1,
    );
    for (what, text_of_file, code, says) in [
        ("the samples", good.clone(), 0, String::new()),
        (
            "a misspelt key",
            good.replacen("tier: open", "teir: open", 1),
            1,
            format!("resources.yaml:{}:", line("tier: open")),
        ),
        (
            "a misspelt group",
            good.replacen("[finance, admins]", "[finanse, admins]", 1),
            1,
            "`finance`".to_owned(),
        ),
        ("a tier lowered by a path", lowered, 1, "warning".to_owned()),
        ("no YAML", "{".to_owned(), 1, "resources.yaml:1".to_owned()),
        ("a tab", good.replacen("    tier: open", "\ttier: open", 1), 1, "resources.yaml:".to_owned()),
        ("nothing", String::new(), 1, "resources.yaml".to_owned()),
    ] {
        std::fs::write(&resources, text_of_file).unwrap();
        let output = run(&mut tiergate(&["check", &dir]));
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{what}: {said}");
        assert!(said.contains(&says), "{what}: {says} is missing:\n{said}");
        assert!(!said.contains('\u{1b}'), "{what}: colours only for a terminal");
        let output = run(&mut tiergate(&["check", &dir, "--format", "json"]));
        assert_eq!(output.status.code(), Some(code), "{what}");
        let document: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(document["ok"], code == 0, "{what}: {document}");
    }
    for arguments in [
        &["check", "/nonexistent"][..],
        &["check", "--nonsense"],
        &["check", &dir, "--format", "nonsense"],
        &[],
    ] {
        let output = run(&mut tiergate(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["check", "--help"]] {
        assert_eq!(run(&mut tiergate(arguments)).status.code(), Some(0), "{arguments:?}");
    }
}

#[tokio::test]
async fn users_are_added_and_changed_at_the_command_line_and_count_at_once() {
    let estate = Estate::start();
    let config = estate.at("tiergate.yaml").display().to_string();
    let user = |arguments: &[&str]| run(&mut tiergate(&[&["user", "--config", &config], arguments].concat()));
    let added = user(&["add", "new@corp.example", "--group", "finance", "--generate"]);
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    let listed = user(&["list"]);
    assert!(text(&listed.stdout).contains("new@corp.example"), "{listed:?}");
    assert!(!text(&listed.stdout).contains("argon2"), "no hash is shown");
    for arguments in [&["add", "new@corp.example", "--generate"][..], &["passwd", "nobody", "--generate"]] {
        assert_eq!(user(arguments).status.code(), Some(1), "{arguments:?}");
    }

    // What was made is what signs in. It is printed somewhere in what was said.
    let said = text(&added.stdout);
    let words: Vec<String> =
        said.split_whitespace().map(|word| word.trim_matches(['`', '"', '.', ':']).to_owned()).collect();
    let mut browser = Visitor::new(&estate, Device::Issued);
    let mut signed_in = false;
    until("the new user signs in", async || {
        for word in words.iter().filter(|word| word.len() >= 12 && !word.contains('@')) {
            let form = browser.open("payroll", "/headers").await;
            let sent = browser.submit(&form, &[("user", "new@corp.example"), ("password", word)]).await;
            if sent.status == 303 {
                signed_in = browser.follow(sent).await.status == 200;
                return true;
            }
        }
        false
    })
    .await;
    assert!(signed_in, "the group counts");

    // A second factor: the URL that an app takes is printed, and the code is asked for.
    let totp = user(&["totp", "new@corp.example"]);
    assert!(text(&totp.stdout).contains("otpauth://totp/"), "{totp:?}");
}
