//! The certificates and sessions of the measurement, made anew for each, all on P-256.
//!
//! | file | what it is |
//! |---|---|
//! | `server` | the proxy's certificate, from `server-ca` |
//! | `device` | a managed device, from `device-ca` |
//! | `lowtier` | a device of `device-ca` that is not managed, and is on its list `device-ca.crl` |
//! | `stranger` | the same names as `device`, from an authority that nobody knows |
//! | `session` | the key that signs the sessions of proxies without sign-in: public as PEM and JWKS |

use crate::Result;
use crate::client::HOST;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{
    Certificate, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use time::{Duration, OffsetDateTime};

/// The identifier of the key that signs sessions.
const KID: &str = "session-key";
/// Who says that somebody is signed in.
const ISSUER: &str = "https://idp.test";

/// `Cookie` headers: one that is to be let in, and those that are not.
#[derive(Clone, Debug)]
pub struct Sessions {
    pub good: String,
    pub over: String,
    pub forged: String,
}

/// Makes everything in this folder.
pub fn make(folder: &Path) -> Result<Sessions> {
    let server_ca = Authority::make(folder, "server-ca")?;
    server_ca.leaf("server", "", ExtendedKeyUsagePurpose::ServerAuth)?;
    let device_ca = Authority::make(folder, "device-ca")?;
    device_ca.leaf("device", "tier-managed", ExtendedKeyUsagePurpose::ClientAuth)?;
    let lost = device_ca.leaf("lowtier", "tier-unknown", ExtendedKeyUsagePurpose::ClientAuth)?;
    device_ca.revoke(lost)?;
    let other_ca = Authority::make(folder, "other-ca")?;
    other_ca.leaf("stranger", "tier-managed", ExtendedKeyUsagePurpose::ClientAuth)?;
    sessions(folder)
}

struct Authority<'a> {
    folder: &'a Path,
    name: &'a str,
    issuer: Issuer<'static, KeyPair>,
}

impl<'a> Authority<'a> {
    fn make(folder: &'a Path, name: &'a str) -> Result<Self> {
        let mut params = params(name, "")?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        keep(folder, name, &certificate, &key)?;
        Ok(Self { folder, name, issuer: Issuer::new(params, key) })
    }

    /// A certificate with its key; its serial number.
    fn leaf(&self, name: &str, unit: &str, usage: ExtendedKeyUsagePurpose) -> Result<SerialNumber> {
        let common_name = match name {
            "server" => HOST,
            // A stranger shows the same names as the device.
            "stranger" => "device-0001",
            "lowtier" => "device-0002",
            _ => "device-0001",
        };
        let mut params = params(common_name, unit)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let serial = SerialNumber::from(random::<16>()?.to_vec());
        params.serial_number = Some(serial.clone());
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        keep(self.folder, name, &certificate, &key)?;
        Ok(serial)
    }

    fn revoke(&self, serial: SerialNumber) -> Result<()> {
        let now = OffsetDateTime::now_utc();
        let revoked = RevokedCertParams {
            serial_number: serial,
            revocation_time: now - Duration::hours(1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now - Duration::hours(1),
            next_update: now + Duration::days(30),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer)?;
        std::fs::write(self.folder.join(format!("{}.crl", self.name)), list.pem()?)?;
        Ok(())
    }
}

/// Writes a certificate, and its key for nobody else to read.
fn keep(folder: &Path, name: &str, certificate: &Certificate, key: &KeyPair) -> Result<()> {
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
    options.open(folder.join(format!("{name}.key")))?.write_all(key.serialize_pem().as_bytes())?;
    Ok(())
}

fn params(common_name: &str, unit: &str) -> Result<CertificateParams> {
    let names = if common_name == HOST { vec![HOST.to_owned(), "localhost".to_owned()] } else { Vec::new() };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Compared");
    if !unit.is_empty() {
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(30);
    Ok(params)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| "no random numbers")?;
    // A serial number is positive.
    bytes[0] = bytes[0] & 0x7f | 1;
    Ok(bytes)
}

/// What an identity provider would say of somebody who signed in.
#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    sub: &'static str,
    aud: &'static str,
    iat: i64,
    exp: i64,
    groups: [&'static str; 2],
}

fn sessions(folder: &Path) -> Result<Sessions> {
    let key = KeyPair::generate()?;
    std::fs::write(folder.join("session.pub.pem"), key.public_key_pem())?;
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    let jwk = serde_json::json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KID,
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    });
    std::fs::write(folder.join("session.jwks"), serde_json::json!({ "keys": [jwk] }).to_string())?;
    let secret = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes())?;
    let header = Header { kid: Some(KID.to_owned()), ..Header::new(Algorithm::ES256) };
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let cookie = |exp| -> Result<String> {
        let groups = ["staff", "engineering"];
        let claims = Claims { iss: ISSUER, sub: "alice", aud: "app", iat: now - 7200, exp, groups };
        Ok(format!("session={}", jsonwebtoken::encode(&header, &claims, &secret)?))
    };
    let good = cookie(now + 30 * 86_400)?;
    Ok(Sessions { forged: forged(&good), over: cookie(now - 3600)?, good })
}

/// The same cookie with another end, which is its signature or its seal.
pub fn forged(cookie: &str) -> String {
    let (kept, end) = cookie.split_at(cookie.len().saturating_sub(8));
    format!("{kept}{}", if end == "AAAAAAAA" { "BBBBBBBB" } else { "AAAAAAAA" })
}
