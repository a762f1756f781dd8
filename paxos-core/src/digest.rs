//! Digests of state that replicas compare.

use crate::rng::mix;

/// A 64-bit digest of `bytes`, the same on every machine. It finds divergence, not attackers.
pub fn digest(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(seed ^ bytes.len() as u64);
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let word = word.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        hash = mix(hash ^ word);
    }
    let rest = words.remainder().iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    mix(hash ^ rest)
}
