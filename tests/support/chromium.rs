//! A real browser: Chromium with a home of its own, led over its debugging protocol.

use super::{DEADLINE, Estate};
use base64::Engine as _;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Where Chromium on Debian reads what an administrator decided.
const POLICIES: &str = "/etc/chromium/policies/managed";

/// The policies are the machine's, so one browser runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A running browser with one tab.
pub struct Chromium {
    child: Child,
    policy: PathBuf,
    socket: WebSocketStream<TcpStream>,
    session: String,
    next: u64,
    /// What the page complained of.
    pub complaints: Vec<String>,
    /// The addresses that were asked for.
    pub requests: Vec<String>,
    _home: tempfile::TempDir,
    _only: MutexGuard<'static, ()>,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.policy);
    }
}

impl Chromium {
    /// A browser that believes the estate's server CA and has this device's certificate, if any.
    pub async fn start(estate: &Estate, device: Option<&str>) -> Self {
        let only = ONE_AT_A_TIME.lock().await;
        let home = tempfile::tempdir().unwrap();
        let profile = home.path().join("profile");
        import(estate, home.path(), device);
        let policy = choose_the_certificate(estate.port);
        let child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--host-resolver-rules=MAP *.localhost 127.0.0.1", "--remote-debugging-port=0"])
            .args(["--disable-dev-shm-usage", "--window-size=1200,1000"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium starts");
        let mut chromium = Self {
            socket: connect(&profile).await,
            child,
            policy,
            session: String::new(),
            next: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            _home: home,
            _only: only,
        };
        let target = chromium.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = chromium.call("Target.attachToTarget", attach).await;
        chromium.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            chromium.call(&format!("{domain}.enable"), json!({})).await;
        }
        chromium
    }

    /// Goes to an address and waits until a page stays there.
    pub async fn open(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(went["errorText"].is_null(), "{url}: {went}");
        self.settled().await;
    }

    /// Waits until the page is loaded and leads nowhere else.
    pub async fn settled(&mut self) {
        let began = Instant::now();
        let mut last = String::new();
        let mut same = 0;
        while same < 5 {
            assert!(began.elapsed() < DEADLINE, "the page does not come to rest: {last}");
            tokio::time::sleep(std::time::Duration::from_millis(60)).await;
            let now = self.text("document.readyState + ' ' + location.href").await;
            same = if now == last && now.starts_with("complete") { same + 1 } else { 0 };
            last = now;
        }
    }

    /// What an expression gives in the page, as text.
    pub async fn text(&mut self, expression: &str) -> String {
        let asked = json!({ "expression": format!("(async () => String(await ({expression})))()"), "returnByValue": true, "awaitPromise": true });
        let answer = self.try_call("Runtime.evaluate", asked).await;
        // While one page makes way for the next there is nobody to ask.
        let answer = answer.unwrap_or_default();
        answer["result"]["value"].as_str().unwrap_or_default().to_owned()
    }

    /// Fills in fields of the first form by their ids, and sends it as a click does.
    pub async fn send_form(&mut self, fields: &[(&str, &str)]) {
        for (id, value) in fields {
            let script = format!("document.getElementById({}).value = {}", json!(id), json!(value));
            self.text(&script).await;
        }
        self.text("document.querySelector('main form [type=submit]').click()").await;
        self.settled().await;
    }

    /// Keeps a picture of the page in `target/screenshots`.
    pub async fn picture(&mut self, name: &str, dark: bool) {
        let scheme =
            json!([{ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": scheme })).await;
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_empty() && !method.starts_with("Target.") {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        loop {
            let received = tokio::time::timeout(DEADLINE, self.socket.next()).await;
            let message = received.unwrap_or_else(|_| panic!("{method} is not answered")).unwrap().unwrap();
            let Ok(mut message) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else {
                continue;
            };
            if message["id"] == self.next {
                let error = message["error"].take();
                return if error.is_null() { Ok(message["result"].take()) } else { Err(error) };
            }
            self.happened(&message);
        }
    }

    fn happened(&mut self, event: &Value) {
        let of = &event["params"];
        match event["method"].as_str() {
            Some("Log.entryAdded") if of["entry"]["level"] == "error" => {
                self.complaints.push(format!("{} {}", of["entry"]["text"], of["entry"]["url"]));
            }
            Some("Runtime.exceptionThrown") => self.complaints.push(of["exceptionDetails"].to_string()),
            Some("Network.requestWillBeSent") => {
                self.requests.push(of["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }
}

/// The user's certificate store: the server CA as an authority, the device with its key.
fn import(estate: &Estate, home: &Path, device: Option<&str>) {
    let store = home.join(".pki/nssdb");
    std::fs::create_dir_all(&store).unwrap();
    let store = format!("sql:{}", store.display());
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(["-d", &store]).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program} of libnss3-tools: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run("certutil", &["-N", "--empty-password"]);
    let path = |name: &str| estate.at(&format!("certs/{name}")).display().to_string();
    run("certutil", &["-A", "-t", "C,,", "-n", "tiergate demo", "-i", &path("ca.pem")]);
    if let Some(device) = device {
        let password = estate.read("certs/p12-password.txt");
        run("pk12util", &["-i", &path(&format!("{device}.p12")), "-W", password.trim(), "-K", ""]);
    }
}

/// Nobody is there to choose a certificate, so a policy does, for this estate's port only.
fn choose_the_certificate(port: u16) -> PathBuf {
    let path = Path::new(POLICIES).join(format!("tiergate-test-{port}.json"));
    let choice = json!({ "pattern": format!("https://[*.]localhost:{port}"), "filter": {} }).to_string();
    let written = std::fs::create_dir_all(POLICIES).and_then(|()| {
        std::fs::write(&path, json!({ "AutoSelectCertificateForUrls": [choice] }).to_string())
    });
    written.unwrap_or_else(|error| panic!("{}: {error}; run as root, in a container", path.display()));
    path
}

async fn connect(profile: &Path) -> WebSocketStream<TcpStream> {
    let file = profile.join("DevToolsActivePort");
    let address = super::estate::poll("Chromium is ready", || {
        let text = std::fs::read_to_string(&file).ok()?;
        let (port, path) = text.split_once('\n')?;
        Some((port.parse::<u16>().ok()?, path.trim().to_owned()))
    })
    .await;
    let (port, path) = address;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let url = format!("ws://127.0.0.1:{port}{path}");
    tokio_tungstenite::client_async(url, stream).await.unwrap().0
}
