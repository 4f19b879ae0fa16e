//! `tiergate.yaml`: how tiergate runs. From text to a typed [`Config`].

mod at_most;
mod authority;
mod evidence;
mod identity;
mod listen;
mod raw;
mod rehearsal;
mod resolve;
mod schema;
mod sync;
mod upstreams;

pub use at_most::AtMost;
pub use authority::{Authority, Identities, IdentityKind, Ocsp, RequiredExtension, is_responder};
pub use evidence::{EvidenceLimits, Freshness};
pub use rehearsal::{ReloadGuard, ShadowConfig};
pub use resolve::{policies_folder, resolve};
pub use schema::schema;
pub use sync::{FieldMap, Paging, Pointer, Reading, SyncConfig, SyncCredentials};
pub use upstreams::TEMPLATE_FIELDS;

use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A secret that was read from a file or the environment. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret, without the line end that files have.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is kept; read when it is needed first and at every reload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretSource {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// How tiergate runs. Paths are absolute or relative to the working directory: those in the file,
/// which are relative to it, were joined with its folder.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sockets.
    pub listen: Listen,
    /// What the public listener's TLS does.
    pub tls: Tls,
    /// Whose device certificates are believed.
    pub authorities: Vec<Authority>,
    /// How old what is known of devices may be.
    pub evidence: EvidenceLimits,
    /// What is known of each device.
    pub inventory_file: Option<PathBuf>,
    /// The device management whose list of devices is pulled into the inventory.
    pub sync: Option<Arc<SyncConfig>>,
    /// Whose workload certificates are believed.
    pub trust_domains: Vec<TrustDomain>,
    /// Who signs people in.
    pub identity: Identity,
    /// How long sessions last where the policy does not say.
    pub sessions: Sessions,
    /// Where what must outlive a restart is kept.
    pub state: PathBuf,
    /// The audit log.
    pub audit: Audit,
    /// The file with the admin listener's bearer token.
    pub admin_token: Option<PathBuf>,
    /// Named sets of addresses that requests are forwarded to.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// The folder with the policies.
    pub policies: PathBuf,
    /// The policy that is rehearsed beside them.
    pub shadow: Option<ShadowConfig>,
    /// What a reload is held to.
    pub reload_guard: Option<ReloadGuard>,
    /// What bounds a client.
    pub limits: Limits,
    /// Logs.
    pub logs: Logs,
}

/// Sockets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    /// The proxy, over TLS.
    pub https: Vec<SocketAddr>,
    /// Redirects to https; forwards nothing.
    pub http: Vec<SocketAddr>,
    /// Health, metrics and API.
    pub admin: Option<SocketAddr>,
    /// Balancers that send a PROXY protocol header; empty where none does.
    pub proxy_protocol: Vec<IpNet>,
    /// Threads that serve requests; `None` for one for each core.
    pub workers: Option<usize>,
}

/// What the public listener's TLS does.
#[derive(Clone, Debug)]
pub struct Tls {
    /// TLS 1.3 only.
    pub only_tls13: bool,
    /// Chosen by SNI.
    pub certificates: Vec<CertificateFiles>,
    /// `max-age` of Strict-Transport-Security on tiergate's own answers; `None` leaves it out.
    pub hsts: Option<Duration>,
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A SPIFFE trust domain whose workload certificates are believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustDomain {
    /// Such as `corp.example`.
    pub name: String,
    /// Its authorities, PEM.
    pub bundle: PathBuf,
}

/// Who signs people in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The host where people sign in.
    pub login_host: String,
    /// In the order shown to people.
    pub providers: Vec<Provider>,
}

/// One identity provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its unique name: the part before the colon of a group's source.
    pub name: String,
    /// What people read on the sign-in page.
    pub title: String,
    /// What it is.
    pub kind: ProviderKind,
}

/// What an identity provider is.
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// Users in a file of tiergate's own.
    Local {
        /// `users.yaml`.
        users: PathBuf,
    },
    /// An OpenID provider.
    Oidc(Box<OidcConfig>),
}

