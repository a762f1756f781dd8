//! What the frames between nodes carry, by kind.

/// `(to, packet)`: a message for one of the roles of node `to`. Its sender is the member that the
/// handshake proved; the frame does not say.
pub const MAIL: u8 = 1;

/// The dialler asks for a sign of life; no payload.
pub const PING: u8 = 2;

/// The acceptor's answer to a ping; no payload.
pub const PONG: u8 = 3;

/// Bytes of a frame that is not mail, at most.
pub const NOTICE_BYTES_MAX: usize = 64;
