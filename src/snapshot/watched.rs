//! Which files a snapshot was made of, and whether one of them changed.
//!
//! Files are looked at, not subscribed to: the look is cheap, and it sees what subscriptions miss,
//! such as a symbolic link that is swapped, a file on a network share, or a folder that is replaced.

use super::load::users_files;
use crate::config::{Config, ProviderKind, SecretSource};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most files of a folder of policies that are looked at.
const MAX_POLICY_FILES: usize = 10_000;

/// How the files looked at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fingerprint(BTreeMap<PathBuf, Option<Look>>);

/// A file's device, inode, size and time of change in nanoseconds.
type Look = (u64, u64, u64, i64, i64);

impl Fingerprint {
    /// With the files of another look, where this one has not seen them.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (file, look) in other.0 {
            self.0.entry(file).or_insert(look);
        }
        self
    }

    /// Whether every file of an earlier look still looks the same.
    #[must_use]
    pub fn agrees_with(&self, earlier: &Self) -> bool {
        earlier.0.iter().all(|(file, look)| self.0.get(file) == Some(look))
    }

    /// Looks at `path`, a `tiergate.yaml`, and at every file that the configuration names.
    #[must_use]
    pub fn take(path: &Path, config: &Config) -> Self {
        let mut files = vec![path.to_owned()];
        for policies in [&config.policies].into_iter().chain(config.shadow.iter().map(|it| &it.policies)) {
            files.push(policies.clone());
            if let Ok(folder) = std::fs::read_dir(policies) {
                files.extend(folder.take(MAX_POLICY_FILES).filter_map(|entry| Some(entry.ok()?.path())));
            }
        }
        files.extend(config.tls.certificates.iter().flat_map(|pair| [pair.cert.clone(), pair.key.clone()]));
        files.extend(
            config
                .authorities
                .iter()
                .flat_map(|authority| authority.ca.iter().chain(&authority.crl).cloned()),
        );
        files.extend(config.inventory_file.clone());
        files.extend(config.trust_domains.iter().map(|domain| domain.bundle.clone()));
        files.extend(users_files(config).map(Path::to_owned));
        files.extend(config.identity.providers.iter().flat_map(|provider| match &provider.kind {
            ProviderKind::Local { .. } => Vec::new(),
            ProviderKind::Oidc(oidc) => {
                let secret = match &oidc.client_secret {
                    Some(SecretSource::File(path)) => Some(path.clone()),
                    Some(SecretSource::Env(_)) | None => None,
                };
                secret.into_iter().chain(oidc.ca.clone()).collect()
            }
        }));
        files.extend(config.sync.iter().flat_map(|sync| sync.files().cloned()));
        for upstream in config.upstreams.values() {
            let Some(tls) = &upstream.tls else { continue };
            files.extend(tls.ca.clone());
            files.extend(tls.client.iter().flat_map(|pair| [pair.cert.clone(), pair.key.clone()]));
        }
        Self(files.into_iter().map(|file| (file.clone(), look(&file))).collect())
    }
}

fn look(file: &Path) -> Option<Look> {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
}
