//! What will happen, in order of time; what is due at once, in the order in which it was added.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<Due<E>>>,
    next: u64,
}

struct Due<E> {
    at: u64,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    pub fn push(&mut self, at: u64, event: E) {
        self.heap.push(Reverse(Due { at, number: self.next, event }));
        self.next += 1;
    }

    pub fn pop(&mut self) -> Option<(u64, E)> {
        self.heap.pop().map(|Reverse(Due { at, event, .. })| (at, event))
    }
}

impl<E> Default for Queue<E> {
    fn default() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), next: 0 }
    }
}

impl<E> Ord for Due<E> {
    fn cmp(&self, other: &Due<E>) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Due<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Due<E>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Due<E> {}
