//! Upstreams, and what bounds a client.

use super::resolve::Reader;
use super::{Limits, UpstreamConfig, UpstreamTls, raw};
use crate::diagnostic::did_you_mean;
use crate::text::name::{NAME_RULE, is_name};
use crate::text::yaml::{At, Entries, Key};
use std::collections::{BTreeMap, HashMap};

/// What a header's template may name, in braces.
pub const TEMPLATE_FIELDS: &[&str] = &[
    "user.name",
    "user.email",
    "user.groups",
    "device.id",
    "device.trust",
    "resource.name",
    "resource.tier",
    "request.id",
];

/// Headers that frame or route the request, or that tiergate sets itself.
const RESERVED_HEADERS: &[&str] = &[
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "cookie",
    "proxy-authorization",
    "proxy-connection",
    "x-request-id",
    "traceparent",
    "tracestate",
    "forwarded",
];

impl Reader<'_> {
    pub(super) fn upstreams(&mut self, key: Key<Entries<raw::Upstream>>) -> BTreeMap<String, UpstreamConfig> {
        let entries = key.0.map_or_else(Vec::new, |entries| {
            self.not_empty(At { value: entries.value.0, span: entries.span }, "upstreams")
        });
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in entries {
            if !is_name(&name.value) {
                let message = format!("`{}` is not a name for an upstream", name.value);
                self.error("Y0113", name.span.clone(), message, NAME_RULE);
            }
            let upstream = self.upstream(&name, upstream.value);
            upstreams.insert(name.value, upstream);
        }
        upstreams
    }

    fn upstream(&mut self, name: &At<String>, upstream: raw::Upstream) -> UpstreamConfig {
        // Destructured without `..`: see `raw`.
        let raw::Upstream {
            addresses,
            tls,
            http2,
            host,
            headers,
            connect_timeout,
            first_byte_timeout,
            idle_timeout,
        } = upstream;
        if !addresses.is_stated() {
            self.error("Y0105", name.span.clone(), "missing key `addresses`", "one or more of `host:port`");
        }
        let addresses = self.texts(addresses, "addresses");
        let mut seen = HashMap::new();
        for address in &addresses {
            self.address(address);
            self.once(address, "address", &mut seen);
        }
        if let Some(host) = &host.0 {
            let (bare, port) =
                host.value.split_once(':').map_or((host.value.as_str(), None), |(h, p)| (h, Some(p)));
            let port_fits = port.is_none_or(is_port);
            if crate::text::host::check(bare).is_err() || !port_fits {
                let message = format!("`{}` is not a value for `Host`", host.value);
                self.error("Y0111", host.span.clone(), message, "a host, lower case, with a port if need be");
            }
        }
        UpstreamConfig {
            addresses: addresses.into_iter().map(|address| address.value).collect(),
            tls: tls.0.and_then(|tls| match tls.value {
                raw::Switch::Off => None,
                raw::Switch::On(tls) => Some(self.upstream_tls(tls)),
            }),
            http2: http2.0.is_some_and(|http2| http2.value),
            host: host.0.map(|host| host.value),
            headers: self.headers(headers),
            connect_timeout: self.duration_or(connect_timeout, 5),
            first_byte_timeout: self.duration_or(first_byte_timeout, 60),
            idle_timeout: self.duration_or(idle_timeout, 300),
        }
    }

    fn upstream_tls(&mut self, tls: raw::UpstreamTls) -> UpstreamTls {
        let raw::UpstreamTls { ca, server_name, client } = tls;
        if let Some(name) = &server_name.0
            && let Err(error) = crate::text::host::check(&name.value)
            && name.value.parse::<std::net::IpAddr>().is_err()
        {
            self.error(
                "Y0111",
                name.span.clone(),
                format!("`{}` is not a host", name.value),
                error.to_string(),
            );
        }
        UpstreamTls {
            ca: ca.0.map(|text| self.path(&text)),
            server_name: server_name.0.map(|name| name.value),
            client: client.0.and_then(|pair| self.certificate(pair)),
        }
    }

    /// `host:port`, of a name, an IPv4 address or an IPv6 address in brackets.
    fn address(&mut self, text: &At<String>) {
        let fits = text.value.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() != 0)
            || text
                .value
                .rsplit_once(':')
                .is_some_and(|(host, port)| crate::text::host::check(host).is_ok() && is_port(port));
        if fits {
            return;
        }
        let label = if text.value.contains("://") {
            "write `host:port`; for https add `tls: true`"
        } else {
            "write `host:port`, such as `10.0.1.10:8080`, `app.internal:443` or `[2001:db8::1]:443`"
        };
        self.error("C0101", text.span.clone(), format!("`{}` is not an address", text.value), label);
    }

    fn headers(&mut self, key: Key<Entries<String>>) -> BTreeMap<String, String> {
        let entries = key.0.map_or_else(Vec::new, |entries| {
            self.not_empty(At { value: entries.value.0, span: entries.span }, "headers")
        });
        let mut headers = BTreeMap::new();
        let mut seen = HashMap::new();
        for (name, value) in entries {
            let lower = name.value.to_ascii_lowercase();
            if http::HeaderName::from_bytes(lower.as_bytes()).is_err() || lower.contains('_') {
                let message = format!("`{}` is not the name of a header", name.value);
                self.error("C0105", name.span.clone(), message, "letters, digits and `-`");
            } else if RESERVED_HEADERS.contains(&lower.as_str())
                || lower.starts_with("x-tiergate-")
                || lower.starts_with("x-forwarded-")
            {
                let message = format!("`{}` is set by tiergate itself", name.value);
                self.error(
                    "C0105",
                    name.span.clone(),
                    message,
                    "use another header, or the upstream's `host`",
                );
            }
            self.once(&name.with(lower), "header", &mut seen);
            self.template(&value);
            headers.insert(name.value, value.value);
        }
        headers
    }

    /// Visible ASCII, and known fields in braces.
    fn template(&mut self, value: &At<String>) {
        if value.value.len() > 1024 || !value.value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let label = "visible ASCII, at most 1024 bytes";
            self.error("C0105", value.span.clone(), "this is not the value of a header", label);
            return;
        }
        let mut rest = value.value.as_str();
        while let Some((_, open)) = rest.split_once('{') {
            let Some((field, behind)) = open.split_once('}') else {
                self.error("C0105", value.span.clone(), "a brace is not closed", "as in `{user.email}`");
                return;
            };
            if !TEMPLATE_FIELDS.contains(&field) {
                let label = did_you_mean(field, TEMPLATE_FIELDS.iter().copied())
                    .unwrap_or_else(|| format!("known: {}", TEMPLATE_FIELDS.join(", ")));
                self.error("C0105", value.span.clone(), format!("unknown field `{{{field}}}`"), label);
            }
            rest = behind;
        }
    }

    pub(super) fn limits(&mut self, key: Key<raw::Limits>) -> Limits {
        // Destructured without `..`: see `raw`.
        let raw::Limits {
            handshake_timeout,
            header_timeout,
            idle_timeout,
            stall_timeout,
            min_rate,
            max_headers,
            max_header_bytes,
            max_target_bytes,
            max_body_bytes,
            max_connections_per_address,
            max_connections,
            max_streams,
            drain_timeout,
        } = key.0.map(|at| at.value).unwrap_or_default();
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let known = Limits::default();
        Limits {
            handshake_timeout: self.duration_or(handshake_timeout, known.handshake_timeout.as_secs()),
            header_timeout: self.duration_or(header_timeout, known.header_timeout.as_secs()),
            idle_timeout: self.duration_or(idle_timeout, known.idle_timeout.as_secs()),
            stall_timeout: self.duration_or(stall_timeout, known.stall_timeout.as_secs()),
            min_rate: small(self.number(&min_rate, known.min_rate.into(), 1..=1_000_000_000)),
            max_headers: size(self.number(&max_headers, wide(known.max_headers), 16..=250)),
            max_header_bytes: size(self.number(
                &max_header_bytes,
                wide(known.max_header_bytes),
                4096..=1 << 20,
            )),
            max_target_bytes: size(self.number(
                &max_target_bytes,
                wide(known.max_target_bytes),
                256..=64 << 10,
            )),
            max_body_bytes: max_body_bytes
                .is_stated()
                .then(|| self.number(&max_body_bytes, u64::MAX, 1..=1 << 50)),
            max_connections_per_address: size(self.number(
                &max_connections_per_address,
                wide(known.max_connections_per_address),
                1..=1_000_000,
            )),
            max_connections: size(self.number(&max_connections, wide(known.max_connections), 1..=10_000_000)),
            max_streams: small(self.number(&max_streams, known.max_streams.into(), 1..=1000)),
            drain_timeout: self.duration_or(drain_timeout, known.drain_timeout.as_secs()),
        }
    }
}

/// A port, in digits: the standard library takes `+80` for a number too.
fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}
