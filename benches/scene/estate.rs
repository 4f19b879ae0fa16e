//! The demo's estate behind a gateway that listens nowhere, and people who are signed in.

use super::head::head;
use arc_swap::ArcSwap;
use pingora::http::RequestHeader;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;
use tiergate::audit::{self, Audit};
use tiergate::demo::{self, HOSTS, Options};
use tiergate::device::Evidence;
use tiergate::gateway::assertion::Assertions;
use tiergate::gateway::connection::Connection;
use tiergate::gateway::scope::Heart;
use tiergate::gateway::tls::Resumption;
use tiergate::gateway::{Gateway, Parts};
use tiergate::identity::{Identified, Throttle};
use tiergate::login::Login;
use tiergate::reload;
use tiergate::session::{SessionCookie, Sessions};
use tiergate::sign_in_events;
use tiergate::snapshot::{Loaded, Shared, Snapshot, load};
use tiergate::state::State;
use tiergate::telemetry::Metrics;
use tokio::runtime::Runtime;

/// Files on disk, and the gateway that was made from them.
pub struct Estate {
    pub gateway: Arc<Gateway>,
    pub login: Arc<Login>,
    pub audit: Arc<Audit>,
    shared: Shared,
    resumption: Resumption,
    files: demo::Estate,
    runtime: Runtime,
    _folder: TempDir,
}

/// A connection on which somebody is signed in, and the head of each of its requests.
pub struct Visitor {
    pub connection: Connection,
    pub head: RequestHeader,
}

impl Estate {
    /// The demo's estate, made and loaded as `tiergate serve` does it.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            folder: folder.path().join("demo"),
            listen: (Ipv4Addr::LOCALHOST, 8443).into(),
            admin: (Ipv4Addr::LOCALHOST, 9901).into(),
        };
        let files = demo::Estate::prepare(&options, audit::unix_now()).unwrap();
        let resumption = Resumption::new().unwrap();
        let shared: Shared = Arc::new(ArcSwap::from_pointee(loaded(&files, None, &resumption)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (gateway, login, audit) = runtime.block_on(parts(&shared));
        Self { gateway, login, audit, shared, resumption, files, runtime, _folder: folder }
    }

    /// Has so many resources from now on, those of the demo among them.
    pub fn hold(&self, resources: usize) {
        let mut text = "version: 1\nresources:\n".to_owned();
        for n in HOSTS.len()..resources {
            let _ = writeln!(
                text,
                "- {{name: r{n},tier: low,hosts: [r{n}.localhost],upstream: demo,deny: [{{groups: [contractors]}}],paths: [{{prefix: /a,tier: high}}]}}"
            );
        }
        std::fs::write(self.files.folder.join("policies/more.yaml"), text).unwrap();
        let snapshot = loaded(&self.files, Some(&self.shared.load()), &self.resumption);
        assert_eq!(snapshot.policy.resources().len(), resources);
        self.shared.store(Arc::new(snapshot));
    }

    /// This user, signed in, on a new connection to the host that shows the device certificate of that file.
    pub fn visitor(&self, host: &str, user: &str, device: Option<&str>) -> Visitor {
        let now = self.gateway.now();
        let who = Identified {
            provider: "local".to_owned(),
            subject: user.to_owned(),
            user: user.to_owned(),
            email: Some(user.to_owned()),
            name: None,
            groups: Vec::new(),
            amr: vec!["pwd".to_owned()],
            mfa: false,
            auth_time: now,
        };
        let session = self.runtime.block_on(self.gateway.sessions().begin(&who, now)).unwrap();
        let evidence = device.map(|file| {
            let path = self.files.pki.folder.join(file).with_extension("pem");
            let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).unwrap().collect();
            Evidence::parse(&chain.unwrap()).unwrap()
        });
        let key = evidence.as_ref().map(Evidence::key_digest);
        let cookie = SessionCookie { session: session.id, device: key, issued: now };
        let connection = Connection {
            client: (Ipv4Addr::LOCALHOST, 50_000).into(),
            sni: Some(host.to_owned()),
            served: self.gateway.snapshot().certificates.select(Some(host)).cloned().unwrap(),
            evidence,
            http2: false,
            broken_framing: AtomicBool::new(false),
            memory: Default::default(),
        };
        Visitor { connection, head: head(host, &cookie.seal(&self.login.sealer(), host)) }
    }

    /// Waits until what was handed to the audit log is on the disk, so that its queue is empty again.
    pub fn settle(&self) {
        assert!(self.runtime.block_on(self.audit.flush()));
        assert!(self.audit.available(), "events were lost");
    }
}

fn loaded(files: &demo::Estate, previous: Option<&Snapshot>, resumption: &Resumption) -> Snapshot {
    let loaded = load(&files.config, previous, resumption, audit::unix_now());
    let Loaded { snapshot, warnings: _, devices } = loaded.unwrap_or_else(|error| panic!("{error}"));
    snapshot.inventory.take_file(devices);
    snapshot
}

async fn parts(shared: &Shared) -> (Arc<Gateway>, Arc<Login>, Arc<Audit>) {
    let snapshot = shared.load_full();
    let (config, now) = (&snapshot.config, audit::unix_now());
    let metrics = Arc::new(Metrics::new().unwrap());
    let audit = Audit::open(&config.audit.path, Arc::clone(&metrics)).unwrap();
    let state = Arc::new(State::open(&config.state).await.unwrap());
    let keys = state.keys(now).await.unwrap();
    let sessions = Sessions::open(state, reload::longest_session(&snapshot), now).await.unwrap();
    let (sessions, heart) = (Arc::new(sessions), Heart::new());
    let on_event = sign_in_events::hook(Arc::clone(&audit), Arc::clone(&metrics), heart.clone());
    let login = Login::new(Arc::clone(&sessions), &keys.cookies, Arc::new(Throttle::new()), on_event);
    let signing: Vec<_> =
        keys.assertion_pkcs8.iter().map(|key| (key.kid.clone(), key.pkcs8.clone())).collect();
    let gateway = Gateway::new(Parts {
        snapshot: Arc::clone(shared),
        sessions,
        login: Arc::clone(&login),
        audit: Arc::clone(&audit),
        metrics,
        assertions: Assertions::new(&signing).unwrap(),
        heart,
        workers: 1,
    });
    (gateway, login, audit)
}
