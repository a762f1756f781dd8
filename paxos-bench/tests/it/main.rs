//! What the tools of this crate find, and what real processes of the store live through.

mod bad_input;
mod cluster;
mod histories;
mod kills;
mod load;
mod proxy;
mod writers;
