//! Handshakes take turns: their arithmetic takes as long as many requests, and where many clients connect at
//! once, those who are connected would wait for all of them.
//!
//! A few at a time may compute, and each then lets everything that is ready to run go first. So a request waits
//! for so many steps of handshakes at most, however many clients there are; without requests nobody waits.

use futures::task::{ArcWake, AtomicWaker, waker};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::sync::Semaphore;

/// Steps of handshakes, each worker, that may come before a request that is ready.
const EACH_WORKER: usize = 4;

/// The turns of a process.
pub(super) struct Turns(Semaphore);

impl Turns {
    /// For so many workers.
    pub(super) const fn of(workers: usize) -> Self {
        Self(Semaphore::const_new(workers.saturating_mul(EACH_WORKER)))
    }

    /// Does this work step by step, each in its turn.
    pub(super) async fn take<W: Future>(&self, work: W) -> W::Output {
        let mut work = pin!(work);
        let ready = Arc::new(Ready { now: AtomicBool::new(true), task: AtomicWaker::new() });
        let waker = waker(Arc::clone(&ready));
        loop {
            poll_fn(|cx| ready.poll(cx)).await;
            // It is never closed; without a turn the work is done all the same.
            let turn = self.0.acquire().await.ok();
            let step = work.as_mut().poll(&mut Context::from_waker(&waker));
            tokio::task::yield_now().await;
            drop(turn);
            if let Poll::Ready(output) = step {
                return output;
            }
        }
    }
}

/// Whether the work can go on.
struct Ready {
    now: AtomicBool,
    task: AtomicWaker,
}

impl Ready {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.task.register(cx.waker());
        if self.now.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl ArcWake for Ready {
    fn wake_by_ref(ready: &Arc<Self>) {
        ready.now.store(true, Ordering::Release);
        ready.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn what_is_ready_goes_first_after_a_few_steps_and_all_work_is_done() {
        let turns = Arc::new(Turns::of(1));
        let log = Arc::new(Mutex::new(String::new()));
        let (handshakes, requests) = (40, 30);
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..handshakes {
            let (turns, log) = (Arc::clone(&turns), Arc::clone(&log));
            all.spawn(async move {
                let steps = async {
                    log.lock().unwrap().push('h');
                    // What a handshake waits for comes from outside.
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    log.lock().unwrap().push('h');
                };
                turns.take(steps).await;
            });
        }
        let of_requests = Arc::clone(&log);
        all.spawn(async move {
            for _ in 0..requests {
                of_requests.lock().unwrap().push('r');
                tokio::task::yield_now().await;
            }
        });
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        let log = log.lock().unwrap().clone();
        assert_eq!(log.matches('h').count(), 2 * handshakes);
        let until_the_last = log.rsplit_once('r').unwrap().0;
        let longest = until_the_last.split('r').map(str::len).max();
        assert!(longest <= Some(EACH_WORKER), "{log}");
        assert!(until_the_last.contains("hhhh"), "they take all the turns that there are: {log}");
    }
}
