//! The mirror of `tiergate.yaml`: its shape and nothing else. Every struct refuses unknown keys, and
//! every value has its place.

use crate::text::yaml::{At, Entries, Key, OneOrMany};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value};
use std::fmt;

/// One text or a list of them.
pub(super) type Texts = Key<OneOrMany<At<String>>>;

macro_rules! mirror {
    ($($(#[doc = $doc:literal])* $name:ident { $($field:ident: $type:ty,)* })+) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Default, Deserialize)]
            #[serde(deny_unknown_fields, default)]
            pub(super) struct $name { $(pub $field: $type,)* }
        )+
    };
}

mirror! {
    File {
        version: Key<String>,
        listen: Key<Listen>,
        tls: Key<Tls>,
        devices: Key<Devices>,
        workloads: Key<Workloads>,
        identity: Key<Identity>,
        sessions: Key<Sessions>,
        state: Key<PathOnly>,
        audit: Key<Audit>,
        admin: Key<Admin>,
        upstreams: Key<Entries<Upstream>>,
        policies: Key<String>,
        limits: Key<Limits>,
        logs: Key<Logs>,
    }
    Listen {
        https: Texts,
        http: Texts,
        admin: Key<String>,
        proxy_protocol: Key<ProxyProtocol>,
    }
    ProxyProtocol {
        from: Texts,
    }
    Tls {
        min_version: Key<String>,
        certificates: Key<Vec<At<Certificate>>>,
        hsts: Key<String>,
    }
    Certificate {
        cert: Key<String>,
        key: Key<String>,
    }
    Devices {
        authorities: Key<Vec<At<Authority>>>,
    }
    Authority {
        name: Key<String>,
        ca: Texts,
        grants: Key<String>,
        crl: Texts,
    }
    Workloads {
        trust_domains: Key<Vec<At<TrustDomain>>>,
    }
    TrustDomain {
        name: Key<String>,
        bundle: Key<String>,
    }
    Identity {
        login_host: Key<String>,
        providers: Key<Vec<At<Provider>>>,
    }
    Provider {
        name: Key<String>,
        title: Key<String>,
        r#type: Key<String>,
        users: Key<String>,
        issuer: Key<String>,
        client_id: Key<String>,
        client_secret: Key<Secret>,
        scopes: Texts,
        groups_claim: Key<String>,
        mfa_values: Texts,
        step_up_acr: Texts,
        bearer_audiences: Texts,
        ca: Key<String>,
    }
    Sessions {
        max_age: Key<String>,
        idle_timeout: Key<String>,
    }
    PathOnly {
        path: Key<String>,
    }
    Audit {
        path: Key<String>,
        on_failure: Key<OnFailure>,
    }
    OnFailure {
        high: Key<String>,
        low: Key<String>,
        open: Key<String>,
    }
    Admin {
        token: Key<Secret>,
    }
    Upstream {
        addresses: Texts,
        tls: Key<Switch<UpstreamTls>>,
        http2: Key<bool>,
        host: Key<String>,
        headers: Key<Entries<String>>,
        connect_timeout: Key<String>,
        first_byte_timeout: Key<String>,
        idle_timeout: Key<String>,
    }
    UpstreamTls {
        ca: Key<String>,
        server_name: Key<String>,
        client: Key<Certificate>,
    }
    Limits {
        handshake_timeout: Key<String>,
        header_timeout: Key<String>,
        idle_timeout: Key<String>,
        stall_timeout: Key<String>,
        min_rate: Key<u64>,
        max_headers: Key<u64>,
        max_header_bytes: Key<u64>,
        max_target_bytes: Key<u64>,
        max_body_bytes: Key<u64>,
        max_connections_per_address: Key<u64>,
        max_connections: Key<u64>,
        max_streams: Key<u64>,
        drain_timeout: Key<String>,
    }
    Logs {
        format: Key<String>,
        filter: Key<String>,
    }
    /// `{ file: … }` or `{ env: … }`.
    SecretKeys {
        file: Key<String>,
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
