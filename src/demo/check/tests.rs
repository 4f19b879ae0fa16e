//! The check against a stand-in for the proxy: real TLS, real certificates, a sign-in in few words.

use super::*;

#[test]
fn the_expectation_is_the_tier_rule_itself() {
    for (tier, none, enrolled, issued) in
        [(Tier::Open, 200, 200, 200), (Tier::Low, 403, 200, 200), (Tier::High, 403, 403, 200)]
    {
        let got = DeviceTrust::ALL.map(|trust| expected(tier, trust));
        assert_eq!(got, [none, enrolled, issued], "{tier}");
    }
}

#[test]
fn a_table_shows_every_cell_and_marks_what_is_wrong() {
    let cell = |seen: Result<u16, &str>, expected| Cell { seen: seen.map_err(str::to_owned), expected };
    let good = Row {
        device: "none",
        version: "1.2",
        cells: [cell(Ok(200), 200), cell(Ok(403), 403), cell(Ok(403), 403)],
    };
    let bad = Row {
        device: "revoked",
        version: "1.3",
        cells: [cell(Ok(200), 200), cell(Ok(200), 403), cell(Err("the request failed"), 403)],
    };
    assert_eq!(
        table(&[good.clone(), bad.clone()]),
        "device    TLS   open (wiki.localhost)       low (tickets.localhost)     high (payroll.localhost)\n\
         none      1.2   200 allowed                 403 denied                  403 denied\n\
         revoked   1.3   200 allowed                 200 allowed  <-- wrong      failed  <-- wrong\n\
         \nrevoked on TLS 1.3 at tickets.localhost: 200; the rule says 403\
         \nrevoked on TLS 1.3 at payroll.localhost: the request failed; the rule says 403\n"
    );
    assert!(!holds(std::slice::from_ref(&good)), "a check that saw too little proves nothing");
    assert!(holds(&vec![good.clone(); 12]));
    assert!(!holds(&[vec![good; 11], vec![bad]].concat()));
}

mod stand_in;

/// Walks a stand-in that adds `mistake` to the tier rule.
#[expect(clippy::disallowed_methods, reason = "what speaks TLS here reads the clock itself")]
async fn walked(mistake: fn(&str, &str) -> bool) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = crate::demo::Options {
        folder: folder.path().to_owned(),
        listen: listener.local_addr().unwrap(),
        admin: "127.0.0.1:1".parse().unwrap(),
    };
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let estate = Estate::prepare(&options, now).unwrap();
    let server = tokio::spawn(stand_in::serve(listener, estate.pki.folder.clone(), now, mistake));
    let rows = walk(&estate).await.unwrap();
    server.abort();
    rows
}

#[tokio::test]
async fn a_proxy_that_keeps_the_rule_passes() {
    let rows = walked(|_, _| false).await;
    assert!(holds(&rows), "{}", table(&rows));
}

#[tokio::test]
async fn a_proxy_that_lets_one_device_in_too_many_does_not() {
    let rows = walked(|device, host| device == "revoked" && host == "payroll.localhost").await;
    assert!(!holds(&rows));
    let wrong = rows.iter().flat_map(|row| row.cells.iter()).filter(|cell| !cell.holds()).count();
    assert_eq!(wrong, 2, "once for each version:\n{}", table(&rows));
}
