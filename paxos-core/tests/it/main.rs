//! The tests of the rules, from single messages to whole clusters under faults, in one binary.

mod outbid;
mod sim;
mod synod;
