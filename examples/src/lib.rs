//! Small programs, each one idea: see the folder `examples`.
//!
//! What the documents of the project show in Rust is compiled and run here, by `cargo test`.

#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../ARCHITECTURE.md")]
    mod architecture {}
    #[doc = include_str!("../../CONTRIBUTING.md")]
    mod contributing {}
    #[doc = include_str!("../../CHANGELOG.md")]
    mod changelog {}
    #[doc = include_str!("../../docs/features.md")]
    mod features {}
    #[doc = include_str!("../../docs/performance.md")]
    mod performance {}
    #[doc = include_str!("../../docs/primer.md")]
    mod primer {}
    #[doc = include_str!("../../docs/protocol.md")]
    mod protocol {}
    #[doc = include_str!("../../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../docs/wal-format.md")]
    mod wal_format {}
    #[doc = include_str!("../../docs/wire-format.md")]
    mod wire_format {}
}
