//! Where the attacks take place: an estate with a recording upstream behind every tier.

use crate::support::audit::reason;
use crate::support::raw::{Exchange, exchange};
use crate::support::{Browser, Device, Estate, Recorder, Seen, Tls, find, replace};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The request that must never be one of its own.
pub const SMUGGLED: &[u8] = b"GET /open/smug HTTP/1.1\r\nHost: app.localhost\r\n\r\n";

/// How long a row waits for its audit line before it is called missing.
const AUDIT_WAIT: Duration = Duration::from_secs(5);

/// The hosts that all of this is about; `lost.localhost` is in the certificate and in no policy.
const HOSTS: &[&str] = &["app.localhost", "mixed.localhost", "other.localhost", "lost.localhost"];

/// What must become of an attack.
#[derive(Clone, Copy)]
pub enum Want {
    /// Refused with one of these statuses for one of these reasons; nothing reaches the upstream.
    Refused(&'static [u16], &'static [&'static str]),
    /// The same, and the connection is closed: where the next request begins is in doubt.
    RefusedAndClosed(&'static [u16], &'static [&'static str]),
    /// Answered by tiergate itself, as a denial or not; nothing reaches the upstream.
    AnsweredHere(&'static [u16], &'static [&'static str]),
    /// It passes as one request, of which this holds.
    Passes(fn(&Seen) -> bool),
}

/// Both readings are possible, so neither is chosen.
pub const AMBIGUOUS: Want = Want::Refused(&[400], &["ambiguous_request"]);
/// Where the request ends is in doubt as well.
pub const MISFRAMED: Want = Want::RefusedAndClosed(&[400], &["ambiguous_request"]);
/// Understood, and not allowed from here.
pub const NO_DEVICE: Want = Want::Refused(&[403], &["device_required"]);
pub const NOT_SIGNED_IN: Want = Want::Refused(&[401], &["not_signed_in"]);

pub struct Scene {
    pub estate: Estate,
    pub upstream: Recorder,
    /// An employee without a device.
    pub employee: Browser,
}

impl Scene {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With changes to `tiergate.yaml`.
    pub async fn with(change: impl FnOnce(&mut Value)) -> Self {
        let (estate, upstream) = (Estate::start(), Recorder::start().await);
        estate.issue_server("apps", HOSTS);
        estate.edit("tiergate.yaml", |config| {
            let certificates = config["tls"]["certificates"].as_array_mut().unwrap();
            certificates.push(json!({ "cert": "certs/apps.pem", "key": "certs/apps.key" }));
            config["upstreams"]["recorder"] = json!({ "addresses": [upstream.address.to_string()] });
            change(config);
        });
        let crowd: Vec<_> = (0..200).map(|n| format!("h{n}.crowd.localhost")).collect();
        let policy = json!({ "version": 1, "resources": [
            { "name": "app", "tier": "high", "hosts": ["app.localhost"], "upstream": "recorder", "paths": [
                { "prefix": "/open", "tier": "open" }, { "prefix": "/low", "tier": "low" }, { "prefix": "/high", "tier": "high" }] },
            { "name": "mixed", "tier": "open", "hosts": ["mixed.localhost"], "upstream": "recorder", "paths": [
                { "prefix": "/high", "tier": "high" }] },
            { "name": "other", "tier": "open", "hosts": ["other.localhost"], "upstream": "recorder" },
            { "name": "crowd", "tier": "open", "hosts": crowd, "upstream": "recorder" },
        ]});
        estate.write("policies/attacks.yaml", &policy.to_string());
        estate.reload();
        let hosts = ["app.localhost", "mixed.localhost", "other.localhost"];
        let employee = Browser::signed_in(&estate, Device::None, "employee", &hosts).await;
        Self { estate, upstream, employee }
    }

    /// Fills in what an attack refers to: `{H}` the host and cookie lines, `{C}` the cookie line, `{h}` the
    /// authority, `{S}` the smuggled request; `{M}` and `{m}` are those of `mixed.localhost`.
    pub fn fill(&self, text: &[u8]) -> Vec<u8> {
        let (app, mixed) = (self.authority("app.localhost"), self.authority("mixed.localhost"));
        let cookie = |host: &str| format!("Cookie: {}\r\n", self.employee.cookie(host).unwrap());
        let lines = |host: &str| format!("Host: {}\r\n{}", self.authority(host), cookie(host));
        let mut bytes = replace(text, b"{H}", lines("app.localhost").as_bytes());
        for (token, value) in [
            ("{C}", cookie("app.localhost")),
            ("{h}", app),
            ("{M}", lines("mixed.localhost")),
            ("{m}", mixed),
            ("{P}", self.estate.port.to_string()),
        ] {
            bytes = replace(&bytes, token.as_bytes(), value.as_bytes());
        }
        replace(&bytes, b"{S}", SMUGGLED)
    }

    pub fn authority(&self, host: &str) -> String {
        format!("{host}:{}", self.estate.port)
    }

    /// Forgets what came before, so that what is seen next belongs to one attack.
    pub fn clear(&self) -> crate::support::audit::Mark {
        self.upstream.clear();
        self.estate.mark()
    }

    /// The decisions since, waited for until there are so many or it has been long enough.
    pub async fn decisions(&self, mark: &crate::support::audit::Mark, at_least: usize) -> Vec<Value> {
        let deadline = Instant::now() + AUDIT_WAIT;
        loop {
            let events = self.estate.decisions_after(mark);
            if events.len() >= at_least || Instant::now() > deadline {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends an attack on a connection of its own to `app.localhost`, without a device.
    pub async fn attack(&self, text: &[u8], want: Want) -> Result<(), String> {
        self.attack_as("app.localhost", Device::None, text, want).await
    }

    pub async fn attack_as(&self, sni: &str, device: Device, text: &[u8], want: Want) -> Result<(), String> {
        let mark = self.clear();
        let stream = self.estate.connect(sni, device, Tls::H1).await;
        let seen = exchange(stream, &self.fill(text), 1).await;
        let events = self.decisions(&mark, 1).await;
        self.judge(&seen, &events, want)
    }

    pub fn judge(&self, seen: &Exchange, events: &[Value], want: Want) -> Result<(), String> {
        let requests = self.upstream.requests();
        let complaints = self.upstream.complaints();
        let account = || {
            let upstream = self.upstream.bytes().escape_ascii().to_string();
            let events: Vec<_> =
                events.iter().map(|e| format!("{} {} {}", e["status"], e["reason"], e["path"])).collect();
            format!(
                "answers {:?}, closed {}, audit {events:?}, upstream {upstream:?}",
                seen.statuses(),
                seen.closed
            )
        };
        let fail = |what: &str| Err(format!("{what}: {}", account()));
        if !complaints.is_empty()
            || find(&self.upstream.bytes(), b"/smug").is_some() && !passes_body(&requests)
        {
            return fail(&format!("smuggled, or not plain {complaints:?}"));
        }
        let [event] = events else { return fail("not one audit line") };
        match want {
            Want::Refused(statuses, reasons)
            | Want::RefusedAndClosed(statuses, reasons)
            | Want::AnsweredHere(statuses, reasons) => {
                if !statuses.contains(&seen.status()) || seen.answers.len() != 1 {
                    return fail(&format!("wanted {statuses:?}"));
                }
                if !self.upstream.bytes().is_empty() {
                    return fail("something reached the upstream");
                }
                if !reasons.contains(&reason(event)) {
                    return fail(&format!("wanted the reason {reasons:?}"));
                }
                if event["decision"] == "allow" && !matches!(want, Want::AnsweredHere(..)) {
                    return fail("refused, and the audit says `decision: allow`");
                }
                if event["status"] != seen.status() {
                    return fail("the audit has another status");
                }
                if matches!(want, Want::RefusedAndClosed(..)) && !seen.closed {
                    return fail("the connection is still open");
                }
            }
            Want::Passes(holds) => {
                let [request] = &requests[..] else { return fail("wanted one request upstream") };
                if seen.status() != 200 || event["decision"] != "allow" || reason(event) != "allowed" {
                    return fail("wanted it to pass");
                }
                if !holds(request) {
                    return fail("not as it should be upstream");
                }
            }
        }
        Ok(())
    }
}

/// Whether the smuggled request is where it may be: in a body.
fn passes_body(requests: &[Seen]) -> bool {
    requests.iter().all(|seen| !seen.target.contains("smug"))
        && requests.iter().any(|seen| find(&seen.body, b"/smug").is_some())
}

/// What went wrong in a table; empty where nothing did.
#[derive(Default)]
pub struct Failures(Vec<String>);

impl Failures {
    pub fn note(&mut self, row: &str, result: Result<(), String>) {
        if let Err(what) = result {
            self.0.push(format!("{row}: {what}"));
        }
    }

    pub fn check(&mut self, row: &str, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.note(row, Err(what()));
        }
    }

    /// Ends the test.
    pub fn none(self) {
        assert!(self.0.is_empty(), "{} rows differ:\n{}", self.0.len(), self.0.join("\n"));
    }
}
