use super::*;
use crate::access::{Record, Timestamp};
use std::os::unix::fs::PermissionsExt;

const DAY: Timestamp = 86_400;
const NOW: Timestamp = 1_800_000_000;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn folder_and_files_are_closed_to_others_even_where_they_were_open() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a/state");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    let state = State::open(&dir).await.unwrap();
    state.keys(NOW).await.unwrap();
    assert_eq!(mode(&dir), 0o700);
    for file in std::fs::read_dir(&dir).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn keys_are_made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).await.unwrap();
    let first = state.keys(NOW).await.unwrap();
    state.close().await;
    let again = State::open(dir.path()).await.unwrap().keys(NOW + DAY).await.unwrap();
    assert_eq!(first.cookies, again.cookies);
    assert_eq!(first.assertion_pkcs8[0].pkcs8, again.assertion_pkcs8[0].pkcs8);
    assert_eq!((first.cookies.len(), first.assertion_pkcs8.len()), (1, 1));
    assert!(format!("{first:?}").len() < 120, "a secret in debug output: {first:?}");
}

#[tokio::test]
async fn a_new_cookie_key_seals_and_the_old_one_opens_until_it_is_thirty_days_old() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).await.unwrap();
    let first = state.keys(NOW).await.unwrap();
    for (after, due, cookies, assertions) in [
        (10 * DAY - 1, false, 1, 1),
        (10 * DAY, true, 2, 1),
        (20 * DAY, true, 3, 1),
        (30 * DAY - 1, false, 3, 1),
        (30 * DAY, true, 3, 2),
        (60 * DAY, true, 1, 2),
    ] {
        let before = state.keys(NOW + after - 1).await.unwrap();
        assert_eq!(before.rotate_due(NOW + after), due, "{after}");
        let ring = state.keys(NOW + after).await.unwrap();
        assert!(!ring.rotate_due(NOW + after), "{after}");
        assert_eq!((ring.cookies.len(), ring.assertion_pkcs8.len()), (cookies, assertions), "{after}");
        assert_eq!(ring.cookies.contains(&first.cookies[0]), after < 30 * DAY, "the first key after {after}");
    }
}

#[tokio::test]
async fn a_state_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 3").execute(&state.pool).await.unwrap();
    state.close().await;
    assert!(matches!(State::open(dir.path()).await, Err(StateError::Version(3))));
}

#[tokio::test]
async fn a_state_of_an_older_version_is_brought_up_to_date_with_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).await.unwrap();
    let keys = state.keys(NOW).await.unwrap();
    // As version 1 left it.
    sqlx::raw_sql("DROP TABLE devices; PRAGMA user_version = 1").execute(&state.pool).await.unwrap();
    state.close().await;
    let state = State::open(dir.path()).await.unwrap();
    assert_eq!(state.keys(NOW).await.unwrap().cookies, keys.cookies);
    assert_eq!(state.devices().await.unwrap().len(), 0);
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&state.pool).await.unwrap();
    assert_eq!(version, 2);
}

fn device(id: &str, state: crate::access::State) -> std::sync::Arc<Record> {
    std::sync::Arc::new(Record { state: Some(state), ..Record::new(id) })
}

#[tokio::test]
async fn records_of_devices_are_kept_and_replaced_by_their_id() {
    use crate::access::State::{Active, Lost, Retired};
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).await.unwrap();
    let odd = "a'b\"\\ {}/%2F";
    let many: Vec<_> = (0..2500).map(|at| device(&format!("d{at:04}"), Active)).collect();
    state.put_devices(&many).await.unwrap();
    state.put_devices(&[device(odd, Lost), device("d0001", Retired)]).await.unwrap();
    state.drop_device("d0002").await.unwrap();
    state.close().await;
    let state = State::open(dir.path()).await.unwrap();
    let records = state.devices().await.unwrap();
    assert_eq!(records.len(), 2500);
    let said = |id: &str| records.iter().find(|it| &*it.id == id).and_then(|it| it.state);
    assert_eq!(
        (said(odd), said("d0001"), said("d0002"), said("d2499")),
        (Some(Lost), Some(Retired), None, Some(Active))
    );
    // What cannot be read may say that a device is lost.
    for broken in ["{}", "{\"id\":\"other\"}", "{\"id\":\"d0001\",\"state\":\"gone\"}"] {
        sqlx::query("UPDATE devices SET record = ? WHERE id = 'd0001'")
            .bind(broken)
            .execute(&state.pool)
            .await
            .unwrap();
        assert!(matches!(state.devices().await, Err(StateError::Corrupt("devices"))), "{broken}");
    }
}
