//! Work that goes on beside requests: it takes a good part of a second of processor time, and whoever asks
//! meanwhile must not wait for it.

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How far such work stands back (nice(2)): where requests and it want one processor, they get three quarters.
const STANDS_BACK: i32 = 5;

/// The work ended in a panic, or no thread could be had for it.
#[derive(Debug, thiserror::Error)]
#[error("it did not come to its end; the log says why")]
pub(super) struct Broken;

/// Does this on a thread of its own: one that has stood back cannot come forward again, so it is none of those
/// that the runtime keeps.
pub(super) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Broken> {
    let (done, wait) = oneshot::channel();
    let runtime = Handle::current();
    let run = move || {
        let _of_the_runtime = runtime.enter();
        if let Err(error) = rustix::process::nice(STANDS_BACK) {
            tracing::debug!(%error, "a reload could not stand back");
        }
        // Where nobody waits any more, the process is about to end.
        let _ = done.send(work());
    };
    if let Err(error) = std::thread::Builder::new().name("reload".to_owned()).spawn(run) {
        tracing::error!(%error, "there is no thread for a reload");
        return Err(Broken);
    }
    wait.await.map_err(|_| Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_work_stands_back_and_whoever_waits_for_it_does_not() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        assert_eq!(beside(nice).await.unwrap(), before + STANDS_BACK);
        assert_eq!(nice(), before);
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        assert!(beside(|| panic!("as a test")).await.is_err());
    }
}
