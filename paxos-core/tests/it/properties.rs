//! What holds for whatever comes: random input, held against a simpler account of the same thing.

mod acceptor;
mod gate;
mod layouts;
mod leader;
mod learner;
mod promises;
mod sessions;
mod values;

use proptest::test_runner::Config;

/// As many cases for each property. What fails is made smaller and printed, and not kept in files.
fn cases() -> Config {
    Config { cases: 256, failure_persistence: None, ..Config::default() }
}
