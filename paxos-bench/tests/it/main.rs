//! What the tools of this crate find, and what real processes of the store live through.

mod histories;
