//! A proxy in few words: TLS with the real verifier, the real judgement, and a sign-in by redirects.

use crate::access::{DeviceTrust, Timestamp};
use crate::config::{Authority, TrustDomain};
use crate::demo::HOSTS;
use crate::device::{DeviceVerifier, Evidence, Judgement, Presented, TrustStore};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

pub(super) async fn serve(
    listener: std::net::TcpListener,
    certs: PathBuf,
    now: Timestamp,
    mistake: fn(&str, &str) -> bool,
) {
    let trust = Arc::new(trust(&certs));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = DeviceVerifier::new(trust.hints().to_vec(), Arc::clone(&provider), Arc::default());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certs.join("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(certs.join("server.key")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let port = listener.local_addr().unwrap().port();
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let judgement = match stream.get_ref().1.peer_certificates() {
            Some(chain) => Evidence::parse(chain).unwrap().judge(&trust, now),
            None => Judgement::nothing(),
        };
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !complete(&request) {
            match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        let answer = answer(&String::from_utf8_lossy(&request), &judgement, port, mistake);
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

fn trust(certs: &Path) -> TrustStore {
    let authority = |name: &str, grants| Authority {
        name: name.to_owned(),
        ca: vec![certs.join(format!("{name}-ca.pem"))],
        grants,
        crl: vec![certs.join(format!("{name}.crl"))],
        ..Authority::default()
    };
    let domain = TrustDomain { name: "corp.example".to_owned(), bundle: certs.join("workload-ca.pem") };
    let authorities = [authority("corporate", DeviceTrust::Issued), authority("mdm", DeviceTrust::Enrolled)];
    TrustStore::load(&authorities, &[domain], 1).unwrap()
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.is_none_or(|length| body.len() >= length.trim().parse().unwrap())
}

fn answer(request: &str, judgement: &Judgement, port: u16, mistake: fn(&str, &str) -> bool) -> String {
    let header = |name: &str| {
        let mut lines = request.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    };
    let host = header("host").split(':').next().unwrap_or_default();
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let reply = |status: &str, headers: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let back = |to: &str| format!("https://{to}:{port}");
    if host == "login.localhost" {
        let to = target.split("state=").nth(1).unwrap_or_default();
        let known = header("cookie").contains("__Host-login=1");
        if method == "POST" {
            let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
            let ours = header("origin") == back("login.localhost") && body.contains("csrf=c%26c");
            let right = ours && body.contains("user=admin%40corp.example");
            let Some(to) =
                body.split("state=").nth(1).and_then(|rest| rest.split('&').next()).filter(|_| right)
            else {
                return reply("403", "", "no");
            };
            let page = format!("<meta http-equiv=\"refresh\" content=\"0; url={}/ticket\">", back(to));
            return reply("200", "Set-Cookie: __Host-login=1; Path=/; Secure\r\n", &page);
        }
        if known {
            return reply("303", &format!("Location: {}/ticket\r\n", back(to)), "");
        }
        let form = format!(
            "<form action=\"/sign-in\"><input type=\"hidden\" name=\"csrf\" value=\"c&#38;c\">\
             <input type=\"hidden\" name=\"state\" value=\"{to}\"><input name=\"user\"><input name=\"password\"></form>"
        );
        return reply("200", "", &form);
    }
    if target == "/ticket" {
        return reply("302", "Set-Cookie: __Host-s=1; Path=/\r\nLocation: /headers\r\n", "");
    }
    let seen = "{\"path\":\"/headers\"}";
    let tier = HOSTS.iter().find(|(name, _)| *name == host).unwrap().1;
    let device = judgement.id.as_deref().unwrap_or("none");
    let allowed = match judgement.kind {
        Presented::Workload => host == "payroll.localhost",
        Presented::Nothing | Presented::Device if !header("cookie").contains("__Host-s=1") => {
            return reply(
                "302",
                &format!("Location: {}/sign-in?state={host}\r\n", back("login.localhost")),
                "",
            );
        }
        Presented::Nothing | Presented::Device => judgement.device().trust >= tier.required_trust(),
    };
    if allowed || mistake(device, host) { reply("200", "", seen) } else { reply("403", "", "denied") }
}
