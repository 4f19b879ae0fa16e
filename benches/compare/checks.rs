//! What a proxy must show before it is timed: that it does the work.

use crate::Result;
use crate::client::Client;
use crate::peers::Running;
use crate::pki::{Sessions, forged};
use crate::scenarios::Scenario;
use crate::upstream;
use std::path::Path;

/// The session cookies for one proxy: those that everybody has, or its own where it signs people in itself.
pub struct Cookies {
    pub good: Option<String>,
    refused: Vec<(&'static str, Option<String>)>,
}

impl Cookies {
    pub fn of(running: &Running, scenario: &Scenario, sessions: &Sessions) -> Self {
        let own = |name: &str| {
            let text = std::fs::read_to_string(running.folder.join(name)).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let refused = |over, forged| {
            vec![("no session", None), ("a session that is over", over), ("a forged session", Some(forged))]
        };
        if let Some(good) = own("cookie") {
            let refused = refused(own("cookie.expired"), forged(&good));
            return Self { good: Some(good), refused };
        }
        let Sessions { good, over, forged } = sessions.clone();
        let good = scenario.decide.then_some(good);
        Self { good, refused: refused(Some(over), forged) }
    }
}

/// Asks what must be let in and what must not; the first thing that is wrong is the error.
pub async fn passed(running: &Running, scenario: &Scenario, pki: &Path, cookies: &Cookies) -> Result<()> {
    let ask = Asking { running, scenario, pki };
    let known = scenario.device.then_some("device");
    let good = cookies.good.as_deref();
    let (status, body) = ask.told(known, good, scenario.path).await?;
    if status != 200 {
        return Err(format!("a good request was answered with {status}").into());
    }
    if body != upstream::body(scenario.path) {
        return Err(format!("the body has {} bytes and is not the upstream's", body.len()).into());
    }
    if scenario.device {
        for (what, device) in [
            ("no certificate", None),
            ("a stranger's certificate", Some("stranger")),
            ("a revoked device", Some("lowtier")),
        ] {
            ask.refused(what, device, good).await?;
        }
        ask.seen("x-device-dn", "device-0001", good).await?;
    }
    if running.peer.judges(scenario) {
        for (what, cookie) in &cookies.refused {
            ask.refused(what, known, cookie.as_deref()).await?;
        }
    }
    if scenario.decide && running.peer.judges(scenario) {
        ask.seen("x-user", "alice", good).await?;
    }
    Ok(())
}

struct Asking<'a> {
    running: &'a Running,
    scenario: &'a Scenario,
    pki: &'a Path,
}

impl Asking<'_> {
    async fn told(&self, device: Option<&str>, cookie: Option<&str>, path: &str) -> Result<(u16, Vec<u8>)> {
        let client = Client::new(self.pki, self.running.port(), device, self.scenario.http2)?;
        // Nobody may say of themselves who they are.
        let mut headers = vec![("x-user", "mallory"), ("x-device-dn", "CN=forged")];
        headers.extend(cookie.map(|cookie| ("cookie", cookie)));
        let (mut connection, _) = client.connect().await?;
        let mut body = Vec::new();
        let request = client.request(path, &headers)?;
        let status = connection.ask(request, |bytes| body.extend_from_slice(bytes)).await?;
        Ok((status, body))
    }

    /// A connection that is broken off is a refusal too.
    async fn refused(&self, what: &str, device: Option<&str>, cookie: Option<&str>) -> Result<()> {
        match self.told(device, cookie, "/").await {
            Ok((200, _)) => Err(format!("{what} was let in").into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The upstream was told this, and not what the client claimed.
    async fn seen(&self, header: &str, value: &str, cookie: Option<&str>) -> Result<()> {
        let (_, body) = self.told(Some("device"), cookie, "/seen").await?;
        let text = String::from_utf8_lossy(&body);
        let start = format!("{header}: ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
        if line.contains(value) && !line.contains("mallory") && !line.contains("forged") {
            return Ok(());
        }
        Err(format!("the upstream was told `{header}: {line}`").into())
    }
}
