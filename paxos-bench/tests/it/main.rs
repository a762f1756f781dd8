//! What the tools of this crate find, and what real processes of the store live through.

mod bad_input;
mod chaos;
mod chaos_proxy;
mod check_command;
mod cluster;
mod growth;
mod guards;
mod histories;
mod in_process;
mod kills;
mod limits;
mod load;
mod local;
mod observer;
mod proxy;
mod roles;
mod sim;
mod snapshots;
mod writers;
