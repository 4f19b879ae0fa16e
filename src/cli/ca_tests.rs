use super::*;
use clap::Parser;

const NOW: Timestamp = 1_800_000_000;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: CaArgs,
}

fn parsed(arguments: &[&str]) -> Result<CaArgs, clap::Error> {
    Cli::try_parse_from([&["ca"], arguments].concat()).map(|cli| cli.args)
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    for (arguments, good) in [
        (&["init"][..], true),
        (&["init", "--days", "0"], false),
        (&["init", "--days", "3651"], false),
        (&["issue", "a", "--authority", "mdm"], true),
        (&["issue", "a"], false),
        (&["issue", "a", "--authority", "hr"], false),
        (&["issue", "../a", "--authority", "mdm"], false),
        (&["issue", "corporate-ca", "--authority", "mdm"], false),
        (&["issue", "a", "--authority", "mdm", "--days", "826"], false),
        (&["revoke"], false),
        (&["revoke", "a"], true),
        (&["revoke", "a", "--authority", "mdm"], false),
        (&["revoke", "--serial", "4a"], false),
        (&["revoke", "--serial", "4a", "--authority", "mdm"], true),
        (&["revoke", "--serial", "4x", "--authority", "mdm"], false),
        (&["revoke", "a", "--serial", "4a", "--authority", "mdm"], false),
        (&["crl", "--days", "366"], false),
        (&["crl", "--dir", "x", "--format", "json"], true),
    ] {
        assert_eq!(parsed(arguments).is_ok(), good, "{arguments:?}");
    }
}

#[test]
fn every_answer_says_that_it_is_for_development_and_what_was_made() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("it's here").display().to_string();
    let secret = temporary.path().join("password");
    std::fs::write(&secret, "correct horse\nbattery\n").unwrap();
    let run = |arguments: &[&str]| {
        let args = parsed(&[arguments, &["--dir", &dir]].concat()).unwrap();
        answer(&args, NOW).map_err(|error| (error.code(), causes(&error)))
    };
    for (arguments, says) in [
        (&["init"][..], "- { name: corporate, ca: \"/"),
        (&["issue", "a", "--authority", "corporate"], "a: issued, by corporate, serial "),
        (
            &["issue", "b", "--authority", "mdm", "--password-file", secret.to_str().unwrap()],
            "is the one that you gave",
        ),
        (&["issue", "a", "--authority", "mdm", "--force"], "'\\''s here'"),
        (&["revoke", "a"], "mdm.crl: 1 certificate, number 1800000001, good until 2027-02-14T08:00:00Z"),
        (&["revoke", "a"], "was revoked before, 2027-01-15T08:00:00Z: nothing is changed"),
        (&["crl", "--days", "1"], "corporate.crl: 0 certificates, number 1800000001, good until 2027-01-16"),
    ] {
        let text = run(arguments).unwrap();
        assert!(text.contains(says), "{arguments:?}: `{says}` is missing:\n{text}");
        assert!(text.ends_with(&format!("{NOTICE}\n")), "{arguments:?}: {text}");
        assert!(!text.contains("correct horse"));
    }
    for arguments in
        [&["init", "--force"][..], &["issue", "c", "--authority", "mdm"], &["revoke", "c"], &["crl"]]
    {
        let text = run(&[arguments, &["--format", "json"]].concat()).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["notice"], NOT_FOR_PRODUCTION, "{answer}");
    }
    for (arguments, code) in [
        (&["init"][..], 1),
        (&["issue", "c", "--authority", "corporate"], 1),
        (&["revoke", "nobody"], 1),
        (&["revoke", "/nowhere/a.pem"], 1),
        (&["issue", "d", "--authority", "mdm", "--password-file", "/nowhere"], 2),
    ] {
        assert_eq!(run(arguments).map_err(|(code, _)| code), Err(code), "{arguments:?}");
    }
    std::fs::write(&secret, "short\n").unwrap();
    let weak = ["issue", "d", "--authority", "mdm", "--password-file", secret.to_str().unwrap()];
    assert_eq!(run(&weak).unwrap_err().0, 1);
    let nowhere = parsed(&["crl", "--dir", "/nowhere"]).unwrap();
    assert_eq!(answer(&nowhere, NOW).unwrap_err().code(), 2, "no folder");
}

#[test]
fn the_lines_for_the_configuration_are_yaml() {
    for (path, want) in
        [("certs/a.pem", "certs/a.pem"), ("/a b", "\"/a b\""), ("-a", "\"-a\""), ("a, b", "\"a, b\"")]
    {
        assert_eq!(in_yaml(path), want);
    }
}
