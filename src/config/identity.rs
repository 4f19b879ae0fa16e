//! Identity providers: the keys of one kind are mistakes in the other.

use super::resolve::Reader;
use super::{Identity, OidcConfig, Provider, ProviderKind, raw};
use crate::text::yaml::{At, Key};
use crate::text::{host, service_url};
use std::collections::HashMap;
use std::ops::Range;

/// What a provider is.
#[derive(Clone, Copy)]
enum Kind {
    Local,
    Oidc,
}

impl Reader<'_> {
    pub(super) fn identity(&mut self, identity: At<raw::Identity>) -> Identity {
        let raw::Identity { login_host, providers } = identity.value;
        let login_host = self.needed(login_host, "login_host", identity.span.clone());
        if let Some(name) = &login_host
            && let Err(error) = host::check(&name.value)
        {
            self.error(
                "Y0111",
                name.span.clone(),
                format!("`{}` is not a host", name.value),
                error.to_string(),
            );
        }
        let providers = self.needed(providers, "providers", identity.span);
        let providers = providers.map_or_else(Vec::new, |list| self.not_empty(list, "providers"));
        let mut seen = HashMap::new();
        let providers =
            providers.into_iter().filter_map(|provider| self.provider(provider, &mut seen)).collect();
        Identity { login_host: login_host.map_or_else(String::new, |name| name.value), providers }
    }

    fn provider(
        &mut self,
        provider: At<raw::Provider>,
        seen: &mut HashMap<String, Range<usize>>,
    ) -> Option<Provider> {
        // Destructured without `..`: see `raw`.
        let At {
            value:
                raw::Provider {
                    name,
                    title,
                    r#type,
                    users,
                    issuer,
                    client_id,
                    client_secret,
                    scopes,
                    groups_claim,
                    mfa_values,
                    step_up_acr,
                    bearer_audiences,
                    ca,
                },
            span,
        } = provider;
        let name_place = name.0.as_ref().map_or_else(|| span.clone(), |name| name.span.clone());
        let name = self.unique_name(name, "a provider", span.clone(), seen);
        let title = title.0.map_or_else(|| name.clone(), |title| title.value);
        let kind = self.needed(r#type, "type", span.clone())?;
        let kind = self.word(&kind, "type", &[("local", Kind::Local), ("oidc", Kind::Oidc)])?;
        let reserved = match kind {
            Kind::Local => name == "scim",
            Kind::Oidc => name == "scim" || name == "local",
        };
        if reserved {
            let label = "group sources that start so mean something else; choose another name";
            self.error("C0107", name_place, format!("the name `{name}` is reserved"), label);
        }
        let kind = match kind {
            Kind::Local => {
                let mut stray = Vec::new();
                stray.extend(place("issuer", &issuer));
                stray.extend(place("client_id", &client_id));
                stray.extend(place("client_secret", &client_secret));
                stray.extend(place("scopes", &scopes));
                stray.extend(place("groups_claim", &groups_claim));
                stray.extend(place("mfa_values", &mfa_values));
                stray.extend(place("step_up_acr", &step_up_acr));
                stray.extend(place("ca", &ca));
                stray.extend(place("bearer_audiences", &bearer_audiences));
                self.refuse(stray, "oidc");
                let users = self.needed(users, "users", span)?;
                ProviderKind::Local { users: self.path(&users) }
            }
            Kind::Oidc => {
                self.refuse(place("users", &users).into_iter().collect(), "local");
                let issuer = self.needed(issuer, "issuer", span.clone());
                if let Some(issuer) = &issuer {
                    self.issuer(issuer);
                }
                let client_id = self.needed(client_id, "client_id", span);
                let client_secret = client_secret
                    .0
                    .and_then(|secret| self.secret(secret, &format!("client_secret of {name}")));
                ProviderKind::Oidc(Box::new(OidcConfig {
                    issuer: issuer?.value,
                    client_id: client_id?.value,
                    client_secret,
                    scopes: self.values(scopes, "scopes", &["email", "profile"]),
                    groups_claim: groups_claim.0.map_or_else(|| "groups".to_owned(), |claim| claim.value),
                    mfa_values: self.values(mfa_values, "mfa_values", &["mfa", "otp", "hwk", "sc", "fido"]),
                    step_up_acr: self.values(step_up_acr, "step_up_acr", &[]),
                    ca: ca.0.map(|text| self.path(&text)),
                    bearer_audiences: self.values(bearer_audiences, "bearer_audiences", &[]),
                }))
            }
        };
        Some(Provider { name, title, kind })
    }

    fn values(&mut self, key: raw::Texts, name: &str, default: &[&str]) -> Vec<String> {
        if !key.is_stated() {
            return default.iter().map(|value| (*value).to_owned()).collect();
        }
        self.texts(key, name).into_iter().map(|text| text.value).collect()
    }

    /// Keys that belong to the other kind of provider.
    fn refuse(&mut self, stray: Vec<(&'static str, Range<usize>)>, of: &str) {
        for (key, span) in stray {
            // A secret's place is not shown: it may be written out.
            let span = if key == "client_secret" { 0..0 } else { span };
            let message = format!("`{key}` belongs to a provider of type `{of}`");
            self.error("C0103", span, message, "leave it out, or change `type`");
        }
    }

    /// The address of a service, exactly as the provider calls itself.
    fn issuer(&mut self, text: &At<String>) {
        let fits = service_url::parse(&text.value).is_ok_and(|url| url.query().is_none());
        if !fits {
            let label = "`https://` and a host, exactly as the provider's `issuer`; http on loopback only";
            self.error("C0103", text.span.clone(), format!("`{}` is not an issuer", text.value), label);
        }
    }
}

fn place<T>(name: &'static str, key: &Key<T>) -> Option<(&'static str, Range<usize>)> {
    key.0.as_ref().map(|at| (name, at.span.clone()))
}
