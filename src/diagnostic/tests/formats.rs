use super::*;
use serde_json::Value;

const TEXT: &str = "resources:\n  - name: é, tickets\n    tier: lo\n  - |\n    x\n    y\n";

/// One of each: with a second place, over several lines, of a whole file, of no file, silenced.
fn report() -> Report {
    let (path, other) = (PathBuf::from("./policies/a b,50%:c.yaml"), PathBuf::from("policies/é.yaml"));
    let find = |word: &str| TEXT.find(word).map(|at| at..at + word.len()).unwrap();
    let findings = vec![
        Diagnostic::error("P0108", &path, find("tickets"), "host `a,b` is 100%\r\nof two")
            .label("a host is one: resource")
            .also(&other, 0..9, "first stated here")
            .about(Some("tickets")),
        Diagnostic::new(
            Severity::Warning,
            "P0202",
            &path,
            find("|\n    x\n    y\n"),
            "group `x` is not used",
        ),
        Diagnostic::new(Severity::Note, "P0301", &other, 0..0, "the whole file"),
        Diagnostic::error("I0206", Path::new(""), 0..0, "no file at all"),
    ];
    let silenced =
        Diagnostic::new(Severity::Warning, "P0201", &path, find("lo"), "path `/a` lowers the tier")
            .about(Some("tickets"));
    Report {
        sources: [path, other].map(|path| Source { path, text: TEXT.to_owned() }).into(),
        findings,
        silenced: vec![Silenced { finding: silenced, reason: "public on purpose".to_owned() }],
        silenced_in_all: 1,
    }
}

fn pretty(document: &str) -> String {
    serde_json::to_string_pretty(&serde_json::from_str::<Value>(document).unwrap()).unwrap()
}

