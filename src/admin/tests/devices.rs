//! What the API shows and changes of devices.

use super::*;
use crate::access::Record;
use crate::inventory::{Interner, Inventory, Source, patched};
use serde_json::json;

/// An inventory without anything that keeps it.
#[derive(Default)]
pub(super) struct Said {
    inventory: Arc<Inventory>,
    by: Mutex<Vec<String>>,
}

impl Devices for Said {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn change(&self, id: &str, wish: Wish, by: By) -> BoxFuture<'static, Result<(), NotChanged>> {
        self.by.lock().unwrap().extend(by.comment.map(|it| it.as_str().to_owned()));
        let before = self.inventory.said_by(Source::Api, id);
        let after = match wish {
            Wish::Whole(record) => Ok(Some(Arc::new(record))),
            Wish::Patch(patch) => patched(id, before.as_deref(), &patch, &mut Interner::default())
                .map(|record| Some(Arc::new(record)))
                .map_err(NotChanged::Form),
            Wish::Nothing => before.map(|_| None).ok_or(NotChanged::NotSaid),
        };
        let done = after.map(|after| _ = self.inventory.put(Source::Api, id, after));
        Box::pin(async move { done })
    }

    fn import(&self, records: Vec<Arc<Record>>, _: By) -> BoxFuture<'static, Result<usize, NotChanged>> {
        let put = |record: Arc<Record>| self.inventory.put(Source::Api, &record.id.clone(), Some(record));
        let changed = records.into_iter().filter_map(put).count();
        Box::pin(async move { Ok(changed) })
    }
}

/// A listener whose file says these.
fn with(records: &[&str]) -> (Bench, Arc<Said>) {
    let mut bench = bench(LOOPBACK, vec![], Ok(1));
    let said = Arc::new(Said::default());
    let read = |text: &&str| {
        Arc::new(crate::inventory::from_json(text.as_bytes(), &mut Interner::default()).unwrap())
    };
    said.inventory.replace(Source::File, records.iter().map(read));
    Arc::get_mut(&mut bench.admin).unwrap().devices = Arc::clone(&said) as Arc<dyn Devices>;
    (bench, said)
}

