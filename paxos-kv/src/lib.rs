//! A durable, linearizable, replicated key-value store.
