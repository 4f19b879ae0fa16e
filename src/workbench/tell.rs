//! Hypothetical requests and whom they are made by, in words and as a command that can be pasted.

use super::hypothetical::Hypothetical;
use crate::access::DeviceTrust;
use crate::policy::{Policy, Who, within};
use crate::text::duration;
use std::fmt::Write as _;
use std::net::IpAddr;

impl Hypothetical {
    /// `GET https://ledger.corp.example/export`.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { method, host, path, .. } = self;
        format!("{method} https://{host}{path}")
    }

    /// Who asks, in words: `somebody in `finance` on an enrolled device`.
    #[must_use]
    pub fn asker(&self, policy: &Policy) -> String {
        let mut text = match &self.who {
            Who::Nobody => "somebody who is not signed in".to_owned(),
            Who::Service(service) => {
                let name = service.and_then(|service| policy.service(service)).map(|service| &service.name);
                name.map_or_else(|| "an unknown service".to_owned(), |name| format!("service `{name}`"))
            }
            Who::User { groups, .. } => {
                let names: Vec<_> = groups.iter().filter_map(|group| policy.group_name(group)).collect();
                if names.is_empty() {
                    "somebody in no group".to_owned()
                } else {
                    format!("somebody in `{}`", names.join("`, `"))
                }
            }
        };
        if !matches!(self.who, Who::Service(_)) {
            text.push_str(match self.device {
                DeviceTrust::None => ", on no trusted device",
                DeviceTrust::Enrolled => ", on an enrolled device",
                DeviceTrust::Issued => ", on an issued device",
            });
        }
        if let Who::User { mfa, auth_age, .. } = &self.who {
            if *mfa {
                text.push_str(", with a second factor");
            }
            if !auth_age.is_zero() {
                let _ = write!(text, ", {} after signing in", duration::write(*auth_age));
            }
        }
        if let Some(network) = network_of(policy, self.client) {
            let _ = write!(text, ", from `{network}`");
        }
        text
    }

    /// The arguments of `tiergate explain` that decide the same request.
    #[must_use]
    pub fn arguments(&self, policy: &Policy) -> String {
        let mut text = String::new();
        match &self.who {
            Who::Nobody => {}
            Who::Service(service) => {
                let name = service.and_then(|service| policy.service(service)).map(|service| &service.name);
                let _ = write!(text, "--service {} ", name.map_or("unknown", String::as_str));
            }
            Who::User { groups, mfa, auth_age } => {
                let names: Vec<_> = groups.iter().filter_map(|group| policy.group_name(group)).collect();
                if names.is_empty() {
                    text.push_str("--user somebody ");
                } else {
                    let _ = write!(text, "--groups {} ", names.join(","));
                }
                if *mfa {
                    text.push_str("--mfa ");
                }
                if !auth_age.is_zero() {
                    let _ = write!(text, "--auth-age {} ", duration::write(*auth_age));
                }
            }
        }
        if self.device > DeviceTrust::None {
            let _ = write!(text, "--device {} ", self.device);
        }
        if network_of(policy, self.client).is_some() {
            let _ = write!(text, "--from {} ", self.client);
        }
        text.push_str(&self.line());
        text
    }
}

/// The narrowest network of the policy that has this address.
#[must_use]
pub fn network_of(policy: &Policy, client: IpAddr) -> Option<&str> {
    let having = policy.networks().iter().filter_map(|network| {
        let narrow = network.addresses.iter().filter(|addresses| within(client, &[**addresses]));
        narrow.map(ipnet::IpNet::prefix_len).max().map(|length| (length, network.name.as_str()))
    });
    having.max_by_key(|(length, _)| *length).map(|(_, name)| name)
}
