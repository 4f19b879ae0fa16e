use super::*;
use clap::Parser;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: DeviceArgs,
}

fn parse(line: &str) -> Result<Command, clap::error::ErrorKind> {
    let words = std::iter::once("device").chain(line.split(' '));
    Line::try_parse_from(words).map(|line| line.args.command).map_err(|error| error.kind())
}

#[test]
fn what_is_set_is_a_patch_and_something_must_be() {
    for (line, want) in [
        ("set a --state lost", json!({ "state": "lost" })),
        (
            "set a --owner ann --trust none --ownership personal --notes x",
            json!({ "owner": "ann", "trust": "none", "ownership": "personal", "notes": "x" }),
        ),
        (
            "set a --unset state --unset owner --trust issued",
            json!({ "state": null, "owner": null, "trust": "issued" }),
        ),
    ] {
        let Ok(Command::Call(Call::Set { said, .. })) = parse(line) else { panic!("{line}") };
        assert_eq!(Value::from(said.patch()), want, "{line}");
    }
    use clap::error::ErrorKind::{MissingRequiredArgument, ValueValidation};
    for (line, want) in [
        ("set a", MissingRequiredArgument),
        ("set a --reason because", MissingRequiredArgument),
        ("set a --state stolen", ValueValidation),
        ("set .. --state lost", ValueValidation),
        ("set é --state lost", ValueValidation),
        ("list --trust high", ValueValidation),
    ] {
        assert_eq!(parse(line).unwrap_err(), want, "{line}");
    }
}

#[test]
fn an_id_and_a_reason_are_one_part_of_an_address() {
    let reason: Comment = "50% & more".parse().unwrap();
    assert_eq!(path("a/b?c", Some(&reason)), "/api/v1/devices/a%2Fb%3Fc?reason=50%25%20%26%20more");
    assert_eq!(path("import", None), "/api/v1/devices/import");
}

#[test]
fn a_list_is_imported_as_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("devices.json");
    for (text, want) in [
        (
            "[\n  { \"id\": \"a\",\n \"notes\": \"x\\ny\" },\r\n {\"id\":\"b\"}]\n",
            "{ \"id\": \"a\",  \"notes\": \"x\\ny\" }\n{\"id\":\"b\"}\n",
        ),
        ("[]", ""),
        ("{\"id\":\"a\"}\n\n{\"id\":\"b\"}", "{\"id\":\"a\"}\n\n{\"id\":\"b\"}"),
    ] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(String::from_utf8(read(&file).unwrap()).unwrap(), want);
    }
    std::fs::write(&file, "[{]").unwrap();
    assert!(matches!(read(&file), Err(DeviceError::NotJson { .. })));
    assert!(matches!(read(folder.path()), Err(DeviceError::Read { .. })));
}
