//! The TCP bridge between actors of different processes.

pub mod frame;
