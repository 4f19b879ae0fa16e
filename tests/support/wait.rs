//! Waiting for what happens soon: asked again and again, and never for ever.

use std::time::{Duration, Instant};

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is yes.
pub async fn until(what: &str, yes: impl AsyncFnMut() -> bool) {
    assert!(soon(yes).await, "waited in vain: {what}");
}

/// Whether the answer becomes yes.
pub async fn soon(mut yes: impl AsyncFnMut() -> bool) -> bool {
    let began = Instant::now();
    while !yes().await {
        if began.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}
