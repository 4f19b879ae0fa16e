//! A zero-trust access proxy. A network address is never a credential: every request is decided anew,
//! from who asks, from which device, and how sensitive the resource is.
//!
//! # The house
//!
//! Folders are the parts of the problem. Arrows point at what a part may use; nothing points up.
//!
//! ```text
//!                         main            arguments → one command; the only exit code
//!                          │
//!         cli/ one file a command         server: builds everything, owns start and shutdown
//!                          │
//!    ┌──────────┬──────────┼───────────┬───────────┬──────────┐        SHELL
//!  gateway/   admin/     reload      audit/     telemetry/  state/     sockets, files, clocks,
//!  (the PEP)  health,    files →     events,    metrics,    SQLite     databases
//!    │        API        snapshot    writer     logs
//!    ├─ login/      how people sign in and out    pages/   what people read
//!    ├─ session/    cookies, tickets, who is signed in
//!    ├─ identity/   credentials → somebody
//!    ├─ device/     certificates → device trust
//!    ├─ inventory/  what is known of devices, from every source that says something
//!    │
//!    ▼
//!  workbench/         what a policy allows: prove, try, explain, diff
//!    │
//!    ▼
//!  config/, policy/   text → Config, Policy: raw, resolve, diagnose    CORE
//!    │                (text/: what people write in files)              values in, values out
//!    ▼
//!  access/      tier, facts, decide, reason, permit, obligations (the PDP)
//! ```
//!
//! # A request, as data
//!
//! ```text
//! bytes ─► gateway/wire         a head in plain RFC 9112, or refused before the framework reads it
//!       ─► text/canonical       one host, one path, or refused
//!       ─► gateway/identify     a workload, a session, a bearer token, or nobody
//!       ─► access/decide        Allow(Permit) | Deny(Reason) | Challenge(Step, Reason)
//!       ─► gateway/forward      takes the Permit: it names the upstream and carries the obligations
//!        or gateway/respond     the one place where a Reason becomes a status, a page, a problem document
//!       ─► gateway/record       one audit event and the metrics, also for a request that failed
//! ```
//!
//! # Invariants
//!
//! - **The core does no I/O** and reads no clock: `access/`, `policy/`, `workbench/`, `config/` and `text/` name neither
//!   the proxy framework, a runtime nor a database. `now` is a field of the facts.
//! - **No permit, no upstream.** [`access::Permit`] has private fields and one maker, and
//!   [`gateway::forward::Forward`], which alone knows upstreams, is made from one.
//! - **Obligations are destructured without `..`** where they are enforced: a new one does not compile
//!   until it is enforced.
//! - **One snapshot.** A request takes one [`snapshot::Snapshot`] and sees one policy, one set of
//!   authorities, one directory from start to end. A snapshot is replaced whole or not at all.
//! - **Decide on what you forward.** The canonical path is what is matched, logged and sent.
//! - **A device fact is believed for each request, not for each handshake.** Handshakes yield
//!   [`device::Evidence`]; trust is computed from it and the snapshot at `now`.
//! - **A request under way is judged again** at every pulse of [`gateway::scope::Heart`]: each second, and
//!   at once when a session ends or the snapshot changes. What is no longer allowed is cut off.
//! - **One client-auth setting for the whole listener**, so that neither SNI, nor coalescing, nor
//!   resumption carries a weaker handshake to a stricter host.
//! - **Unknown is not allowed**: unknown resource, field, reason, header form, TLS state.
//! - **The client learns what to do; the operator learns why; nobody learns a secret.**
//! - **Every buffer, list, wait and retry has a bound**, named where it is used.
//!
//! # Where this differs from what one might expect
//!
//! - The listener is tiergate's own, not the framework's: certificates, authorities, TLS versions and
//!   limits are then one swap of the snapshot, and a request's bytes pass [`gateway::wire`] first.
//! - Files are looked at instead of subscribed to ([`snapshot::Fingerprint`]): that sees a symbolic link
//!   that is swapped and a folder that is replaced, which subscriptions miss.

pub mod access;
pub mod admin;
pub mod audit;
pub mod cli;
pub mod config;
pub mod demo;
pub mod development_ca;
pub mod device;
pub mod device_changes;
pub mod diagnostic;
mod fetch;
mod files;
pub mod gateway;
pub mod identity;
pub mod inventory;
pub mod login;
pub mod pages;
pub mod policy;
pub mod policy_files;
mod readiness;
pub mod reload;
pub mod server;
pub mod session;
pub mod sign_in_events;
pub mod snapshot;
pub mod state;
pub mod telemetry;
pub mod text;
pub mod workbench;
