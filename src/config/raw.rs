//! The mirror of `tiergate.yaml`: its shape and nothing else. Every struct refuses unknown keys, and
//! every value has its place. What is said of a key here is what editors show.

use super::schema::{
    AdminToken, AtMost, Grants, Headers, HostOrAddress, Hsts, IdentityPlace, Issuer, JsonPointer, LogFormat,
    Meanings, Ocsp, OnFailed, ProviderType, Recorded, ResponderUrl, ServiceUrl, Socket, SyncPreset,
    TlsVersion, UpstreamAddress, UpstreamHost,
};
use crate::text::schema::{
    Count, Duration, End, FilePath, Flag, Host, Name, Network, ObjectIdentifier, Text, TrustDomainName,
    Version,
};
use crate::text::yaml::{At, Entries, Key, One, OneOrMany};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value};
use std::borrow::Cow;
use std::fmt;

/// One text or a list of them.
pub(super) type Texts = Key<OneOrMany<At<String>>>;

/// One or more places where a value may be.
pub(super) type Readings = Key<OneOrMany<At<Reading>>>;

macro_rules! mirror {
    ($($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* })+) => {
        $(
            #[derive(Debug, Default, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields, default)]
            $(#[$about])*
            pub(super) struct $name { $($(#[$field_about])* pub $field: $type,)* }
        )+
    };
}

mirror! {
    /// # tiergate.yaml
    /// How tiergate runs. `tiergate check --config` finds what this schema cannot.
    #[schemars(extend("required" = ["version", "listen", "tls", "identity"]))]
    File {
        /// The version of the format: 1.
        #[schemars(with = "Version")]
        version: Key<String>,
        /// Sockets. Changing them needs a restart.
        listen: Key<Listen>,
        /// What the public listener's TLS does.
        tls: Key<Tls>,
        /// Whose device certificates are believed, and what is known of devices. Default: nobody's, nothing.
        devices: Key<Devices>,
        /// Whose workload certificates are believed. Default: nobody's, so that no workload is known.
        workloads: Key<Workloads>,
        /// Who signs people in.
        identity: Key<Identity>,
        /// How long sessions last where the policy's `authentication` does not say.
        sessions: Key<Sessions>,
        /// What outlives a restart. Changing it needs a restart.
        state: Key<PathOnly>,
        /// The audit log.
        audit: Key<Audit>,
        /// The API of the admin listener. Default: it refuses everybody.
        admin: Key<Admin>,
        /// Where requests are forwarded to, by the names that resources use.
        upstreams: Key<Entries<Upstream>>,
        /// The folder with the policies, relative to this file. Default: policies.
        #[schemars(with = "FilePath")]
        policies: Key<String>,
        /// A second policy that decides every request too, and changes nothing. Default: none.
        shadow: Key<Shadow>,
        /// What no reload may do to people who are at work. Default: nothing is held back.
        reload_guard: Key<ReloadGuard>,
        /// What bounds a client. Tight by default.
        limits: Key<Limits>,
        /// Logs on stderr.
        logs: Key<Logs>,
    }
    /// Sockets.
    #[schemars(extend("required" = ["https"]))]
    Listen {
        /// The proxy: one or more of IP:PORT, such as 0.0.0.0:443.
        #[schemars(with = "OneOrMany<Socket>")]
        https: Texts,
        /// Redirects to https and forwards nothing: one or more of IP:PORT. Default: none.
        #[schemars(with = "OneOrMany<Socket>")]
        http: Texts,
        /// Health, metrics and API: IP:PORT, never on a public address. Default: none.
        #[schemars(with = "Socket")]
        admin: Key<String>,
        /// Balancers whose connections begin with a PROXY header. Default: none, so that the peer is the
        /// client.
        proxy_protocol: Key<ProxyProtocol>,
        /// Threads that serve requests. Default: one for each core that the process may use.
        #[schemars(with = "Count", range(min = 1, max = 1024))]
        workers: Key<u64>,
    }
    /// Balancers that say whom they speak for.
    #[schemars(extend("required" = ["from"]))]
    ProxyProtocol {
        /// One or more networks whose connections begin with a PROXY header, v1 or v2.
        #[schemars(with = "OneOrMany<Network>")]
        from: Texts,
    }
    /// What the public listener's TLS does.
    #[schemars(extend("required" = ["certificates"]))]
    Tls {
        /// "1.2" or "1.3"; forward secrecy always. Default: "1.2".
        #[schemars(with = "TlsVersion")]
        min_version: Key<String>,
        /// The certificates, chosen by SNI and reloaded when they change.
        certificates: Key<Vec<At<Certificate>>>,
        /// max-age of Strict-Transport-Security on tiergate's own answers, or `off`. Default: 365d.
        #[schemars(with = "Hsts")]
        hsts: Key<String>,
    }
    /// A certificate chain and its key, PEM.
    #[schemars(extend("required" = ["cert", "key"]))]
    Certificate {
        /// The chain, leaf first: a PEM file.
        #[schemars(with = "FilePath")]
        cert: Key<String>,
        /// The private key: a PEM file.
        #[schemars(with = "FilePath")]
        key: Key<String>,
    }
    /// Whose device certificates are believed, and what is known of devices.
    Devices {
        /// The authorities, each with the most that its certificates are trusted.
        authorities: Key<Vec<At<Authority>>>,
        /// What is known of each device. Default: nothing but what the admin API was told.
        inventory: Key<Inventory>,
        /// How old what is known of devices may be.
        evidence: Key<Evidence>,
        /// The device management whose list of devices is pulled into the inventory. Default: none.
        sync: Key<DeviceSync>,
    }
    /// How old what is known of devices may be, for each source.
    #[schemars(extend("minProperties" = 1))]
    Evidence {
        /// Revocation lists, from their `thisUpdate`. One past its `nextUpdate` is stale for `high` whatever
        /// is said here.
        crl: Key<Freshness>,
        /// Answers of OCSP responders, from their `thisUpdate`.
        ocsp: Key<Freshness>,
        /// The inventory, from the last sync, or where there is none from the last change of its file.
        inventory: Key<Freshness>,
    }
    /// How old one source may be.
    #[schemars(extend("minProperties" = 1))]
    Freshness {
        /// By tier. Default: for `high` as long as it holds by its own account, for `low` without limit.
        max_age: Key<MaxAge>,
        /// `deny`: what is too old closes the tier. `allow`: it is only shown in metrics and `/readyz`.
        /// Default: deny.
        #[schemars(with = "OnFailed")]
        on_stale: Key<String>,
    }
    /// By tier, the greatest age.
    #[schemars(extend("minProperties" = 1))]
    MaxAge {
        /// For resources of tier low. Default: no limit.
        #[schemars(with = "Duration")]
        low: Key<String>,
        /// For resources of tier high, at most what `low` says. Default: what `low` says.
        #[schemars(with = "Duration")]
        high: Key<String>,
    }
    /// A device management whose list of devices is pulled into the inventory.
    #[schemars(extend("required" = ["url"]), extend("allOf" = super::schema::ways_to_sync()))]
    DeviceSync {
        /// `fleet`, `jamf` or `intune`: how its list is asked for and read. Default: none, so that `items`,
        /// `next` and `map` say it.
        #[schemars(with = "SyncPreset")]
        preset: Key<String>,
        /// With a preset the server, such as `https://fleet.corp.example`; without one the list itself. https,
        /// or http on loopback. A query is sent along.
        #[schemars(with = "ServiceUrl")]
        url: Key<String>,
        /// Where the bearer token is kept, read at each pull.
        token: Key<Secret>,
        /// Instead of `token`: how a token is asked for at each pull (OAuth 2.0, RFC 6749 §4.4).
        client_credentials: Key<ClientCredentials>,
        /// From one pull to the next, a tenth more or less; at least 1m, or 1s on loopback. Default: 15m.
        #[schemars(with = "Duration")]
        interval: Key<String>,
        /// For each answer, from the first byte sent to the last received; at most 10m. Default: 30s.
        #[schemars(with = "Duration")]
        timeout: Key<String>,
        /// PEM authorities for its TLS, beside the platform's.
        #[schemars(with = "FilePath")]
        ca: Key<String>,
        /// Without a preset: where in an answer the list of devices is, a JSON Pointer. Default: the answer is
        /// the list.
        #[schemars(with = "JsonPointer")]
        items: Key<String>,
        /// Without a preset: where in an answer the address of the next page is, a JSON Pointer. Default: there
        /// is one page.
        #[schemars(with = "JsonPointer")]
        next: Key<String>,
        /// The most devices that a pull may miss of those that the last one knew: a share, such as 50%, or a
        /// number. One that misses more, or has none at all, is refused; 100% refuses none. Default: 50%.
        #[schemars(with = "AtMost")]
        max_drop: Key<String>,
        /// Where in a device's JSON its record is found. With a preset, what is stated here counts instead of
        /// the preset's.
        map: Key<SyncMap>,
    }
    /// How a token is asked for.
    #[schemars(extend("required" = ["token_url", "client_id", "client_secret"]))]
    ClientCredentials {
        /// The token endpoint: https, or http on loopback.
        #[schemars(with = "ServiceUrl")]
        token_url: Key<String>,
        /// The id of the client.
        #[schemars(with = "Text")]
        client_id: Key<String>,
        /// Where the secret of the client is kept, read at each pull.
        client_secret: Key<Secret>,
        /// Its scope, such as `https://graph.microsoft.com/.default`. Default: none is sent.
        #[schemars(with = "Text")]
        scope: Key<String>,
    }
    /// Where in a device's JSON its record is found: each a JSON Pointer, or `{ at: …, values: … }`, or several
    /// of them, of which the first that is there counts.
    #[schemars(extend("minProperties" = 1))]
    SyncMap {
        /// Its identity, as its certificate names it.
        id: Readings,
        /// A user name or an e-mail address.
        owner: Readings,
        /// Its operating system.
        platform: Readings,
        /// The version of that.
        os_version: Readings,
        /// When the management last heard of it.
        last_checkin: Readings,
        /// `corporate` or `personal`.
        ownership: Readings,
        /// `active`, `quarantined`, `retired` or `lost`.
        state: Readings,
        /// The most that it is trusted: `issued`, `enrolled` or `none`.
        trust: Readings,
        /// What holds for it, by the names that policies use.
        posture: Key<Entries<OneOrMany<At<Reading>>>>,
    }
    /// Where a value is, and what it means.
    #[schemars(extend("required" = ["at", "values"]))]
    ReadAt {
        /// A JSON Pointer into the device's JSON.
        #[schemars(with = "JsonPointer")]
        at: Key<String>,
        /// What each value means. One that is not listed says nothing.
        #[schemars(with = "Meanings")]
        values: Key<Entries<String>>,
    }
    /// What is known of each device.
    #[schemars(extend("required" = ["file"]))]
    Inventory {
        /// A file of records: YAML, or one JSON object a line where its name ends with `.ndjson` or `.jsonl`.
        #[schemars(with = "FilePath")]
        file: Key<String>,
    }
    /// An authority whose device certificates are believed, up to a stated trust.
    #[schemars(extend("required" = ["name", "ca", "grants"]))]
    Authority {
        /// Its unique name.
        #[schemars(with = "Name")]
        name: Key<String>,
        /// The authority and its intermediates: one or more PEM files.
        #[schemars(with = "OneOrMany<FilePath>")]
        ca: Texts,
        /// The most that its certificates are trusted: `issued` (company-issued and managed) or `enrolled`
        /// (managed).
        #[schemars(with = "Grants")]
        grants: Key<String>,
        /// Its revocation lists: one or more files, PEM or DER. Default: none, so that nothing is revoked.
        #[schemars(with = "OneOrMany<FilePath>")]
        crl: Texts,
        /// Purposes that its certificates must state beside `clientAuth`: one or more object identifiers.
        /// Default: none.
        #[schemars(with = "OneOrMany<ObjectIdentifier>")]
        eku: Texts,
        /// Extensions that its certificates must have, exactly once: object identifiers, or
        /// `{ oid: …, value: … }` where one must hold a text. Default: none.
        require_extension: Key<Vec<At<RequiredExtension>>>,
        /// The longest that one of its certificates may be valid. Default: no limit.
        #[schemars(with = "Duration")]
        max_lifetime: Key<String>,
        /// Where its certificates name the device: one or more places, of which the first that is there
        /// counts. Default: all, in the order of this list.
        #[schemars(with = "OneOrMany<IdentityPlace>")]
        identity: Texts,
        /// Whether its OCSP responder is asked, beside the requests. `soft`: without an answer that counts a
        /// device is at most `enrolled`; `hard`: it counts as none. Default: off.
        #[schemars(with = "Ocsp")]
        ocsp: Key<String>,
        /// Its OCSP responder. Default: the one that each certificate names.
        #[schemars(with = "ResponderUrl")]
        ocsp_url: Key<String>,
        /// `required`: a device that the inventory does not know is not trusted. Default: optional.
        #[schemars(with = "Recorded")]
        inventory: Key<String>,
    }
    /// An extension that must hold a text.
    #[schemars(extend("required" = ["oid"]))]
    ExtensionKeys {
        /// Its object identifier.
        #[schemars(with = "ObjectIdentifier")]
        oid: Key<String>,
        /// The text that it holds: the whole of it, or the whole of one DER string. Default: anything.
        #[schemars(with = "Text")]
        value: Key<String>,
    }
    /// Whose workload certificates are believed.
    Workloads {
        /// SPIFFE trust domains.
        trust_domains: Key<Vec<At<TrustDomain>>>,
    }
    /// A SPIFFE trust domain whose workload certificates are believed.
    #[schemars(extend("required" = ["name", "bundle"]))]
    TrustDomain {
        /// The trust domain, such as corp.example.
        #[schemars(with = "TrustDomainName")]
        name: Key<String>,
        /// Its authorities: a PEM file.
        #[schemars(with = "FilePath")]
        bundle: Key<String>,
    }
    /// Who signs people in.
    #[schemars(extend("required" = ["login_host", "providers"]))]
    Identity {
        /// The host where people sign in. No resource has it.
        #[schemars(with = "Host")]
        login_host: Key<String>,
        /// Identity providers, in the order that people see.
        providers: Key<Vec<At<Provider>>>,
    }
    /// An identity provider. The keys of one type are mistakes in the other.
    #[schemars(extend("required" = ["name", "type"]))]
    #[schemars(extend("allOf" = super::schema::keys_of_types()))]
    Provider {
        /// Its unique name: the part before the colon of a group's source in policies.
        #[schemars(with = "Name")]
        name: Key<String>,
        /// What people read on the sign-in page. Default: the name.
        #[schemars(with = "Text")]
        title: Key<String>,
        /// `local`: users in a file of its own; `oidc`: an OpenID provider.
        #[schemars(with = "ProviderType")]
        r#type: Key<String>,
        /// Of type local: the file with the users, which `tiergate user` changes.
        #[schemars(with = "FilePath")]
        users: Key<String>,
        /// Of type oidc: exactly the provider's issuer; https, or http on loopback.
        #[schemars(with = "Issuer")]
        issuer: Key<String>,
        /// Of type oidc: tiergate's id at the provider.
        #[schemars(with = "Text")]
        client_id: Key<String>,
        /// Of type oidc: where the secret of the client is kept. Default: none, a public client.
        client_secret: Key<Secret>,
        /// Of type oidc: one or more scopes beside `openid`. Default: email, profile.
        #[schemars(with = "OneOrMany<Text>")]
        scopes: Texts,
        /// Of type oidc: the claim with the user's groups. Default: groups.
        #[schemars(with = "Text")]
        groups_claim: Key<String>,
        /// Of type oidc: one or more `amr` or `acr` values that stand for more than one factor. Default: mfa,
        /// otp, hwk, sc, fido.
        #[schemars(with = "OneOrMany<Text>")]
        mfa_values: Texts,
        /// Of type oidc: one or more `acr_values` asked for in a step-up. Default: none.
        #[schemars(with = "OneOrMany<Text>")]
        step_up_acr: Texts,
        /// Of type oidc: one or more audiences of bearer tokens that are accepted from it. Default: none, no
        /// bearer tokens.
        #[schemars(with = "OneOrMany<Text>")]
        bearer_audiences: Texts,
        /// Of type oidc: PEM authorities for its TLS, beside the platform's.
        #[schemars(with = "FilePath")]
        ca: Key<String>,
    }
    /// How long sessions last where the policy does not say.
    Sessions {
        /// From sign-in to the end. Default: 12h.
        #[schemars(with = "Duration")]
        max_age: Key<String>,
        /// Without a request; at most `max_age`. Default: 30m.
        #[schemars(with = "Duration")]
        idle_timeout: Key<String>,
    }
    /// Where something is kept.
    #[schemars(extend("required" = ["path"]))]
    PathOnly {
        /// The folder. Default: /var/lib/tiergate.
        #[schemars(with = "FilePath")]
        path: Key<String>,
    }
    /// The audit log.
    Audit {
        /// The folder of the audit log. Default: /var/log/tiergate.
        #[schemars(with = "FilePath")]
        path: Key<String>,
        /// Whether requests are denied while the audit log cannot be written.
        on_failure: Key<OnFailure>,
    }
    /// What becomes of requests while the audit log cannot be written.
    OnFailure {
        /// For resources of tier high. Default: deny.
        #[schemars(with = "OnFailed")]
        high: Key<String>,
        /// For resources of tier low. Default: allow.
        #[schemars(with = "OnFailed")]
        low: Key<String>,
        /// For resources of tier open. Default: allow.
        #[schemars(with = "OnFailed")]
        open: Key<String>,
    }
    /// The API of the admin listener.
    #[schemars(extend("required" = ["token"]))]
    Admin {
        /// The file with the bearer token of the API: `{ file: … }`.
        #[schemars(with = "AdminToken")]
        token: Key<Secret>,
    }
    /// A named set of addresses that requests are forwarded to.
    #[schemars(extend("required" = ["addresses"]))]
    Upstream {
        /// One or more of host:port, tried in turn.
        #[schemars(with = "OneOrMany<UpstreamAddress>")]
        addresses: Texts,
        /// TLS to the upstream: `true`, `false`, or the keys of it. Default: false.
        tls: Key<Switch<UpstreamTls>>,
        /// `true`: HTTP/2, cleartext with prior knowledge or by ALPN. Default: false.
        #[schemars(with = "Flag")]
        http2: Key<bool>,
        /// `Host` as the upstream is sent it. Default: the client's.
        #[schemars(with = "UpstreamHost")]
        host: Key<String>,
        /// Further headers by name; values may have fields in braces, such as {user.email}.
        #[schemars(with = "Headers")]
        headers: Key<Entries<String>>,
        /// Connecting, TLS included. Default: 5s.
        #[schemars(with = "Duration")]
        connect_timeout: Key<String>,
        /// From the end of the request to the first byte of the answer. Default: 60s.
        #[schemars(with = "Duration")]
        first_byte_timeout: Key<String>,
        /// Between two reads or writes of a body or an upgraded connection. Default: 300s.
        #[schemars(with = "Duration")]
        idle_timeout: Key<String>,
    }
    /// TLS to the upstream.
    UpstreamTls {
        /// PEM authorities instead of the platform's.
        #[schemars(with = "FilePath")]
        ca: Key<String>,
        /// The name that its certificate must bear. Default: the address's host.
        #[schemars(with = "HostOrAddress")]
        server_name: Key<String>,
        /// The certificate and key shown to the upstream. Default: none.
        client: Key<Certificate>,
    }
    /// A second policy that decides every request too, and changes nothing.
    #[schemars(extend("required" = ["policies", "until"]))]
    Shadow {
        /// The folder with its files, relative to this file.
        #[schemars(with = "FilePath")]
        policies: Key<String>,
        /// When it ends: a day, such as 2026-12-01 (at its end, 00:00 UTC of the next), or a time, such as
        /// 2026-12-01T18:00:00Z.
        #[schemars(with = "End")]
        until: Key<String>,
    }
    /// What no reload may do to people who are at work.
    #[schemars(extend("minProperties" = 1))]
    ReloadGuard {
        /// The most active sessions that a reload may shut out: a share, such as 5%, or a number. Default: no
        /// limit.
        #[schemars(with = "AtMost")]
        max_sessions_denied: Key<String>,
        /// One or more groups of the policy of whom a reload may shut out nobody. Default: none.
        #[schemars(with = "OneOrMany<Text>")]
        protect: Texts,
    }
    /// What bounds a client.
    Limits {
        /// From accept to the end of the TLS handshake. Default: 10s.
        #[schemars(with = "Duration")]
        handshake_timeout: Key<String>,
        /// From the first byte of a request to the end of its headers. Default: 10s.
        #[schemars(with = "Duration")]
        header_timeout: Key<String>,
        /// Between requests on a connection. Default: 60s.
        #[schemars(with = "Duration")]
        idle_timeout: Key<String>,
        /// Between two reads of a body or writes of an answer. Default: 60s.
        #[schemars(with = "Duration")]
        stall_timeout: Key<String>,
        /// Bytes a second that a body must reach after ten seconds. Default: 240.
        #[schemars(with = "Count", range(min = 1, max = 1_000_000_000))]
        min_rate: Key<u64>,
        /// Header fields in a request. Default: 100.
        #[schemars(with = "Count", range(min = 16, max = 250))]
        max_headers: Key<u64>,
        /// Bytes of all header fields. Default: 65536.
        #[schemars(with = "Count", range(min = 4096, max = 1 << 20))]
        max_header_bytes: Key<u64>,
        /// Bytes of a request target. Default: 16384.
        #[schemars(with = "Count", range(min = 256, max = 64 << 10))]
        max_target_bytes: Key<u64>,
        /// Bytes of a request's body. Default: no limit.
        #[schemars(with = "Count", range(min = 1, max = 1_u64 << 50))]
        max_body_bytes: Key<u64>,
        /// Connections from one address at once. Default: 1024.
        #[schemars(with = "Count", range(min = 1, max = 1_000_000))]
        max_connections_per_address: Key<u64>,
        /// Connections in all at once. Default: 65536.
        #[schemars(with = "Count", range(min = 1, max = 10_000_000))]
        max_connections: Key<u64>,
        /// Concurrent streams of an HTTP/2 connection. Default: 100.
        #[schemars(with = "Count", range(min = 1, max = 1000))]
        max_streams: Key<u64>,
        /// Wait for requests in flight when stopping. Default: 30s.
        #[schemars(with = "Duration")]
        drain_timeout: Key<String>,
    }
    /// Logs on stderr.
    Logs {
        /// `text` or `json`. Default: text.
        #[schemars(with = "LogFormat")]
        format: Key<String>,
        /// A tracing filter, such as info or tiergate=debug,info. Default: info.
        #[schemars(with = "Text")]
        filter: Key<String>,
    }
    /// Where a secret is kept: `{ file: … }` or `{ env: … }`. It is never written out.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
    SecretKeys {
        /// The file with the secret.
        #[schemars(with = "FilePath")]
        file: Key<String>,
        /// The environment variable with the secret.
        #[schemars(with = "Text")]
        env: Key<String>,
    }
}

/// Where a secret is kept. One that is written out is dropped at once, never kept or shown.
#[derive(Debug)]
pub(super) enum Secret {
    Kept(SecretKeys),
    WrittenOut,
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`{ file: … }` or `{ env: … }`")
            }
            fn visit_str<E: Error>(self, _: &str) -> Result<Secret, E> {
                Ok(Secret::WrittenOut)
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
                Ok(Secret::WrittenOut)
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
                Ok(Secret::WrittenOut)
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
                Ok(Secret::WrittenOut)
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
                Ok(Secret::WrittenOut)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                SecretKeys::deserialize(value::MapAccessDeserializer::new(map)).map(Secret::Kept)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        SecretKeys::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        SecretKeys::json_schema(generator)
    }
}

/// An extension that must be there, whatever it holds, or with what it must hold.
#[derive(Debug)]
pub(super) enum RequiredExtension {
    Any(String),
    Holding(ExtensionKeys),
}

impl<'de> Deserialize<'de> for RequiredExtension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RequiredExtension;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object identifier or `{ oid: …, value: … }`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(RequiredExtension::Any(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let keys = ExtensionKeys::deserialize(value::MapAccessDeserializer::new(map));
                keys.map(RequiredExtension::Holding)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for RequiredExtension {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RequiredExtension".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (any, holding) =
            (generator.subschema_for::<ObjectIdentifier>(), generator.subschema_for::<ExtensionKeys>());
        json_schema!({ "anyOf": [any, holding] })
    }
}

/// Where a value is: a JSON Pointer, or a mapping that also says what it means.
#[derive(Debug)]
pub(super) enum Reading {
    At(String),
    Mapped(ReadAt),
}

impl One for Reading {
    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self::At(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Reading;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON Pointer such as `/serial`, or `{ at: …, values: … }`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Reading, E> {
                Ok(Reading::At(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reading, A::Error> {
                ReadAt::deserialize(value::MapAccessDeserializer::new(map)).map(Reading::Mapped)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Reading {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Reading".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pointer = generator.subschema_for::<JsonPointer>();
        json_schema!({ "anyOf": [pointer, generator.subschema_for::<ReadAt>()] })
    }
}

/// `true`, `false`, or a mapping with more.
#[derive(Debug)]
pub(super) enum Switch<T> {
    Off,
    On(T),
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Either<T> {
            type Value = Switch<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a mapping")
            }
            fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
                Ok(if on { Switch::On(T::default()) } else { Switch::Off })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(value::MapAccessDeserializer::new(map)).map(Switch::On)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Switch_of_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, generator.subschema_for::<T>()] })
    }
}
