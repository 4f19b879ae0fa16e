//! Single values of policy files: words, lists, durations, networks.

use super::names::shorten;
use super::resolve::Resolver;
use crate::access::Tier;
use crate::diagnostic::did_you_mean;
use crate::text::duration;
use crate::text::yaml::{At, Key};
use ipnet::IpNet;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

impl Resolver<'_> {
    /// A list that is stated is not empty: an empty one could mean everybody or nobody.
    pub fn list<T>(&mut self, file: usize, key: Key<Vec<At<T>>>, name: &str) -> Option<Vec<At<T>>> {
        let list = key.0?;
        if list.value.is_empty() {
            let message = format!("`{name}` is empty");
            self.error(
                file,
                "Y0108",
                list.span,
                message,
                "could mean all or nothing; say which, or leave the key out",
            );
        }
        Some(list.value)
    }

    /// The value of a key that must be there.
    pub fn needed<T>(&mut self, file: usize, key: Key<T>, name: &str, whole: &Range<usize>) -> Option<At<T>> {
        if key.0.is_none() {
            self.error(
                file,
                "Y0105",
                whole.clone(),
                format!("missing key `{name}`"),
                format!("`{name}` is needed here"),
            );
        }
        key.0
    }

    /// One of several words.
    pub fn word<T: Copy>(
        &mut self,
        file: usize,
        text: &At<String>,
        what: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let names = || words.iter().map(|(word, _)| *word);
            let label = did_you_mean(&text.value, names())
                .unwrap_or_else(|| names().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "));
            let message = format!("unknown {what} `{}`", shorten(&text.value));
            self.error(file, "Y0115", text.span.clone(), message, label);
        }
        found
    }

    /// A tier.
    pub fn tier(&mut self, file: usize, text: &At<String>) -> Option<Tier> {
        self.word(file, text, "tier", &Tier::ALL.map(|tier| (tier.as_str(), tier)))
    }

    /// A duration.
    pub fn duration(&mut self, file: usize, key: Key<String>) -> Option<Duration> {
        let text = key.0?;
        match duration::parse(&text.value) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let message = format!("`{}` is not a duration", shorten(&text.value));
                self.error(file, "Y0110", text.span, message, error.to_string());
                None
            }
        }
    }

    /// A duration of whole seconds: sessions and sign-ins are not timed finer.
    pub fn seconds(&mut self, file: usize, key: Key<String>) -> Option<Duration> {
        let span = key.0.as_ref().map_or(0..0, |text| text.span.clone());
        let duration = self.duration(file, key)?;
        if duration.subsec_nanos() != 0 {
            self.error(file, "Y0110", span, "this duration is of whole seconds", "round it to seconds");
        }
        Some(duration)
    }

    /// `mfa: required`, the only value there is.
    pub fn mfa(&mut self, file: usize, key: Key<String>) -> bool {
        key.0.is_some_and(|text| {
            self.word(file, &text, "value for `mfa`", &[("required", ())]);
            true
        })
    }

    /// A network: `10.0.0.0/8`, or one address. Bits behind the prefix would say something else than
    /// what is matched.
    pub fn network(&mut self, file: usize, text: &At<String>) -> Option<IpNet> {
        let written = text.value.as_str();
        // The address alone too: `010.0.0.0/8` is 10.0.0.0/8 to one reader and 8.0.0.0/8 to another.
        let is_plain = written.split('/').next().is_some_and(|address| address.parse::<IpAddr>().is_ok());
        let network = written.parse().ok().or_else(|| written.parse::<IpAddr>().map(IpNet::from).ok());
        let network: Option<IpNet> = network.filter(|_| is_plain);
        let label = match network {
            None => why_no_network(written),
            Some(IpNet::V6(v6)) if v6.addr().to_ipv4_mapped().is_some() => {
                "IPv4 addresses are matched as IPv4; write an IPv4 network".to_owned()
            }
            Some(network) if network.trunc() != network => {
                format!("has bits behind the prefix; did you mean `{}`?", network.trunc())
            }
            Some(network) => return Some(network),
        };
        let message = format!("`{}` is not a network", shorten(written));
        self.error(file, "Y0112", text.span.clone(), message, label);
        None
    }
}

/// What is wrong with a text that is neither a network nor an address.
fn why_no_network(text: &str) -> String {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    if let (Ok(address), Some(bits)) = (address.parse::<IpAddr>(), bits) {
        let most = if address.is_ipv4() { 32 } else { 128 };
        return if bits.parse::<u32>().is_ok_and(|bits| bits > most) {
            format!("its prefix has at most {most} bits")
        } else {
            format!("write the prefix in bits, from `/0` to `/{most}`")
        };
    }
    // `10.0.0/8`, as some programs write it.
    let missing = 4_usize.saturating_sub(address.split('.').count());
    let whole = format!("{address}{}/{}", ".0".repeat(missing), bits.unwrap_or_default());
    let meant = whole.parse::<IpNet>().ok().filter(|_| missing > 0);
    match meant {
        Some(meant) => format!("an IPv4 address has four numbers; did you mean `{}`?", meant.trunc()),
        None => "write a network such as `198.51.100.0/24` or `2001:db8::/32`, or one address".to_owned(),
    }
}
