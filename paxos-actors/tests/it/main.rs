//! Tests of the actors from outside.

mod cluster;
mod node;
mod role_actor;
mod routes;
mod support;
mod trace;
