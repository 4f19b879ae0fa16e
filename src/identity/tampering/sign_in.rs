//! Lies while somebody signs in.

use super::super::oidc::{Answer, Ask, OidcProvider};
use super::config;
use super::{Idp, NOW, REDIRECT, Script, signer, start, told, unsigned};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn one_lie_in_the_id_token_ends_the_sign_in() {
    type Lie = fn(&mut Script);
    let cases: &[(&str, Lie, &str)] = &[
        ("the truth", |_| {}, "ok ann@corp.test"),
        ("nonce", |s| s.claims["nonce"] = json!("other"), "the token is not of this sign-in"),
        ("issuer", |s| s.claims["iss"] = json!("https://evil"), "the token is another issuer's"),
        (
            "issuer slash",
            |s| s.claims["iss"] = json!(format!("{}/", s.issuer)),
            "the token is another issuer's",
        ),
        ("audience", |s| s.claims["aud"] = json!("other"), "the token is for somebody else"),
        (
            "expired",
            |s| s.claims["exp"] = json!(NOW - 60),
            "the token has expired, or does not say when it does",
        ),
        ("future", |s| s.claims["iat"] = json!(NOW + 61), "the token is not of now"),
        ("subject", |s| s.claims["sub"] = json!(7), "the token does not say who it is about"),
        ("at_hash", |s| s.claims["at_hash"] = json!("AAAA"), "the access token is not this token's"),
        ("typ", |s| s.header.typ = Some("at+jwt".to_owned()), "the token is of another type"),
        ("another key", |s| s.signer.key = signer("k1").key, "the token's signature is wrong"),
        (
            "unknown kid",
            |s| s.header.kid = Some("../../dev/null".to_owned()),
            "the token names no key of the provider",
        ),
        (
            "long kid",
            |s| s.header.kid = Some("k".repeat(257)),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        ("no kid, one key", |s| s.header.kid = None, "ok ann@corp.test"),
        (
            "no kid, two keys",
            |s| {
                s.header.kid = None;
                s.jwks = json!({"keys": [s.signer.jwk, signer("k2").jwk]});
            },
            "the token names no key of the provider",
        ),
        (
            "crit",
            |s| s.header.crit = Some(vec!["exp".to_owned()]),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "b64",
            |s| s.header.extras.insert("b64", false),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "nested",
            |s| s.header.cty = Some("JWT".to_owned()),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "embedded key",
            |s| {
                let other = signer("k1");
                s.header.jwk = Some(serde_json::from_value(other.jwk).unwrap());
                s.header.jku = Some("https://evil/jwks".to_owned());
                s.signer.key = other.key;
            },
            "the token's signature is wrong",
        ),
        (
            "embedded key that is not used",
            |s| s.header.jwk = Some(serde_json::from_value(signer("x").jwk).unwrap()),
            "ok ann@corp.test",
        ),
        (
            "none",
            |s| s.id_token = Some(unsigned(r#"{"alg":"none"}"#, &s.claims, "")),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "nOnE",
            |s| s.id_token = Some(unsigned(r#"{"alg":"nOnE","kid":"k1"}"#, &s.claims, "")),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "no signature",
            |s| s.id_token = Some(unsigned(r#"{"alg":"ES256","kid":"k1"}"#, &s.claims, "")),
            "the token's signature is wrong",
        ),
        (
            "symmetric with the public key",
            |s| {
                let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
                s.id_token = Some(
                    jsonwebtoken::encode(&header, &s.claims, &EncodingKey::from_secret(&s.signer.point))
                        .unwrap(),
                );
            },
            "the token's algorithm is not accepted",
        ),
        (
            "an algorithm of another kind of key",
            |s| s.id_token = Some(unsigned(r#"{"alg":"RS256","kid":"k1"}"#, &s.claims, "AAAA")),
            "the token names no key of the provider",
        ),
        (
            "an algorithm it does not announce",
            |s| s.discovery["id_token_signing_alg_values_supported"] = json!(["RS256"]),
            "the token's algorithm is not accepted",
        ),
        (
            "only symmetric announced",
            |s| s.discovery["id_token_signing_alg_values_supported"] = json!(["HS256", "none"]),
            "the provider signs with no algorithm that is accepted",
        ),
        (
            "padding",
            |s| s.id_token = Some(s.token() + "="),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "a fourth part",
            |s| s.id_token = Some(s.token() + ".AAAA"),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "a space",
            |s| s.id_token = Some(format!(" {}", s.token())),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "JSON form",
            |s| s.id_token = Some("{\"payload\":\"\"}".to_owned()),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        (
            "key for encryption",
            |s| {
                s.signer.jwk["use"] = json!("enc");
                s.jwks = json!({"keys": [s.signer.jwk]});
            },
            "the token names no key of the provider",
        ),
        (
            "key of another algorithm",
            |s| {
                s.signer.jwk["alg"] = json!("ES384");
                s.jwks = json!({"keys": [s.signer.jwk]});
            },
            "the token names no key of the provider",
        ),
        (
            "two keys of one id",
            |s| s.jwks = json!({"keys": [s.signer.jwk, signer("k1").jwk]}),
            "the token names no key of the provider",
        ),
        (
            "odd keys beside it",
            |s| {
                s.jwks = json!({"keys": [{"kty": "XYZ"}, 7, {}, {"kty": "RSA", "n": "!", "e": "AQAB"}, s.signer.jwk]});
            },
            "ok ann@corp.test",
        ),
        (
            "private key published",
            |s| {
                s.signer.jwk["d"] = json!("AAAA");
                s.jwks = json!({"keys": [s.signer.jwk]});
            },
            "the answer is not the JSON that was expected",
        ),
        ("no keys", |s| s.jwks = json!({"keys": []}), "the token names no key of the provider"),
        ("no key set", |s| s.jwks = json!([]), "the answer is not the JSON that was expected"),
        ("keys not served", |s| s.jwks_status = 500, "the answer has status 500"),
        ("groups as text", |s| s.claims["groups"] = json!("eng"), "ok ann@corp.test"),
        (
            "too many groups",
            |s| s.claims["groups"] = json!(vec!["g"; 5001]),
            "the provider sent more than 5000 groups",
        ),
    ];
    for (name, lie, want) in cases {
        let idp = start().await;
        lie_about_discovery(&idp, *lie);
        let got = if let Err(error) = idp.oidc.begin(REDIRECT, &Ask::default()).await {
            told(Err(error))
        } else {
            let (begun, answer) = idp.begin().await;
            lie(&mut idp.script.lock().unwrap());
            idp.complete(&begun, &answer, NOW).await
        };
        assert_eq!(got, *want, "{name}");
    }
}

/// What the discovery document says must be said before it is asked for.
fn lie_about_discovery(idp: &Idp, lie: fn(&mut Script)) {
    let mut script = idp.script.lock().unwrap();
    let (claims, header, jwks, jwk) =
        (script.claims.clone(), script.header.clone(), script.jwks.clone(), script.signer.jwk.clone());
    let key = script.signer.key.clone();
    lie(&mut script);
    (script.claims, script.header, script.jwks, script.signer.jwk) = (claims, header, jwks, jwk);
    (script.signer.key, script.id_token, script.jwks_status) = (key, None, 200);
}

#[tokio::test]
async fn an_answer_that_is_not_this_sign_ins_reaches_no_token_endpoint() {
    let idp = start().await;
    let (begun, answer) = idp.begin().await;
    let (other, _) = idp.begin().await;
    let text = |text: &str| Some(text.to_owned());
    for (wrong, want) in [
        (Answer { state: None, ..answer.clone() }, "the answer is not of this sign-in"),
        (Answer { state: text(""), ..answer.clone() }, "the answer is not of this sign-in"),
        (Answer { state: text("x"), ..answer.clone() }, "the answer is not of this sign-in"),
        (Answer { iss: None, ..answer.clone() }, "the answer is not the provider's"),
        (Answer { iss: text("https://evil"), ..answer.clone() }, "the answer is not the provider's"),
        (Answer { code: None, ..answer.clone() }, "the answer has no code"),
        (Answer { code: text(""), ..answer.clone() }, "the answer has no code"),
        (Answer { code: Some("c".repeat(4097)), ..answer.clone() }, "the answer has no code"),
        (
            Answer { error: text("access_denied"), ..answer.clone() },
            "the provider refused the sign-in with `access_denied`",
        ),
        (
            Answer { error: text("<script>"), code: None, ..answer.clone() },
            "the provider refused the sign-in with `script`",
        ),
    ] {
        assert_eq!(idp.complete(&begun, &wrong, NOW).await, want);
    }
    assert_eq!(idp.complete(&other, &answer, NOW).await, "the answer is not of this sign-in");
    assert_eq!(idp.script.lock().unwrap().token_asked, 0);
}

#[tokio::test]
async fn a_provider_that_is_not_the_configured_one_is_not_used() {
    type Lie = fn(&mut Script);
    let cases: &[(Lie, &str)] = &[
        (
            |s| s.discovery["issuer"] = json!("https://evil"),
            "the provider calls itself `https://evil`, which is not the configured issuer",
        ),
        (
            |s| s.discovery["token_endpoint"] = json!("http://tokens.test/"),
            "`http://tokens.test/` is not an https URL",
        ),
        (
            |s| s.discovery["authorization_endpoint"] = json!("javascript:alert(1)"),
            "`javascript:alert(1)` is not an https URL",
        ),
        (|s| s.discovery["jwks_uri"] = json!(7), "the answer is not the JSON that was expected"),
        (|s| s.discovery = json!({}), "the answer is not the JSON that was expected"),
    ];
    for (lie, want) in cases {
        let idp = start().await;
        lie(&mut idp.script.lock().unwrap());
        let got = idp.oidc.begin(REDIRECT, &Ask::default()).await.map(|begun| begun.url);
        assert_eq!(told(got), *want);
        let again = idp.oidc.begin(REDIRECT, &Ask::default()).await.map(|begun| begun.url);
        assert_eq!(told(again), "the provider's configuration could not be had a moment ago");
    }
    let idp = start().await;
    let issuer = idp.script.lock().unwrap().issuer.clone();
    let slash = OidcProvider::load("workforce", &config(&format!("{issuer}/")), None).unwrap();
    let got = slash.begin(REDIRECT, &Ask::default()).await.map(|begun| begun.url);
    assert_eq!(
        told(got),
        format!("the provider calls itself `{issuer}`, which is not the configured issuer")
    );
}

#[tokio::test]
async fn a_token_endpoint_that_fails_signs_nobody_in() {
    type Failure = fn() -> Response;
    let cases: &[(Failure, &str)] = &[
        (|| StatusCode::INTERNAL_SERVER_ERROR.into_response(), "the answer has status 500"),
        (|| (StatusCode::FOUND, [("location", "/token")]).into_response(), "the answer has status 302"),
        (
            || (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response(),
            "the provider refused the code with `invalid_grant`",
        ),
        (
            || (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "x"}))).into_response(),
            "the answer has status 500",
        ),
        (|| "{}".into_response(), "the answer is not the JSON that was expected"),
        (
            || Json(json!({"access_token": "at"})).into_response(),
            "the answer is not the JSON that was expected",
        ),
        (|| Json(json!({"id_token": 7})).into_response(), "the answer is not the JSON that was expected"),
        (
            || ([("content-type", "application/json")], vec![b' '; 5_000_000]).into_response(),
            "the answer has more than 1048576 bytes",
        ),
    ];
    for (answer, want) in cases {
        let idp = start().await;
        let (begun, good) = idp.begin().await;
        idp.script.lock().unwrap().token_answer = Some(*answer);
        assert_eq!(idp.complete(&begun, &good, NOW).await, *want);
    }
}

#[tokio::test]
async fn the_userinfo_endpoint_fills_what_the_token_left_open_and_nothing_else() {
    let who = |more: Value, left_out: &'static [&'static str]| async move {
        let idp = start().await;
        let (begun, answer) = idp.begin().await;
        {
            let mut script = idp.script.lock().unwrap();
            for claim in left_out {
                script.claims.as_object_mut().unwrap().remove(*claim);
            }
            script.userinfo = (!more.is_null()).then_some(more);
        }
        let who = idp.oidc.complete(REDIRECT, &begun.pending, &answer, NOW).await;
        told(who.map(|who| format!("{} {:?} {:?}", who.user, who.email, who.groups)))
    };
    let full = json!({"sub": "1", "email": "x@evil.test", "email_verified": true, "groups": ["root"], "preferred_username": "p"});
    assert_eq!(who(full.clone(), &[]).await, "ok ann@corp.test Some(\"ann@corp.test\") [\"eng\"]");
    assert_eq!(who(full.clone(), &["groups"]).await, "ok ann@corp.test Some(\"ann@corp.test\") [\"root\"]");
    assert_eq!(
        who(full.clone(), &["email_verified"]).await,
        "ok x@evil.test Some(\"x@evil.test\") [\"eng\"]"
    );
    assert_eq!(
        who(json!({"sub": "1", "email_verified": true}), &["email_verified"]).await,
        "ok 1 None [\"eng\"]"
    );
    assert_eq!(who(json!({"sub": "1"}), &["groups"]).await, "ok ann@corp.test Some(\"ann@corp.test\") []");
    assert_eq!(
        who(json!({"sub": "2", "groups": ["root"]}), &["groups"]).await,
        "the provider spoke of somebody else"
    );
    assert_eq!(who(json!({"groups": ["root"]}), &["groups"]).await, "the provider spoke of somebody else");
    assert_eq!(who(Value::Null, &["groups"]).await, "the answer has status 500");
}
