//! Tests of one pull: what is read of a device, and a device management that answers in every way.

mod fields;
pub(super) mod mdm;
mod pulls;

use crate::config::{self, SyncConfig};
use crate::diagnostic::{Source, render_all};
use std::path::PathBuf;
use std::sync::Arc;

/// What is configured by these keys of `devices.sync`.
pub(super) fn config(keys: &str) -> Arc<SyncConfig> {
    let text = format!(
        "version: 1
listen: {{ https: 127.0.0.1:8443 }}
tls: {{ certificates: [{{ cert: a.pem, key: a.key }}] }}
identity: {{ login_host: login.example, providers: [{{ name: local, type: local, users: users.yaml }}] }}
devices: {{ sync: {{ {keys} }} }}
"
    );
    let source = Source { path: PathBuf::from("/etc/tiergate/tiergate.yaml"), text };
    let config = config::resolve(&source)
        .unwrap_or_else(|findings| panic!("{}", render_all(&findings, &[source], false)));
    config.sync.unwrap()
}
