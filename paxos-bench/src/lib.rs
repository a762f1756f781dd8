//! Load, simulation, chaos and checking for the key-value store.
