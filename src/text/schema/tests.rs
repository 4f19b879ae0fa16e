use super::*;
use crate::text::{duration, host, method, name, prefix};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use schemars::JsonSchema;
use serde_json::json;

fn validator<K: JsonSchema>() -> jsonschema::Validator {
    let schema = K::json_schema(&mut schemars::SchemaGenerator::default());
    jsonschema::draft202012::new(schema.as_value()).unwrap()
}

/// As policies read it.
fn is_prefix(text: &str) -> bool {
    prefix::check(text).is_ok() && !prefix::covers(prefix::RESERVED, text)
}

fn is_seconds(text: &str) -> bool {
    duration::parse(text).is_ok_and(|duration| duration.subsec_nanos() == 0)
}

/// As policies and `tiergate.yaml` read it, but for the bits behind the prefix.
fn is_network(text: &str) -> bool {
    let is_address = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    is_address(text)
        || (text.parse::<ipnet::IpNet>().is_ok() && text.split('/').next().is_some_and(is_address))
}

#[test]
fn a_prefix_is_escaped_as_its_parser_wants_it_byte_for_byte() {
    let prefixes = validator::<Prefix>();
    for byte in 0..=255_u8 {
        for text in [format!("/a%{byte:02X}"), format!("/a%{byte:02x}"), format!("/%{byte:02X}")] {
            assert_eq!(prefixes.is_valid(&json!(text)), is_prefix(&text), "{text}");
        }
        let text = format!("/{}", char::from(byte));
        assert_eq!(prefixes.is_valid(&json!(text)), is_prefix(&text), "{text:?}");
    }
    let below = validator::<PrefixBelow>();
    assert!(prefixes.is_valid(&json!("/")) && !below.is_valid(&json!("/")) && below.is_valid(&json!("/a")));
}

#[test]
fn what_a_regular_expression_cannot_know_is_left_to_the_parser() {
    for (schema, text, parsed) in [
        (validator::<Duration>(), "3651d", duration::parse("3651d").is_ok()),
        (validator::<Text>(), "", false),
    ] {
        assert!(schema.is_valid(&json!(text)) && !parsed, "{text}");
    }
}

#[test]
fn a_text_that_yaml_reads_as_a_number_or_a_boolean_is_still_a_text() {
    for schema in [validator::<Name>(), validator::<Text>(), validator::<HostPattern>()] {
        assert!([json!(12), json!(1.5), json!(true)].iter().all(|value| schema.is_valid(value)));
        assert!([json!(null), json!([]), json!({})].iter().all(|value| !schema.is_valid(value)));
    }
    for schema in
        [validator::<Duration>(), validator::<SpiffeId>(), validator::<Prefix>(), validator::<Network>()]
    {
        assert!([json!(900), json!(true), json!(null)].iter().all(|value| !schema.is_valid(value)));
    }
}

#[test]
fn networks_are_those_that_are_read() {
    let networks = validator::<Network>();
    for text in [
        "0.0.0.0/0",
        "198.51.100.0/24",
        "198.51.100.7",
        "10.0.0.0/08",
        "::",
        "::1",
        "::/0",
        "1::",
        "2001:db8::/32",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "64:ff9b::1.2.3.4",
        "1:2:3:4:5:6:1.2.3.4",
        "::/128",
        "2001:DB8::/064",
    ] {
        let read = is_network(text);
        assert!(read && networks.is_valid(&json!(text)), "{text}");
    }
    for text in [
        "",
        "10.0.0.0/33",
        "10.0.0/8",
        "010.0.0.0/8",
        "256.0.0.1",
        "10.0.0.0/",
        "1:2:3",
        "1::2::3",
        ":1::",
        "1::2:",
        ":::",
        "::/129",
        "fe80::1%eth0",
        "offices",
        "*",
    ] {
        let read = is_network(text);
        assert!(!read && !networks.is_valid(&json!(text)), "{text}");
    }
}

/// Texts of one form: where `exactly`, schema and parser agree; elsewhere the schema takes what is parsed.
fn agree(schema: &jsonschema::Validator, parsed: fn(&str) -> bool, exactly: bool, form: &str) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let texts = proptest::string::string_regex(form).unwrap();
    runner
        .run(&texts, |text| {
            let (told, parsed) = (schema.is_valid(&json!(text)), parsed(&text));
            prop_assert!(
                if exactly { told == parsed } else { told || !parsed },
                "{:?} {} {}",
                text,
                told,
                parsed
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn each_schema_takes_what_its_parser_takes() {
    let host_form =
        "(\\*\\.)?([a-zA-Z0-9-]{1,3}|[a-z]{60,65}|[0-9]{1,2})([.:*_]([a-z0-9é-]{0,3}|[0-9]{1,3})){0,4}";
    agree(&validator::<Host>(), |text| host::check(text).is_ok(), true, host_form);
    agree(&validator::<HostPattern>(), |text| host::check_pattern(text).is_ok(), true, host_form);
    agree(&validator::<Name>(), name::is_name, true, "[a-zA-Z0-9._-]{0,70}|[a-z][a-z .:é]{0,3}");
    agree(&validator::<TrustDomainName>(), name::is_trust_domain, true, "[a-z0-9._-]{0,260}|[a-zA:/ ]{0,3}");
    let spiffe = "spiffe://[a-z0-9.A_-]{0,4}(/[a-zA-Z0-9._%-]{0,3}){0,3}|(https|SPIFFE)://a/b";
    agree(&validator::<SpiffeId>(), |text| name::spiffe_problem(text).is_none(), true, spiffe);
    let path = "/?(\\.tiergate/)?([a-zA-Z0-9._~%*;?#@!-]{0,4}/){0,3}[a-z.]{0,3}(%[0-9A-Fa-f]{2}){0,2}";
    agree(&validator::<Prefix>(), is_prefix, true, path);
    let time = "0{0,2}[0-9]{0,4}(ms|s|m|h|d|| s|min|D)";
    agree(&validator::<Duration>(), |text| duration::parse(text).is_ok(), false, time);
    agree(&validator::<Seconds>(), is_seconds, false, "[0-9]{0,2}(000|500)?(ms|s|m|h|d)?");
    let network =
        "([0-9]{1,3}\\.){3}[0-9]{1,3}(/[0-9]{1,3})?|[0-9a-f]{0,2}(::?[0-9a-f]{0,2}){1,8}(/[0-9]{1,3})?";
    agree(&validator::<Network>(), is_network, false, network);
    let method = "[A-Z-]{3,5}|(GET|get|HEAD|MERGE|VERSION-CONTROL|CONNECT|TRACE|X-PURGE)";
    agree(&validator::<Method>(), |text| method::check(text).is_ok(), true, method);
}
