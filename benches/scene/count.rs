//! Allocations, counted.

use alloc_tracker::Session;
use std::hint::black_box;

/// Allocations of this thread in the closure.
pub fn count<T>(what: impl FnOnce() -> T) -> u64 {
    let session = Session::new().no_stdout().no_file();
    let operation = session.operation("it");
    let span = operation.measure_thread();
    let kept = black_box(what());
    drop(span.iterations(1));
    drop(kept);
    total(&session)
}

/// All that the session has counted.
pub fn total(session: &Session) -> u64 {
    session.to_report().operations().map(|(_, operation)| operation.total_allocations_count()).sum()
}
