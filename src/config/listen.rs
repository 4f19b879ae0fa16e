//! Sockets, TLS, and whose workload certificates are believed.

use super::resolve::Reader;
use super::{CertificateFiles, Listen, Tls, TrustDomain, raw};
use crate::text::name::is_trust_domain;
use crate::text::yaml::{At, Key};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A year: what browsers ask for before they remember a host for good.
const HSTS: Duration = Duration::from_hours(365 * 24);

impl Reader<'_> {
    pub(super) fn listen(&mut self, listen: At<raw::Listen>) -> Listen {
        let raw::Listen { https, http, admin, proxy_protocol, workers } = listen.value;
        let mut seen = HashMap::new();
        if !https.is_stated() {
            self.error("C0104", listen.span, "there is no https listener", "add `https: [0.0.0.0:443]`");
        }
        let https = self.texts(https, "https");
        let http = self.texts(http, "http");
        let mut sockets = |list: &[At<String>], reader: &mut Self| -> Vec<SocketAddr> {
            list.iter().filter_map(|text| reader.socket(text, &mut seen)).collect()
        };
        let https = sockets(&https, self);
        let http = sockets(&http, self);
        let admin = admin.0.and_then(|text| sockets(&[text], self).pop());
        let proxy_protocol = proxy_protocol.0.map_or_else(Vec::new, |proxy| {
            let raw::ProxyProtocol { from } = proxy.value;
            if !from.is_stated() {
                self.error(
                    "Y0105",
                    proxy.span,
                    "missing key `from`",
                    "name the balancers: `from: [10.0.9.0/24]`",
                );
            }
            let from = self.texts(from, "from");
            from.iter().filter_map(|text| self.network(text)).collect()
        });
        let stated = workers.is_stated();
        let workers = usize::try_from(self.number(&workers, 1, 1..=1024)).ok().filter(|_| stated);
        Listen { https, http, admin, proxy_protocol, workers }
    }

    fn socket(
        &mut self,
        text: &At<String>,
        seen: &mut HashMap<String, std::ops::Range<usize>>,
    ) -> Option<SocketAddr> {
        let Ok(address) = text.value.parse::<SocketAddr>() else {
            let message = format!("`{}` is not an address to listen on", text.value);
            let label = "write an IP address and a port, such as `0.0.0.0:443` or `[::]:443`";
            self.error("C0101", text.span.clone(), message, label);
            return None;
        };
        // Port 0 is a free one, each time another.
        if address.port() != 0 {
            self.once(&text.with(address.to_string()), "address", seen);
        }
        Some(address)
    }

    fn network(&mut self, text: &At<String>) -> Option<IpNet> {
        // The address alone too: `010.0.0.0/8` is 10.0.0.0/8 to one reader and 8.0.0.0/8 to another.
        let is_plain = text.value.split('/').next().is_some_and(|it| it.parse::<IpAddr>().is_ok());
        let network = text.value.parse().ok().or_else(|| text.value.parse::<IpAddr>().map(IpNet::from).ok());
        let network: Option<IpNet> = network.filter(|_| is_plain);
        let label = match network {
            Some(network) if network.trunc() == network => return Some(network),
            Some(network) => format!("has bits behind the prefix; did you mean `{}`?", network.trunc()),
            None => "write a network such as `10.0.9.0/24`, or one address".to_owned(),
        };
        self.error("Y0112", text.span.clone(), format!("`{}` is not a network", text.value), label);
        None
    }

    pub(super) fn tls(&mut self, tls: At<raw::Tls>) -> Tls {
        let raw::Tls { min_version, certificates, hsts } = tls.value;
        let only_tls13 = min_version.0.is_some_and(|text| {
            self.word(&text, "TLS version", &[("1.2", false), ("1.3", true)]).unwrap_or(true)
        });
        let certificates = self.needed(certificates, "certificates", tls.span);
        let certificates = certificates.map_or_else(Vec::new, |list| self.not_empty(list, "certificates"));
        let certificates = certificates.into_iter().filter_map(|pair| self.certificate(pair)).collect();
        let hsts = match hsts.0 {
            None => Some(HSTS),
            Some(text) if text.value == "off" => None,
            Some(text) => self.duration(&text),
        };
        Tls { only_tls13, certificates, hsts }
    }

    pub(super) fn certificate(&mut self, pair: At<raw::Certificate>) -> Option<CertificateFiles> {
        let raw::Certificate { cert, key } = pair.value;
        let cert = self.needed(cert, "cert", pair.span.clone()).map(|text| self.path(&text));
        let key = self.needed(key, "key", pair.span).map(|text| self.path(&text));
        Some(CertificateFiles { cert: cert?, key: key? })
    }

    pub(super) fn trust_domains(&mut self, workloads: raw::Workloads) -> Vec<TrustDomain> {
        let raw::Workloads { trust_domains } = workloads;
        let list = trust_domains.0.map_or_else(Vec::new, |list| self.not_empty(list, "trust_domains"));
        let mut seen = HashMap::new();
        let mut domains = Vec::with_capacity(list.len());
        for At { value: raw::TrustDomain { name, bundle }, span } in list {
            let name = self.needed(name, "name", span.clone());
            if let Some(name) = &name {
                if !is_trust_domain(&name.value) {
                    let label = "lower-case letters, digits, `-`, `_` and `.`, without `spiffe://`";
                    self.error(
                        "Y0113",
                        name.span.clone(),
                        format!("`{}` is not a trust domain", name.value),
                        label,
                    );
                }
                self.once(name, "trust domain", &mut seen);
            }
            let bundle = self.needed(bundle, "bundle", span).map(|text| self.path(&text));
            if let (Some(name), Some(bundle)) = (name, bundle) {
                domains.push(TrustDomain { name: name.value, bundle });
            }
        }
        domains
    }

    /// A number within its range, or the default.
    pub(super) fn number(
        &mut self,
        key: &Key<u64>,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> u64 {
        let Some(number) = &key.0 else { return default };
        if range.contains(&number.value) {
            return number.value;
        }
        let label = format!("from {} to {}", range.start(), range.end());
        self.error("C0106", number.span.clone(), format!("`{}` is out of range", number.value), label);
        default
    }
}
