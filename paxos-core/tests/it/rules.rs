//! A directed test with its schedule for each rule of the protocol, named after the rule.
//!
//! Most rules are shown on one role alone, whose whole output is compared ([`alone`]); where a rule
//! is about what several roles do together, on a few nodes whose mail the test delivers, holds and
//! loses by hand ([`bench`]).

pub mod alone;
mod bench;

pub mod chosen;
mod clients;
pub mod elections;
mod first_start;
pub mod large;
pub mod leadership;
mod log_time;
mod new_leader;
mod outbid;
pub mod promises;
pub mod reads;
pub mod separate;
pub mod snapshots;
mod steady;
mod transfers;
pub mod votes;
