//! What many devices have in common, kept once: 500,000 records name a few platforms, versions and postures.

use crate::access::PostureFacts;
use crate::text::version::{OsVersion, VersionError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Gives equal things out as one. Used while records are made, and dropped then.
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashSet<Arc<str>>,
    /// By text: `14` and `14.0` are equal, and each is shown as it was written.
    versions: HashMap<Box<str>, Arc<OsVersion>>,
    postures: HashSet<Arc<PostureFacts>>,
}

impl Interner {
    /// This text.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// This version.
    ///
    /// # Errors
    /// It is none.
    pub fn version(&mut self, text: &str) -> Result<Arc<OsVersion>, VersionError> {
        if let Some(known) = self.versions.get(text) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(text.parse()?);
        self.versions.insert(text.into(), Arc::clone(&new));
        Ok(new)
    }

    /// These facts.
    pub fn posture(&mut self, facts: PostureFacts) -> Arc<PostureFacts> {
        if let Some(known) = self.postures.get(&facts) {
            return Arc::clone(known);
        }
        let new = Arc::new(facts);
        self.postures.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_kept_once_and_shown_as_it_was_written() {
        let mut interner = Interner::default();
        let facts = |holds| [("disk_encrypted", holds)].into_iter().collect();
        assert!(Arc::ptr_eq(&interner.text("macos"), &interner.text("macos")));
        assert!(Arc::ptr_eq(&interner.version("14.6").unwrap(), &interner.version("14.6").unwrap()));
        let (one, same) = (interner.posture(facts(true)), interner.posture(facts(true)));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &interner.posture(facts(false))));
        assert_eq!(interner.version("14.0").unwrap().to_string(), "14.0");
        assert_eq!(interner.version("14").unwrap().to_string(), "14");
        assert!(interner.version("latest").is_err());
    }
}
