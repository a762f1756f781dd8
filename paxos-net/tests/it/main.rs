//! The bridge, from outside.

mod bridge;
mod hello;
mod hostile;
mod mail;
mod support;
mod validate;
