//! Tests of the rules of Multi-Paxos, in one binary.

mod synod;
mod tables;
