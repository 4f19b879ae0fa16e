//! A provider's secret, authorities and client, from its configuration.

use super::discovery::Discovery;
use super::jwks::Jwks;
use super::oidc::OidcProvider;
use super::whole_file;
use crate::config::{OidcConfig, Secret, SecretSource};
use crate::diagnostic::Diagnostic;
use crate::fetch::credentials::{self, AuthoritiesError, SecretError};
use crate::fetch::{Bounds, Fetcher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What bounds each answer of a provider: somebody waits for it.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(5), bytes: 1024 * 1024 };

impl OidcProvider {
    /// Reads the secret and the authorities; `before` is kept where nothing changed.
    pub(super) fn load(
        name: &str,
        config: &OidcConfig,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let secret = config
            .client_secret
            .as_ref()
            .and_then(|source| read_secret(name, source).map_err(|mistake| mistakes.push(mistake)).ok());
        let authorities = config
            .ca
            .as_deref()
            .and_then(|path| read_authorities(path).map_err(|mistake| mistakes.push(mistake)).ok());
        if config.bearer_audiences.contains(&config.client_id) {
            let message = format!(
                "`bearer_audiences` of `{name}` has the client's own id, so that an ID token would be a bearer token"
            );
            mistakes.push(whole_file("I0206", Path::new(""), message));
        }
        let fetcher = Fetcher::new(&config.issuer, authorities.as_deref(), BOUNDS)
            .map_err(|error| {
                let path = config.ca.as_deref().unwrap_or(Path::new(""));
                mistakes.push(whole_file("I0205", path, format!("provider `{name}`: {error}")));
            })
            .ok();
        let Some(fetcher) = fetcher.filter(|_| mistakes.is_empty()) else {
            return Err(mistakes);
        };
        let exposed = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        if let Some(before) = before
            && before.name == name
            && before.config == *config
            && exposed(&before.secret) == exposed(&secret)
            && before.authorities == authorities
        {
            return Ok(Arc::clone(before));
        }
        let (name, config) = (name.to_owned(), config.clone());
        let (discovery, jwks) = (Discovery::default(), Jwks::default());
        Ok(Arc::new(Self { name, config, secret, authorities, fetcher, discovery, jwks }))
    }
}

fn read_secret(name: &str, source: &SecretSource) -> Result<Secret, Diagnostic> {
    let path = match source {
        SecretSource::File(path) => path.as_path(),
        SecretSource::Env(_) => Path::new(""),
    };
    credentials::secret(source).map_err(|error| match error {
        SecretError::Unreadable(why) => {
            whole_file("I0201", path, format!("cannot read the client secret of provider `{name}`: {why}"))
        }
        SecretError::Unfit => {
            whole_file("I0202", path, format!("the client secret of provider `{name}` is empty or too long"))
        }
    })
}

fn read_authorities(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    credentials::authorities(path).map_err(|error| match error {
        AuthoritiesError::Unreadable(why) => {
            whole_file("I0203", path, format!("cannot read the authorities: {why}"))
        }
        AuthoritiesError::Unfit => {
            whole_file("I0204", path, "the file has no PEM certificates, or more than are read".to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tampering::config;
    use super::*;

    fn codes(config: &OidcConfig) -> String {
        match OidcProvider::load("workforce", config, None) {
            Ok(oidc) => oidc.name().to_owned(),
            Err(mistakes) => mistakes.iter().map(|mistake| mistake.code).collect::<Vec<_>>().join(" "),
        }
    }

    #[test]
    fn every_mistake_of_a_provider_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let secret = SecretSource::File(file("secret", "s3cret\n"));
        let good = OidcConfig { client_secret: Some(secret), ..config("https://idp.example") };
        let empty = SecretSource::File(file("empty", "\n"));
        let gone = SecretSource::File(folder.path().join("gone"));
        let unset = SecretSource::Env("TIERGATE_NO_SUCH_VARIABLE".to_owned());
        let key = rcgen::generate_simple_self_signed(["idp.example".to_owned()]).unwrap();
        let ca = file("ca.pem", &key.cert.pem());
        let junk = file("junk.pem", "no certificate");
        for (config, want) in [
            (good.clone(), "workforce"),
            (OidcConfig { client_secret: None, ca: Some(ca), ..good.clone() }, "workforce"),
            (OidcConfig { client_secret: Some(gone.clone()), ..good.clone() }, "I0201"),
            (OidcConfig { client_secret: Some(unset), ..good.clone() }, "I0201"),
            (OidcConfig { client_secret: Some(empty), ..good.clone() }, "I0202"),
            (OidcConfig { ca: Some("/nonexistent".into()), ..good.clone() }, "I0203"),
            (OidcConfig { ca: Some(junk.clone()), ..good.clone() }, "I0204"),
            (OidcConfig { issuer: "http://idp.example".to_owned(), ..good.clone() }, "I0205"),
            (OidcConfig { bearer_audiences: vec!["tiergate".to_owned()], ..good.clone() }, "I0206"),
            (OidcConfig { bearer_audiences: vec!["api".to_owned()], ..good.clone() }, "workforce"),
            (OidcConfig { client_secret: Some(gone), ca: Some(junk), ..good.clone() }, "I0201 I0204"),
        ] {
            assert_eq!(codes(&config), want, "{config:?}");
        }
    }

    #[test]
    fn a_provider_is_kept_while_nothing_about_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "one").unwrap();
        let one = OidcConfig {
            client_secret: Some(SecretSource::File(path.clone())),
            ..config("https://idp.example")
        };
        let first = OidcProvider::load("workforce", &one, None).unwrap();
        let load = |name: &str, config: &OidcConfig| {
            Arc::ptr_eq(&first, &OidcProvider::load(name, config, Some(&first)).unwrap())
        };
        assert!(load("workforce", &one));
        assert!(!load("other", &one));
        assert!(!load("workforce", &OidcConfig { groups_claim: "roles".to_owned(), ..one.clone() }));
        std::fs::write(&path, "two").unwrap();
        assert!(!load("workforce", &one), "the secret changed");
    }
}
