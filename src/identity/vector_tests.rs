//! Wycheproof's JSON Web Signature and Key vectors against the one path that verifies tokens here.
//!
//! The vectors sign plain texts such as `foo`, which are no claims: a signature that was accepted
//! shows as [`JwtError::Claims`].

use super::jwks::{JwtError, KeySet, header, verify};
use serde_json::{Value, json};

fn accepted(keys: &Value, token: &str) -> bool {
    let set = if keys.get("keys").is_some() { keys.clone() } else { json!({"keys": [keys]}) };
    let Ok(keys) = KeySet::parse(set.to_string().as_bytes()) else {
        return false;
    };
    let Ok(header) = header(token) else {
        return false;
    };
    let Some(key) = keys.find(&header) else {
        return false;
    };
    matches!(verify(token, &header, &key), Ok(_) | Err(JwtError::Claims))
}

/// The number of vectors, and the comments of the valid ones that were accepted.
fn run(file: &str) -> (usize, Vec<String>) {
    let path = format!("{}/tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut count = 0;
    let mut good = Vec::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let keys = group.get("public").unwrap_or(&group["private"]);
        for test in group["tests"].as_array().unwrap() {
            count += 1;
            let name = format!("{} {} {}", test["tcId"], group["comment"], test["comment"]);
            if accepted(keys, test["jws"].as_str().unwrap()) {
                assert_eq!(test["result"], "valid", "{name} was accepted");
                good.push(name);
            }
        }
    }
    assert_eq!(vectors["numberOfTests"], count);
    (count, good)
}

#[test]
fn no_invalid_signature_of_the_vectors_is_accepted_and_asymmetric_valid_ones_are() {
    let (count, good) = run("json_web_signature_test.json");
    assert_eq!(count, 401);
    // The other valid ones are symmetric or ES512, which are not accepted at all.
    assert_eq!(good.len(), 32, "{good:#?}");
}

#[test]
fn no_invalid_key_of_the_vectors_is_accepted() {
    let (count, good) = run("json_web_key_test.json");
    assert_eq!(count, 26);
    assert!(good.iter().all(|name| name.contains("accepts")), "{good:#?}");
}
