//! How long something takes that happens again and again.

use std::sync::atomic::{AtomicU64, Ordering};

/// The average moves by one part in so many toward each new value.
const PARTS: u64 = 16;

/// Microseconds that something took. One thread records, any thread reads.
#[derive(Debug, Default)]
pub struct Latency {
    max_us: AtomicU64,
    /// The highest since someone took it.
    slowest_us: AtomicU64,
    /// The average of recent ones, in parts of a microsecond.
    average: AtomicU64,
}

impl Latency {
    /// It took so long this time.
    pub fn record(&self, us: u64) {
        let Latency { max_us, slowest_us, average } = self;
        max_us.fetch_max(us, Ordering::Relaxed);
        slowest_us.fetch_max(us, Ordering::Relaxed);
        // The first value is the average, and 0 stands for none yet.
        let next = match average.load(Ordering::Relaxed) {
            0 => us.saturating_mul(PARTS),
            old => (old - old / PARTS).saturating_add(us),
        };
        average.store(next, Ordering::Relaxed);
    }

    /// The highest ever.
    pub fn max_us(&self) -> u64 {
        self.max_us.load(Ordering::Relaxed)
    }

    /// The average of recent ones: what is 16 back counts a third of the newest.
    pub fn average_us(&self) -> u64 {
        self.average.load(Ordering::Relaxed) / PARTS
    }

    /// The highest since this was last asked, for the one who asks.
    pub fn take_slowest_us(&self) -> u64 {
        self.slowest_us.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_stays_and_the_average_follows() {
        let latency = Latency::default();
        assert_eq!((latency.max_us(), latency.average_us(), latency.take_slowest_us()), (0, 0, 0));
        latency.record(1600);
        assert_eq!((latency.max_us(), latency.average_us()), (1600, 1600));
        assert_eq!((latency.take_slowest_us(), latency.take_slowest_us()), (1600, 0));
        latency.record(0);
        assert_eq!((latency.max_us(), latency.average_us()), (1600, 1500));
        (0..200).for_each(|_| latency.record(200));
        assert_eq!((latency.max_us(), latency.take_slowest_us()), (1600, 200));
        assert!((200..=201).contains(&latency.average_us()), "{}", latency.average_us());
    }

    #[test]
    fn absurd_values_do_not_overflow() {
        let latency = Latency::default();
        (0..40).for_each(|_| latency.record(u64::MAX));
        assert_eq!(latency.max_us(), u64::MAX);
        assert!(latency.average_us() > 0);
    }
}
