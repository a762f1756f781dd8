//! The tests of the rules, from single messages to whole clusters under faults, in one binary.

mod documents;
mod layout;
mod properties;
mod quorums;
mod rules;
mod scripts;
mod sim;
mod synod;
mod tables;
mod tidy;