#[test]
fn workflow_commands_are_one_line_each_whatever_is_in_them() {
    insta::assert_snapshot!(github(&report()), @r#"
    ::error file=policies/a b%2C50%25%3Ac.yaml,line=2,col=14,endLine=2,endColumn=21,title=P0108::host `a,b` is 100%25%0D%0Aof two: a host is one: resource (first stated here: policies/é.yaml:1)
    ::warning file=policies/a b%2C50%25%3Ac.yaml,line=4,endLine=6,title=P0202::group `x` is not used
    ::notice file=policies/é.yaml,title=P0301::the whole file
    ::error title=I0206::no file at all
    2 errors, 1 warning, 1 note in 2 files (1 silenced)
    "#);
}

#[test]
fn the_document_for_programs_has_every_place() {
    insta::assert_snapshot!(pretty(&json(&report())), @r#"
    {
      "counts": {
        "error": 2,
        "note": 1,
        "silenced": 1,
        "warning": 1
      },
      "findings": [
        {
          "code": "P0108",
          "column": 14,
          "end_column": 21,
          "end_line": 2,
          "file": "./policies/a b,50%:c.yaml",
          "help": "docs/diagnostics.md#policies-p",
          "label": "a host is one: resource",
          "line": 2,
          "message": "host `a,b` is 100%\r\nof two",
          "related": {
            "column": 1,
            "end_column": 10,
            "end_line": 1,
            "file": "policies/é.yaml",
            "line": 1,
            "message": "first stated here"
          },
          "resource": "tickets",
          "severity": "error"
        },
        {
          "code": "P0202",
          "column": 5,
          "end_column": 6,
          "end_line": 6,
          "file": "./policies/a b,50%:c.yaml",
          "help": "docs/diagnostics.md#policies-p",
          "label": "",
          "line": 4,
          "message": "group `x` is not used",
          "severity": "warning"
        },
        {
          "code": "P0301",
          "file": "policies/é.yaml",
          "help": "docs/diagnostics.md#policies-p",
          "label": "",
          "message": "the whole file",
          "severity": "note"
        },
        {
          "code": "I0206",
          "file": "",
          "help": "docs/diagnostics.md#identity-i",
          "label": "",
          "message": "no file at all",
          "severity": "error"
        }
      ],
      "ok": false,
      "silenced": [
        {
          "code": "P0201",
          "column": 11,
          "end_column": 13,
          "end_line": 3,
          "file": "./policies/a b,50%:c.yaml",
          "help": "docs/diagnostics.md#policies-p",
          "label": "",
          "line": 3,
          "message": "path `/a` lowers the tier",
          "reason": "public on purpose",
          "resource": "tickets",
          "severity": "warning"
        }
      ]
    }
    "#);
}

#[test]
fn the_log_for_code_scanning_has_rules_places_and_what_was_silenced() {
    insta::assert_snapshot!(pretty(&sarif(&report())), @r#"
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "runs": [
        {
          "columnKind": "unicodeCodePoints",
          "results": [
            {
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "policies/a%20b%2C50%25%3Ac.yaml"
                    },
                    "region": {
                      "endColumn": 21,
                      "endLine": 2,
                      "startColumn": 14,
                      "startLine": 2
                    }
                  }
                }
              ],
              "message": {
                "text": "host `a,b` is 100%\r\nof two: a host is one: resource"
              },
              "partialFingerprints": {
                "primaryLocationLineHash": "a7b6ceb941baf549:1"
              },
              "relatedLocations": [
                {
                  "id": 1,
                  "message": {
                    "text": "first stated here"
                  },
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "policies/%C3%A9.yaml"
                    },
                    "region": {
                      "endColumn": 10,
                      "endLine": 1,
                      "startColumn": 1,
                      "startLine": 1
                    }
                  }
                }
              ],
              "ruleId": "P0108",
              "ruleIndex": 1
            },
            {
              "level": "warning",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "policies/a%20b%2C50%25%3Ac.yaml"
                    },
                    "region": {
                      "endColumn": 6,
                      "endLine": 6,
                      "startColumn": 5,
                      "startLine": 4
                    }
                  }
                }
              ],
              "message": {
                "text": "group `x` is not used"
              },
              "partialFingerprints": {
                "primaryLocationLineHash": "7a46f2461f719e5e:1"
              },
              "ruleId": "P0202",
              "ruleIndex": 3
            },
            {
              "level": "note",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "policies/%C3%A9.yaml"
                    }
                  }
                }
              ],
              "message": {
                "text": "the whole file"
              },
              "partialFingerprints": {
                "primaryLocationLineHash": "213c673fd5e6562e:1"
              },
              "ruleId": "P0301",
              "ruleIndex": 4
            },
            {
              "level": "error",
              "locations": [],
              "message": {
                "text": "no file at all"
              },
              "partialFingerprints": {
                "primaryLocationLineHash": "16487083b6540288:1"
              },
              "ruleId": "I0206",
              "ruleIndex": 0
            },
            {
              "level": "warning",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "policies/a%20b%2C50%25%3Ac.yaml"
                    },
                    "region": {
                      "endColumn": 13,
                      "endLine": 3,
                      "startColumn": 11,
                      "startLine": 3
                    }
                  }
                }
              ],
              "message": {
                "text": "path `/a` lowers the tier"
              },
              "partialFingerprints": {
                "primaryLocationLineHash": "c1e3e4b7b33ab8fb:1"
              },
              "ruleId": "P0201",
              "ruleIndex": 2,
              "suppressions": [
                {
                  "justification": "public on purpose",
                  "kind": "inSource",
                  "status": "accepted"
                }
              ]
            }
          ],
          "tool": {
            "driver": {
              "name": "tiergate",
              "rules": [
                {
                  "defaultConfiguration": {
                    "level": "error"
                  },
                  "help": {
                    "text": "an audience of the API's own\n\n`tiergate check --explain I0206`; docs/diagnostics.md#identity-i"
                  },
                  "id": "I0206",
                  "shortDescription": {
                    "text": "`bearer_audiences` has the client's own id, so that an ID token would be a bearer token"
                  }
                },
                {
                  "defaultConfiguration": {
                    "level": "error"
                  },
                  "help": {
                    "text": "one resource with `paths`\n\n`tiergate check --explain P0108`; docs/diagnostics.md#policies-p"
                  },
                  "id": "P0108",
                  "shortDescription": {
                    "text": "a host of two resources"
                  }
                },
                {
                  "defaultConfiguration": {
                    "level": "warning"
                  },
                  "help": {
                    "text": "make sure it is meant; a resource of its own says it more clearly\n\n`tiergate check --explain P0201`; docs/diagnostics.md#policies-p"
                  },
                  "id": "P0201",
                  "shortDescription": {
                    "text": "a path lowers the tier of what is around it"
                  }
                },
                {
                  "defaultConfiguration": {
                    "level": "warning"
                  },
                  "help": {
                    "text": "remove it, or use it\n\n`tiergate check --explain P0202`; docs/diagnostics.md#policies-p"
                  },
                  "id": "P0202",
                  "shortDescription": {
                    "text": "a group, network or service that nothing names"
                  }
                },
                {
                  "defaultConfiguration": {
                    "level": "note"
                  },
                  "help": {
                    "text": "add `HEAD` if it is meant\n\n`tiergate check --explain P0301`; docs/diagnostics.md#policies-p"
                  },
                  "id": "P0301",
                  "shortDescription": {
                    "text": "a `deny` of `GET` does not refuse `HEAD`"
                  }
                }
              ],
              "version": "0.1.0"
            }
          }
        }
      ],
      "version": "2.1.0"
    }
    "#);
}

