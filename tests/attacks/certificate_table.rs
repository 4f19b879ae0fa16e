//! What a certificate is worth on a low and on a high resource, over both versions of TLS. The session is
//! of the very key that each certificate is for, so that nothing but the certificate is missing.

use super::scene::{Failures, Scene};
use crate::support::pki::{Ca, client_params, shown, shown_with_chain};
use crate::support::raw::exchange;
use crate::support::{Browser, Device, Tls};
use rcgen::{CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use time::{Duration, OffsetDateTime};

/// What must be seen: statuses and reasons on the low and the high resource, and what the audit says of
/// the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Want {
    /// The handshake ends: nobody's key was proved, or nothing can be parsed.
    NoHandshake,
    Seen {
        low: (u16, &'static str),
        high: (u16, &'static str),
        trust: &'static str,
        why: Option<&'static str>,
    },
}

/// It counts as none, for this reason.
pub const fn none(why: &'static str) -> Want {
    Want::Seen { low: (403, why), high: (403, why), trust: "none", why: Some(why) }
}

pub const ISSUED: Want =
    Want::Seen { low: (200, "allowed"), high: (200, "allowed"), trust: "issued", why: None };
pub const ENROLLED: Want =
    Want::Seen { low: (200, "allowed"), high: (403, "device_not_issued"), trust: "enrolled", why: None };
/// Its evidence is old: the high tier closes, the low one stays open.
pub const STALE: Want = Want::Seen {
    low: (200, "allowed"),
    high: (503, "evidence_stale"),
    trust: "enrolled",
    why: Some("evidence_stale"),
};
/// The same where the authority's responder must have answered.
pub const STALE_HARD: Want = Want::Seen {
    low: (503, "evidence_stale"),
    high: (503, "evidence_stale"),
    trust: "none",
    why: Some("evidence_stale"),
};
/// A device of its own: trusted, and the session is of another.
pub const ANOTHER_DEVICE: Want = Want::Seen {
    low: (401, "session_device_changed"),
    high: (401, "session_device_changed"),
    trust: "issued",
    why: None,
};

/// Status and reason; the device's trust and why it is not more.
type Asked = ((u16, &'static str), (&'static str, Option<&'static str>));

pub struct Table {
    pub scene: Scene,
    /// The key of every certificate, and of the session.
    pub key: KeyPair,
    cookie: String,
    pub failures: Failures,
}

impl Table {
    pub async fn start(authorities: Vec<(&str, Vec<&[u8]>, Value)>) -> Self {
        let scene = Scene::start().await;
        let estate = &scene.estate;
        let mut listed = Vec::new();
        for (name, certificates, options) in authorities {
            let mut authority = options;
            authority["name"] = json!(name);
            authority["ca"] = json!(estate.authority_file(name, &certificates));
            authority["grants"] = authority.get("grants").cloned().unwrap_or(json!("issued"));
            listed.push(authority);
        }
        estate.edit("tiergate.yaml", |config| {
            config["devices"]["authorities"].as_array_mut().unwrap().extend(listed);
        });
        estate.reload();
        let key = estate.device_key();
        let browser = Browser::signed_in(estate, Device::Issued, "employee", &["app.localhost"]).await;
        let cookie = browser.cookie("app.localhost").unwrap();
        Self { scene, key, cookie, failures: Failures::default() }
    }

    pub async fn row(&mut self, id: &str, shown: &CertifiedKey, want: Want) {
        for tls in [Tls::H1, Tls::H1_OVER_12] {
            let seen = self.seen(shown, tls).await;
            let held = match seen {
                Ok(seen) if seen == want => Ok(()),
                Ok(seen) => Err(format!("wanted {want:?}, saw {seen:?}")),
                Err(what) => Err(format!("wanted {want:?}: {what}")),
            };
            self.failures.note(&format!("{id} {:?}", tls.version), held);
        }
    }

    /// Asks for a low and a high resource, each on a connection of its own.
    async fn seen(&self, shown: &CertifiedKey, tls: Tls) -> Result<Want, String> {
        let (low, high) = (self.asked(shown, tls, "/low/x").await?, self.asked(shown, tls, "/high/x").await?);
        match (low, high) {
            (None, None) => Ok(Want::NoHandshake),
            (Some((low, of_low)), Some((high, of_high))) if of_low == of_high => {
                Ok(Want::Seen { low, high, trust: of_high.0, why: of_high.1 })
            }
            (low, high) => Err(format!("{low:?} and {high:?}")),
        }
    }

    /// Status and reason, and the device's trust and reason in the audit; `None` where the handshake ends.
    async fn asked(&self, shown: &CertifiedKey, tls: Tls, path: &str) -> Result<Option<Asked>, String> {
        let mark = self.scene.clear();
        let estate = &self.scene.estate;
        let config = Arc::new(estate.tls_showing(Some(shown.clone()), tls));
        let host = self.scene.authority("app.localhost");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.cookie
        );
        // With TLS 1.3 the client is done before the server has looked at its certificate.
        let statuses = match estate.try_connect("app.localhost", &config).await {
            Ok(stream) => exchange(stream, request.as_bytes(), 1).await.statuses(),
            Err(_) => Vec::new(),
        };
        let events = self.scene.decisions(&mark, statuses.len()).await;
        let reached = self.scene.upstream.requests().len();
        // To compare with words of the table.
        let word = |value: &Value| value.as_str().map(|text| &*text.to_owned().leak());
        match (&statuses[..], &events[..]) {
            ([], []) if reached == 0 => Ok(None),
            ([status], [event]) if reached == usize::from(*status == 200) => {
                let trust = word(&event["device_trust"]).unwrap_or("none");
                let reason = word(&event["reason"]).unwrap_or("");
                Ok(Some(((*status, reason), (trust, word(&event["device_reason"])))))
            }
            _ => {
                Err(format!("{path}: {statuses:?}, {reached} reached the upstream, {} events", events.len()))
            }
        }
    }

    /// The same, for a certificate about which somebody has to be asked first.
    pub async fn row_in_time(&mut self, id: &str, shown: &CertifiedKey, want: Want) {
        for tls in [Tls::H1, Tls::H1_OVER_12] {
            let deadline = Instant::now() + crate::support::DEADLINE;
            while self.seen(shown, tls).await != Ok(want) && Instant::now() < deadline {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        self.row(id, shown, want).await;
    }

    pub fn show(&self, authority: &Ca, change: impl FnOnce(&mut CertificateParams)) -> CertifiedKey {
        shown(authority.sign(&leaf(change), &self.key), &self.key)
    }

    pub fn show_below(
        &self,
        authority: &Ca,
        between: &[&Ca],
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertifiedKey {
        let mut chain = vec![authority.sign(&leaf(change), &self.key)];
        chain.extend(between.iter().map(|ca| ca.der.clone()));
        shown_with_chain(chain, &self.key)
    }
}

pub fn leaf(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = client_params("laptop-1");
    change(&mut params);
    params
}

pub fn named(params: &mut CertificateParams, name: &str) {
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
}

pub fn in_days(days: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(days)
}

/// The attestation extension of the authority `attested`.
pub fn class(value: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], value.to_vec())
}

pub fn purposes(purposes: Vec<ExtendedKeyUsagePurpose>) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.extended_key_usages = purposes
}
