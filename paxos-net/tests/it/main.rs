//! The bridge, from outside.

mod bridge;
mod frame;
mod hello;
mod hostile;
mod mail;
mod support;
mod validate;
