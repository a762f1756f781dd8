//! Busy polling: a thread looks out for mail a little longer before it sleeps.
//!
//! To wake a thread that has gone to sleep takes longer than most that it is woken for. Where an
//! answer comes soon, it is sooner there if whoever waits for it stays awake.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// How long a thread polls before it sleeps, if mail came within that time the last time: where
/// mail is rare, this costs nothing.
const AWAKE_MAX: Duration = Duration::from_micros(100);

thread_local! {
    static THREAD: Thread = const { Thread::new() };
}

struct Thread {
    /// Turns of the roles that run here.
    turns: Cell<u64>,
    /// Waits for the next turn.
    waiting: RefCell<Option<Waker>>,
    stays_awake: Cell<bool>,
}

/// The thread stays awake while this lives.
struct Stay;

/// From now on, the current arbiter stays awake as long as mail comes often. Without effect where
/// there is only one processor, which others need meanwhile.
pub(crate) fn stay_awake() {
    let has_one_processor = available_parallelism().is_ok_and(|count| count.get() == 1);
    if !has_one_processor && !THREAD.with(|thread| thread.stays_awake.replace(true)) {
        actix_rt::spawn(look_out(Stay));
    }
}

/// A role on this thread has had a turn.
pub(crate) fn turned() {
    THREAD.with(|thread| {
        thread.turns.set(thread.turns.get() + 1);
        if let Some(waiting) = thread.waiting.take() {
            waiting.wake();
        }
    });
}

async fn look_out(_stay: Stay) {
    let mut comes_soon = false;
    loop {
        let (seen, idle_since) = (turns(), Instant::now());
        // Comes back when nobody else on this thread has anything to do.
        while comes_soon && turns() == seen && idle_since.elapsed() < AWAKE_MAX {
            tokio::task::yield_now().await;
        }
        another_turn(seen).await;
        comes_soon = idle_since.elapsed() < AWAKE_MAX;
    }
}

fn turns() -> u64 {
    THREAD.with(|thread| thread.turns.get())
}

async fn another_turn(seen: u64) {
    poll_fn(|task| match turns() == seen {
        true => {
            THREAD.with(|thread| thread.waiting.replace(Some(task.waker().clone())));
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await;
}

impl Thread {
    const fn new() -> Thread {
        let (turns, stays_awake) = (Cell::new(0), Cell::new(false));
        Thread { turns, waiting: RefCell::new(None), stays_awake }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        // The thread itself may be about to end.
        let _ = THREAD.try_with(|thread| thread.stays_awake.set(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock jumps to the next timer as soon as nobody on the thread has anything to do.
    #[actix::test]
    async fn a_thread_without_mail_sleeps() {
        tokio::time::pause();
        let begun = tokio::time::Instant::now();
        stay_awake();
        for _ in 0..100 {
            turned();
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        assert!(begun.elapsed() >= Duration::from_secs(360_000));
    }

    #[test]
    fn a_thread_stays_awake_once_and_again_under_the_next_arbiter() {
        let stays = || THREAD.with(|thread| thread.stays_awake.get());
        for _ in 0..2 {
            assert!(!stays());
            actix_rt::System::new().block_on(async {
                stay_awake();
                stay_awake();
                assert_eq!(stays(), available_parallelism().is_ok_and(|count| count.get() > 1));
            });
        }
        assert!(!stays());
    }

    #[actix::test]
    async fn the_next_turn_wakes_whoever_waits_for_it() {
        let seen = turns();
        let waits = actix_rt::spawn(another_turn(seen));
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        turned();
        waits.await.expect("no panic");
    }
}