/// An OpenID provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OidcConfig {
    /// The exact issuer.
    pub issuer: String,
    /// The client's id there.
    pub client_id: String,
    /// The client's secret there.
    pub client_secret: Option<SecretSource>,
    /// Beyond `openid`; default `email`, `profile`.
    pub scopes: Vec<String>,
    /// The claim with the user's groups; default `groups`.
    pub groups_claim: String,
    /// `amr` and `acr` values that stand for more than one factor; default `mfa`, `otp`, `hwk`, `sc`, `fido`.
    pub mfa_values: Vec<String>,
    /// The `acr_values` asked for in a step-up.
    pub step_up_acr: Vec<String>,
    /// PEM authorities for its TLS, beside the platform's.
    pub ca: Option<PathBuf>,
    /// The audiences of bearer tokens that are accepted from it; empty: none are.
    pub bearer_audiences: Vec<String>,
}

/// How long sessions last where the policy does not say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sessions {
    /// From sign-in to the end.
    pub max_age: Duration,
    /// Without a request.
    pub idle_timeout: Duration,
}

/// The audit log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Audit {
    /// The folder.
    pub path: PathBuf,
    /// Whether a resource of this tier is denied while the log cannot be written.
    pub deny_on_failure: OnFailure,
}

/// Whether a resource of each tier is denied while the audit log cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OnFailure {
    /// Default true.
    pub high: bool,
    /// Default false.
    pub low: bool,
    /// Default false.
    pub open: bool,
}

/// A named set of addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamConfig {
    /// `host:port`, tried in turn.
    pub addresses: Vec<String>,
    /// TLS to the upstream.
    pub tls: Option<UpstreamTls>,
    /// Speak HTTP/2 to it (cleartext with prior knowledge, or by ALPN).
    pub http2: bool,
    /// `Host` as the upstream is sent it; the client's where `None`.
    pub host: Option<String>,
    /// Extra headers by template, such as `{user.email}`.
    pub headers: BTreeMap<String, String>,
    /// Connecting, TLS included. Default 5 s.
    pub connect_timeout: Duration,
    /// From the end of the request to the first byte of the answer. Default 60 s.
    pub first_byte_timeout: Duration,
    /// Between two reads or writes of a body or an upgraded connection. Default 300 s.
    pub idle_timeout: Duration,
}

/// TLS to an upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamTls {
    /// PEM authorities instead of the platform's.
    pub ca: Option<PathBuf>,
    /// The name its certificate must bear; the address's host where `None`.
    pub server_name: Option<String>,
    /// The certificate and key that tiergate shows.
    pub client: Option<CertificateFiles>,
}

/// What bounds a client. Tight by default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// From accept to the end of the TLS handshake. Default 10 s.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its headers. Default 10 s.
    pub header_timeout: Duration,
    /// Between requests on a connection that is kept alive. Default 60 s.
    pub idle_timeout: Duration,
    /// Between two reads of a request's body or writes of an answer. Default 60 s.
    pub stall_timeout: Duration,
    /// Bytes a second that a body must reach after ten seconds. Default 240.
    pub min_rate: u32,
    /// Header fields in a request. Default 100.
    pub max_headers: usize,
    /// Bytes of all header fields. Default 64 KiB.
    pub max_header_bytes: usize,
    /// Bytes of a request target. Default 16 KiB.
    pub max_target_bytes: usize,
    /// Bytes of a request's body; no limit where `None`.
    pub max_body_bytes: Option<u64>,
    /// Connections from one address at once. Default 1024.
    pub max_connections_per_address: usize,
    /// Connections in all. Default 65536.
    pub max_connections: usize,
    /// Concurrent streams of an HTTP/2 connection. Default 100.
    pub max_streams: u32,
    /// Wait for requests in flight when stopping. Default 30 s.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            stall_timeout: Duration::from_mins(1),
            min_rate: 240,
            max_headers: 100,
            max_header_bytes: 64 << 10,
            max_target_bytes: 16 << 10,
            max_body_bytes: None,
            max_connections_per_address: 1024,
            max_connections: 65_536,
            max_streams: 100,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Logs on stderr.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logs {
    /// JSON lines instead of text.
    pub json: bool,
    /// A `tracing` filter such as `info`.
    pub filter: String,
}

#[cfg(test)]
mod tests;