async fn call(bench: &Bench, method: &str, path: &str, body: &str) -> (u16, Value) {
    let right = format!("Bearer {TOKEN}");
    let path = format!("/api/v1/devices{path}");
    let answer = send(bench, method, &path, &[HOST, ("authorization", &right)], body).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_device_is_shown_with_what_each_source_says() {
    let (bench, said) = with(&[r#"{"id":"a","state":"lost","owner":"ann"}"#]);
    assert_eq!(call(&bench, "GET", "/b", "").await.0, 404);
    let (status, known) = call(&bench, "PATCH", "/a?reason=found%20again", r#"{"state":"active"}"#).await;
    assert_eq!(status, 200);
    assert_eq!(
        known,
        json!({
            "device": { "id": "a", "state": "lost", "owner": "ann" },
            "sources": {
                "api": { "id": "a", "state": "active" },
                "file": { "id": "a", "state": "lost", "owner": "ann" },
            },
        })
    );
    assert_eq!(*said.by.lock().unwrap(), ["found again"]);
    assert_eq!(call(&bench, "GET", "/a", "").await.1, known);
    let (_, known) = call(&bench, "PUT", "/a", r#"{"trust":"none"}"#).await;
    assert_eq!(known["sources"]["api"], json!({ "id": "a", "trust": "none" }));
    let (status, known) = call(&bench, "DELETE", "/a", "").await;
    assert_eq!((status, known["sources"].as_object().unwrap().len()), (200, 1));
    assert_eq!(call(&bench, "DELETE", "/a", "").await.0, 404);
}

#[tokio::test]
async fn an_id_is_decoded_once_and_whatever_it_is_called() {
    let (bench, said) = with(&[]);
    for (path, id) in [
        ("/a%2Fb", "a/b"),
        ("/a%252Fb", "a%2Fb"),
        ("/a%20b", "a b"),
        ("/import", "import"),
        ("/%69mport", "import"),
        ("/urn:uuid:1", "urn:uuid:1"),
        ("/{id}", "{id}"),
    ] {
        assert_eq!(call(&bench, "PUT", path, r#"{"state":"lost"}"#).await.0, 200, "{path}");
        assert!(said.inventory.get(id).is_some(), "{path}");
        assert_eq!(call(&bench, "GET", path, "").await.1["device"]["id"], id, "{path}");
    }
    for path in ["/%C3%A9", "/%00", "/a%20", "/%FF", &format!("/{}", "a".repeat(129))] {
        assert_eq!(call(&bench, "GET", path, "").await.0, 400, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_record_changes_nothing() {
    let (bench, said) = with(&[]);
    for (method, path, body, status) in [
        ("PUT", "/a", r#"{"state":"stolen"}"#, 422),
        ("PUT", "/a", r#"{"id":"b"}"#, 422),
        ("PUT", "/a", r#"{"stat":"lost"}"#, 422),
        ("PUT", "/a", "[]", 422),
        ("PUT", "/a", "", 422),
        ("PATCH", "/a", r#"{"state":"stolen"}"#, 422),
        ("PATCH", "/a", "state=lost", 400),
        ("PATCH", "/a?reason=", r#"{"state":"lost"}"#, 400),
        ("PATCH", "/a?why=x", r#"{"state":"lost"}"#, 400),
        ("POST", "/a", r#"{"state":"lost"}"#, 405),
    ] {
        let (got, problem) = call(&bench, method, path, body).await;
        assert_eq!(
            (got, problem["status"].as_u64()),
            (status, Some(u64::from(status))),
            "{method} {path} {body}"
        );
        assert!(said.inventory.is_empty(), "{method} {path} {body}");
    }
    let (_, problem) = call(&bench, "PUT", "/a", r#"{"state":"stolen","trust":"high"}"#).await;
    let told = problem["diagnostics"].as_str().unwrap();
    assert_eq!(
        told,
        "unknown trust `high`: one of `none`, `enrolled`, `issued`\nunknown state `stolen`: one of `active`, `quarantined`, `retired`, `lost`"
    );
}

#[tokio::test]
async fn a_list_comes_in_pages_and_by_what_is_asked_for() {
    let (bench, _) = with(&[
        r#"{"id":"a"}"#,
        r#"{"id":"b","state":"lost","owner":"Ann"}"#,
        r#"{"id":"c","ownership":"personal","trust":"issued","owner":"bob"}"#,
        r#"{"id":"d","trust":"none","state":"active"}"#,
    ]);
    for (query, want, next) in [
        ("", "abcd", Value::Null),
        ("?limit=2", "ab", json!("b")),
        ("?limit=2&after=b", "cd", json!("d")),
        ("?limit=2&after=d", "", Value::Null),
        ("?state=active", "acd", Value::Null),
        ("?state=lost&limit=1", "b", json!("b")),
        ("?trust=enrolled", "c", Value::Null),
        ("?trust=issued", "ab", Value::Null),
        ("?owner=ann", "b", Value::Null),
        ("?owner=ann&state=active", "", Value::Null),
    ] {
        let (status, list) = call(&bench, "GET", query, "").await;
        let ids: String =
            list["devices"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!((status, ids.as_str(), &list["next"]), (200, want, &next), "{query}");
    }
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?state=gone",
        "?trust=high",
        "?owned=ann",
        "?limit=1&limit=2",
    ] {
        assert_eq!(call(&bench, "GET", query, "").await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn a_page_looks_at_so_many_devices_and_says_where_to_go_on() {
    let (bench, said) = with(&[]);
    let records = (0..45_000).map(|at| Arc::new(Record::new(&format!("{at:05}"))));
    said.inventory.replace(Source::File, records);
    let (_, first) = call(&bench, "GET", "?state=lost", "").await;
    assert_eq!((first["devices"].as_array().unwrap().len(), first["next"].as_str()), (0, Some("19999")));
    let (_, last) = call(&bench, "GET", "?state=lost&after=39999", "").await;
    assert_eq!(last["next"], Value::Null);
}

#[tokio::test]
async fn an_import_is_all_or_nothing_unless_it_is_asked_to_skip() {
    let (bench, said) = with(&[]);
    let lines = "{\"id\":\"a\",\"state\":\"lost\"}\n\n{\"id\":\"b\",\"state\":\"x\"}\n{\"id\":\"a\"}\n{\"id\":\"c\"}\n";
    let (status, problem) = call(&bench, "POST", "/import", lines).await;
    assert_eq!((status, &problem["bad_lines"]), (422, &json!(2)));
    assert_eq!(problem["mistakes"][0]["line"], 3);
    assert_eq!(
        problem["mistakes"][1],
        json!({ "line": 4, "message": "device `a` stands twice: first stated in line 1" })
    );
    assert!(said.inventory.is_empty());
    let (status, done) = call(&bench, "POST", "/import?skip_bad_lines=true", lines).await;
    assert_eq!(status, 200);
    let counts = ["records", "changed", "bad_lines"].map(|key| done[key].as_u64().unwrap());
    assert_eq!((counts, done["mistakes"].as_array().unwrap().len()), ([2, 2, 2], 2));
    // What the API said of others stays; more than the limit of other bodies is taken.
    let many: String = (0..5000).map(|at| format!("{{\"id\":\"m{at}\"}}\n")).collect();
    assert!(many.len() > BODY_LIMIT);
    let (status, done) = call(&bench, "POST", "/import", &many).await;
    assert_eq!((status, done["records"].as_u64(), said.inventory.len()), (200, Some(5000), 5002));
    assert_eq!(call(&bench, "POST", "/import", "").await.1["records"], 0);
}
