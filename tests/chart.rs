//! The Helm chart, without Helm: its configuration is one that tiergate takes, and its templates read
//! what the values have.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tiergate::diagnostic::{Severity, Source, render_all};
use tiergate::policy::Known;

fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/tiergate").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(chart(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every template with its text.
fn templates() -> Vec<(String, String)> {
    let files = std::fs::read_dir(chart("templates")).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// What stands between double braces.
fn actions(text: &str) -> Vec<&str> {
    let rest = text.split("{{").skip(1);
    rest.map(|rest| rest.split_once("}}").expect("braces that are open").0.trim_matches(['-', ' '])).collect()
}

#[test]
fn the_chart_is_of_this_version() {
    let about = yaml("Chart.yaml");
    assert_eq!((&about["apiVersion"], &about["name"]), (&"v2".into(), &"tiergate".into()));
    assert_eq!(about["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn its_configuration_and_its_policies_are_ones_that_tiergate_takes() {
    let values = yaml("values.yaml");
    // JSON is YAML.
    let source = Source { path: "tiergate.yaml".into(), text: values["config"].to_string() };
    let config = tiergate::config::resolve(&source)
        .unwrap_or_else(|findings| panic!("{}", render_all(&findings, &[source], false)));
    let upstreams: Vec<_> = config.upstreams.keys().cloned().collect();
    let providers: Vec<_> = config.identity.providers.iter().map(|provider| provider.name.clone()).collect();
    let files = values["policies"].as_object().unwrap().iter();
    let files: Vec<_> = files
        .map(|(name, text)| Source { path: name.into(), text: text.as_str().unwrap().to_owned() })
        .collect();
    let known =
        Known { upstreams: &upstreams, providers: &providers, login_host: &config.identity.login_host };
    let (policy, findings) = tiergate::workbench::load(&files, Some(known));
    assert!(policy.is_some(), "{}", render_all(&findings, &files, false));
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");

    // What the pod opens, mounts and waits for is what the configuration says.
    let set = read("templates/statefulset.yaml");
    for (port, address) in [
        ("https", config.listen.https.first()),
        ("http", config.listen.http.first()),
        ("admin", config.listen.admin.as_ref()),
    ] {
        let port = format!("{{ name: {port}, containerPort: {} }}", address.unwrap().port());
        assert!(set.contains(&port), "{port}");
    }
    let mounts: Vec<&str> =
        set.split("mountPath: ").skip(1).map(|rest| rest.split([',', ' ']).next().unwrap()).collect();
    let pair = &config.tls.certificates[0];
    let authority = &config.authorities[0];
    let token = config.admin_token.as_ref().unwrap();
    let written = [&config.state, &config.audit.path];
    let named = [&pair.cert, &pair.key, &authority.ca[0], &authority.crl[0], token];
    for path in named.into_iter().chain(written) {
        let folder = path.parent().unwrap().to_str().unwrap();
        assert!(mounts.contains(&folder), "{} lies in no volume: {mounts:?}", path.display());
    }
    assert!(mounts.contains(&config.policies.to_str().unwrap()), "{mounts:?}");
    let grace = values["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > config.limits.drain_timeout.as_secs(), "a pod is killed before it has drained");
}

#[test]
fn templates_read_what_the_values_have_and_leave_out_nothing() {
    let values = yaml("values.yaml");
    let (mut read, mut missing) = (BTreeSet::new(), Vec::new());
    let templates = templates();
    assert!(templates.len() >= 4, "{templates:?}");
    for (file, text) in &templates {
        let mut open = 0;
        for action in actions(text) {
            let word = action.split(' ').next().unwrap();
            open += i32::from(["if", "with", "range", "define"].contains(&word));
            open -= i32::from(word == "end");
            for name in action.split([' ', '(', ')']).filter_map(|word| word.strip_prefix(".Values.")) {
                let pointer = format!("/{}", name.replace('.', "/"));
                if values.pointer(&pointer).is_none() {
                    missing.push(format!("{file}: .Values.{name}"));
                }
                read.insert(name.to_owned());
            }
            if let Some(name) = action.strip_prefix("include ") {
                let name = name.split('"').nth(1).unwrap();
                let define = format!("define \"{name}\"");
                assert!(templates.iter().any(|(_, text)| text.contains(&define)), "{file}: {name}");
            }
        }
        assert_eq!(open, 0, "{file}: a block is not closed");
    }
    assert_eq!(missing, Vec::<String>::new());
    // A value that nothing reads is a promise that nothing keeps.
    let is_read = |path: &str| read.iter().any(|name| path == name || path.starts_with(&format!("{name}.")));
    for (name, value) in values.as_object().unwrap() {
        match value.as_object().filter(|keys| !keys.is_empty() && !read.contains(name)) {
            Some(keys) => {
                for key in keys.keys() {
                    assert!(is_read(&format!("{name}.{key}")), "nothing reads {name}.{key}");
                }
            }
            None => assert!(is_read(name), "nothing reads {name}"),
        }
    }
}

#[test]
fn the_pod_may_do_nothing_but_serve() {
    let set = read("templates/statefulset.yaml");
    for line in [
        "runAsNonRoot: true",
        "allowPrivilegeEscalation: false",
        "readOnlyRootFilesystem: true",
        "capabilities: { drop: [ALL] }",
        "seccompProfile: { type: RuntimeDefault }",
        "automountServiceAccountToken: false",
    ] {
        assert_eq!(set.matches(line).count(), 1, "{line}");
    }
    // A key that the world can read is refused at the start.
    assert_eq!(set.matches("defaultMode: 0440").count(), set.matches("secretName:").count());
    let public = read("templates/services.yaml");
    let public = public.split("\n---\n").next().unwrap();
    assert!(!public.contains("admin"), "the admin listener is behind no public service");
}
