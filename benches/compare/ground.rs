//! What every measurement stands on: a folder, certificates, and an upstream that runs.

use crate::Result;
use crate::peers::Place;
use crate::pki::{self, Sessions};
use crate::process::{Part, Processors};
use std::path::PathBuf;
use std::time::Duration;

/// How long the upstream may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Dropping it takes the folder away and ends the upstream.
pub struct Ground {
    folder: tempfile::TempDir,
    pki: PathBuf,
    pub sessions: Sessions,
    port: u16,
    _upstream: Part,
}

impl Ground {
    pub async fn prepare(upstream_on: &Processors) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("compare-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let pki = folder.path().join("pki");
        std::fs::create_dir(&pki)?;
        let sessions = pki::make(&pki)?;
        let mut upstream = Part::start(upstream_on, &["upstream"])?;
        let port = upstream.line(PATIENCE).await?.parse()?;
        Ok(Self { folder, pki, sessions, port, _upstream: upstream })
    }

    pub fn place(&self) -> Place<'_> {
        Place { folder: self.folder.path(), pki: &self.pki, upstream: self.port }
    }
}
