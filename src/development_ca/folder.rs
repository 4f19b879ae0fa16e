//! The folder of the certificates: `NAME.pem` beside `NAME.key`.

use super::CaError;
use super::certificate::Made;
use super::pair::Pair;
use crate::files::{self, Readers};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A folder of certificates and keys. Whoever holds one is alone in it: others wait.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Two commands at once would each write a revocation list without the other's entry.
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, readable by its owner only, and takes it.
    ///
    /// # Errors
    ///
    /// Where it cannot be made or locked.
    pub fn make(path: &Path) -> Result<Self, CaError> {
        files::private_folder(path).map_err(|error| CaError::File(path.to_owned(), error))?;
        Self::open(path)
    }

    /// Takes a folder that is there.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened or locked.
    pub fn open(path: &Path) -> Result<Self, CaError> {
        let lock = || {
            let folder = File::open(path)?;
            folder.lock()?;
            Ok(folder)
        };
        let lock = lock().map_err(|error: io::Error| CaError::File(path.to_owned(), error))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file of it is.
    #[must_use]
    pub fn at(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.at(file).symlink_metadata().is_ok()
    }

    /// The text of a file, or `None` where there is no file.
    pub(crate) fn read(&self, file: &str) -> Result<Option<String>, CaError> {
        let path = self.at(file);
        files::read(&path).map_err(|error| CaError::File(path, error))
    }

    pub(crate) fn write(&self, file: &str, content: &[u8], readers: Readers) -> Result<(), CaError> {
        let path = self.at(file);
        files::write(&path, content, readers).map_err(|error| CaError::File(path, error))
    }

    /// `NAME.pem`, if it is there and can be read.
    pub(crate) fn certificate(&self, name: &str) -> Result<Option<Made>, CaError> {
        Ok(self.read(&format!("{name}.pem"))?.and_then(|text| Made::read(&text)))
    }

    /// `NAME.pem` and `NAME.key`, if both are there and belong to each other.
    pub(crate) fn pair(&self, name: &str) -> Result<Option<Pair>, CaError> {
        let (certificate, key) = (self.read(&format!("{name}.pem"))?, self.read(&format!("{name}.key"))?);
        Ok(certificate.zip(key).and_then(|(certificate, key)| Pair::read(&certificate, &key)))
    }

    /// Writes both files. The key first: a certificate without its key is taken for no pair.
    pub(crate) fn store(&self, name: &str, pair: &Pair) -> Result<(), CaError> {
        self.write(&format!("{name}.key"), pair.key_pem().as_bytes(), Readers::Owner)?;
        self.write(&format!("{name}.pem"), pair.certificate_pem().as_bytes(), Readers::Anybody)
    }
}
