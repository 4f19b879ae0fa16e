//! How often memory is allocated, counted: for a decision, for its neighbours, and by a whole gateway for each
//! request. `cargo bench --bench allocations` prints the counts; `cargo test` asserts them too, since a count, unlike
//! a time, is the same on every machine.
//!
//! The gateway is this program once more, as another process, so that the client's allocations are not among its own.

use alloc_tracker::{Allocator, Session};
use clap::Parser;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use tiergate::access::decide;
use tiergate::cli::demo::{self, DemoArgs};
use tiergate::gateway::request::{self, Kind};
use tiergate::session::{Cookies, SESSION_COOKIE, SessionCookie, is_own_cookie};
use tiergate::text::canonical;
use tikv_jemallocator::Jemalloc;

#[path = "../tests/support/mod.rs"]
mod support;

mod scene {
    pub mod count;
    pub mod gateway;
    pub mod head;
    pub mod policy;
    pub mod request;
}
use scene::count::{count, total};
use scene::request::{HOST, NOW};

#[global_allocator]
static ALLOCATOR: Allocator<Jemalloc> = Allocator::new(Jemalloc);

/// What the gateway's process may allocate for one request on a connection that is kept open, to an upstream
/// connection that is kept open. Two of the about 100 are the request's own until it is recorded (see `ours`), and
/// the audit line is one. The others are the framework's two sessions, the heads that are read and copied (a map, its
/// entries, their spellings), the fields for the upstream, and the buffers of body and connection.
const MOST_PER_REQUEST: f64 = 85.0;
/// Requests before it is counted: the first ones fill caches.
const WARMING_UP: u32 = 50;
/// Requests that are counted. What goes on each second beside them counts too, and is little among so many.
const COUNTED: u32 = 500;
/// The socket in the estate's folder on which a gateway tells its count.
const SOCKET: &str = "allocations";

fn main() {
    if std::env::args().nth(1).as_deref() == Some("demo") {
        return gateway();
    }
    decisions();
    neighbours();
    requests();
}

/// No decision allocates.
fn decisions() {
    assert_eq!(count(|| vec![1]), 1, "what counts");
    let resources = scene::policy::RESOURCES.last().copied().unwrap();
    let policy = scene::policy::policy(resources);
    let host = scene::policy::host(resources / 2);
    for groups in scene::policy::GROUPS {
        let groups = scene::policy::groups(&policy, groups);
        for (outcome, facts) in scene::policy::outcomes(&policy, &host, &groups) {
            let found = count(|| policy.locate(&host, facts.path));
            let decided = count(|| decide(&policy, &facts));
            assert_eq!((found, decided), (0, 0), "{outcome}");
        }
    }
    println!("locate and decide, of {resources} resources: no allocation");
}

/// What every request needs beside its decision; the number is the most that each may allocate.
fn neighbours() {
    let (head, sealer, event) = (scene::request::head(), scene::request::sealer(), scene::request::event());
    let cookie = scene::request::cookie(2);
    let (assertions, claims) = (scene::request::assertions(), scene::request::claims());
    assertions.sign(&claims, NOW).unwrap();
    // A thread keeps the memory in which it puts a request's text together.
    drop(request::read(&head, Kind::Navigation));
    let mut cleaned = head.clone();
    let mut line = Vec::with_capacity(4096);
    for (what, counted, most) in [
        ("a target", count(|| canonical::target("/browse/42?tab=comments")), 0),
        ("an authority", count(|| canonical::authority("tickets.corp.example:8443")), 0),
        ("a head that is read", count(|| request::read(&head, Kind::Navigation)), 1),
        ("a head that is cleaned", count(|| request::clean(&mut cleaned, is_own_cookie)), 4),
        ("a cookie that is found", count(|| Cookies::read(&head.headers).get(SESSION_COOKIE)), 0),
        ("a cookie that is opened", count(|| SessionCookie::open(&sealer, HOST, &cookie)), 2),
        ("an assertion that was kept", count(|| assertions.sign(&claims, NOW)), 0),
        ("an audit line", count(|| event.encode(&mut line)), 1),
    ] {
        println!("{what}: {counted} allocations");
        assert!(counted <= most, "{what}: {counted} allocations, {most} at most");
    }
}

/// What a gateway allocates for each request of a connection that is kept open.
fn requests() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (estate, visits) = scene::gateway::visits(&std::env::current_exe().unwrap()).await;
        for mut visit in visits {
            for _ in 0..WARMING_UP {
                visit.once().await;
            }
            allocated_since_last(&estate.at(SOCKET));
            for _ in 0..COUNTED {
                visit.once().await;
            }
            let each = f64::from(allocated_since_last(&estate.at(SOCKET))) / f64::from(COUNTED);
            println!("a request with {}: {each:.1} allocations", visit.name);
            assert!(each <= MOST_PER_REQUEST, "{each} allocations, {MOST_PER_REQUEST} at most");
        }
    });
}

fn allocated_since_last(socket: &Path) -> u32 {
    let mut said = String::new();
    UnixStream::connect(socket).unwrap().read_to_string(&mut said).unwrap();
    said.parse().unwrap()
}

/// The demo, which tells whoever connects how often its process allocated since it was asked last.
fn gateway() {
    #[derive(Parser)]
    enum Arguments {
        Demo(DemoArgs),
    }
    let Arguments::Demo(arguments) = Arguments::parse();
    std::fs::create_dir_all(&arguments.dir).unwrap();
    let socket = arguments.dir.join(SOCKET);
    // Left by one that found its port taken.
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let session = Session::new().no_stdout().no_file();
        let operation = session.operation("since the start");
        let (mut span, mut told) = (operation.measure_process(), 0);
        for stream in listener.incoming() {
            drop(span.iterations(1));
            let now = total(&session);
            // Begun before the answer, behind which the next request may follow at once.
            span = operation.measure_process();
            write!(stream.unwrap(), "{}", now - told).unwrap();
            told = now;
        }
    });
    std::process::exit(i32::from(demo::run(arguments) != std::process::ExitCode::SUCCESS));
}