#[test]
fn the_log_is_valid_with_and_without_findings() {
    // The pattern of a language has a bracket too many, which no strict reader of patterns takes.
    let schema = include_str!("../../../tests/vectors/sarif-schema-2.1.0.json").replace("{2}]?$", "{2}$");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let every_code = CODES.iter().map(|code| {
        Diagnostic::new(code.severity, code.id, Path::new("/etc/tiergate/a.yaml"), 0..1, code.meaning)
    });
    let every_code = Report { findings: every_code.collect(), ..report() };
    for report in [Report::default(), report(), every_code] {
        let log: Value = serde_json::from_str(&sarif(&report)).unwrap();
        let mistakes: Vec<_> = schema.iter_errors(&log).map(|error| error.to_string()).collect();
        assert_eq!(mistakes, Vec::<String>::new(), "{log}");
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), report.findings.len() + report.silenced.len());
        for result in results {
            let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[at]["id"], result["ruleId"]);
        }
    }
    // The schema refuses something.
    let broken: Value =
        serde_json::from_str(&sarif(&report()).replace("\"startLine\":3", "\"startLine\":0")).unwrap();
    assert!(!schema.is_valid(&broken));
}

/// The fingerprints of what is found at each `bad` of a text.
fn fingerprints(text: &str, private: bool) -> Vec<String> {
    let source = Source { path: "a.yaml".into(), text: text.to_owned() };
    let found = text.match_indices("bad").map(|(at, word)| {
        let finding = Diagnostic::error("P0102", &source.path, at..at + word.len(), "unknown group `bad`");
        if private { finding.in_private() } else { finding }
    });
    let report = Report { findings: found.collect(), sources: vec![source], ..Report::default() };
    let log: Value = serde_json::from_str(&sarif(&report)).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let print = |result: &Value| {
        result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().to_owned()
    };
    results.iter().map(print).collect()
}

#[test]
fn a_finding_keeps_its_fingerprint_when_its_line_moves() {
    let before = fingerprints("a: [bad]\nb: [bad]\nc: x\na: [bad]\n", false);
    let after = fingerprints("c: x\n# more\nb: [bad]\n\n  a: [bad]\r\na: [bad]\n", false);
    assert_eq!([&before[1], &before[0], &before[2]], [&after[0], &after[1], &after[2]]);
    let different: std::collections::BTreeSet<_> = before.iter().collect();
    assert_eq!(different.len(), 3, "{before:?}");
    assert!(before[2].ends_with(":2"), "the same line again is told by a count: {before:?}");
}

#[test]
fn a_line_that_may_hold_a_secret_is_in_no_format_and_in_no_fingerprint() {
    let text = "a: 1\npassword: hunter2\n";
    let source = Source { path: "users.yaml".into(), text: text.to_owned() };
    let finding =
        Diagnostic::error("I0106", &source.path, 15..22, "the password hash is not accepted").in_private();
    let report = Report { findings: vec![finding], sources: vec![source], ..Report::default() };
    for text in [human(&report, false), github(&report), json(&report), sarif(&report)] {
        assert!(text.contains("I0106") && !text.contains("hunter2"), "{text}");
        // Nor how long it is.
        assert!(!text.contains("18"), "{text}");
    }
    assert_eq!(fingerprints("password: bad1\n", true), fingerprints("password: bad2\n", true));
    assert_ne!(fingerprints("group: bad1\n", false), fingerprints("group: bad2\n", false));
}
