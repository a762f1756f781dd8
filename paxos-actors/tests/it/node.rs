//! Nodes: any subset of roles.
