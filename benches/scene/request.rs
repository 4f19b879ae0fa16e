//! What is made of a browser's request.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use pingora::http::RequestHeader;
use std::net::{IpAddr, Ipv4Addr};
use tiergate::access::{DeviceTrust, Reason, Tier, Timestamp};
use tiergate::audit::{Event, Kind};
use tiergate::gateway::assertion::{Assertions, Claims, DeviceClaim};
use tiergate::session::{Sealer, SessionCookie, SessionId};
use tiergate::telemetry::Decided;
use time::macros::datetime;

pub const HOST: &str = "tickets.corp.example";
pub const NOW: Timestamp = 1_764_100_000;

/// The keys that cookies open with after a rotation, newest first.
pub fn sealer() -> Sealer {
    Sealer::new(&[[2; 32], [1; 32]])
}

/// The value of a session cookie that the key with this byte sealed.
pub fn cookie(key: u8) -> String {
    let session: SessionId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let cookie = SessionCookie { session, device: Some([9; 32]), issued: NOW };
    cookie.seal(&Sealer::new(&[[key; 32]]), HOST)
}

/// A browser's head with that cookie.
pub fn head() -> RequestHeader {
    super::head::head(HOST, &cookie(2))
}

pub fn assertions() -> Assertions {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    Assertions::new(&[("2026-11".to_owned(), pkcs8.as_ref().to_vec())]).unwrap()
}

/// What an upstream is told of a user.
pub fn claims() -> Claims {
    Claims {
        iss: "https://login.corp.example".to_owned(),
        sub: "local:ann".to_owned(),
        email: Some("ann@corp.example".to_owned()),
        groups: ["engineering", "on-call", "staff"].map(str::to_owned).to_vec(),
        device: DeviceClaim { id: Some("C02X1234".to_owned()), trust: DeviceTrust::Issued },
        tier: Tier::High,
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        auth_time: Some(NOW),
        sid: Some("0123456789abcdef0123456789abcdef".to_owned()),
        aud: "tickets".to_owned(),
    }
}

/// The event of a request that was let through.
pub fn event() -> Event {
    Event {
        request_id: "0198f2c0-7d5e-7c3a-9b1d-2f4e6a8c0b1d".parse().ok(),
        decision: Some(Decided::Allow),
        reason: Some(Reason::Allowed.code()),
        resource: Some("tickets".into()),
        tier: Some(Tier::High),
        rule: Some("policies/10-resources.yaml:24".into()),
        policy: Some(7),
        subject: Some("ann@corp.example".into()),
        provider: Some("local".into()),
        mfa: Some(true),
        auth_age: Some(1234),
        session: "0123456789abcdef0123456789abcdef".parse().ok(),
        device: Some("C02X1234".into()),
        device_authority: Some("corporate".into()),
        device_trust: Some(DeviceTrust::Issued),
        method: Some("GET".into()),
        host: Some(HOST.into()),
        path: Some("/browse/42".into()),
        client: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        status: Some(200),
        bytes_in: Some(0),
        bytes_out: Some(1024),
        duration_us: Some(512),
        ..Event::new(Kind::Decision, datetime!(2026-11-25 20:00:00.123456 UTC))
    }
}
