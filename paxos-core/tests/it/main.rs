//! The tests of the rules, from tables of single messages to whole clusters under faults.

mod rules;
