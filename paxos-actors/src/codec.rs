//! The one place that names the serialization: bincode 2 in its standard configuration (little
//! endian, variable-length integers), always with a limit.

use bincode::config::standard;
use bincode::error::{DecodeError, EncodeError};
use bincode::serde::{borrow_decode_from_slice, decode_from_slice, encode_into_std_write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// No value that is decoded may claim more than this many bytes: above the largest frame.
const LIMIT: usize = 16 << 20;

/// Values of at most this many bytes have a lower limit: a few bytes cannot claim megabytes.
const SMALL: usize = 4096;

/// A value counts for more than its bytes: each integer for its full width. By this much at most.
const SMALL_LIMIT: usize = 16 * SMALL;

/// Why bytes could not be made or read.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The value cannot be written.
    #[error("cannot encode: {0}")]
    Encode(#[from] EncodeError),
    /// The bytes are not a value of this type, or claim to be longer than any may be.
    #[error("cannot decode: {0}")]
    Decode(#[from] DecodeError),
    /// Bytes are left over behind the value.
    #[error("cannot decode: {0} bytes are left over")]
    Trailing(usize),
}

/// Appends the encoding of `value` to `buffer`.
pub fn encode(value: &impl Serialize, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
    encode_into_std_write(value, buffer, standard())?;
    Ok(())
}

/// Reads one value that fills all of `bytes`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = match bytes.len() {
        0..=SMALL => decode_from_slice(bytes, standard().with_limit::<SMALL_LIMIT>())?,
        _ => decode_from_slice(bytes, standard().with_limit::<LIMIT>())?,
    };
    all_used(value, bytes.len() - used)
}

/// Reads one value that fills all of `bytes`, and may keep parts of them instead of copies.
pub fn decode_borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let (value, used) = borrow_decode_from_slice(bytes, standard().with_limit::<LIMIT>())?;
    all_used(value, bytes.len() - used)
}

fn all_used<T>(value: T, left: usize) -> Result<T, CodecError> {
    match left {
        0 => Ok(value),
        left => Err(CodecError::Trailing(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_bytes_cannot_claim_megabytes() {
        // A byte string of a million bytes, of which none follow.
        let claim = [252, 0x40, 0x42, 0x0f, 0];
        let error = decode::<bytes::Bytes>(&claim).expect_err("nothing follows");
        assert!(matches!(error, CodecError::Decode(DecodeError::LimitExceeded)), "{error:?}");
    }

    #[test]
    fn what_is_small_may_be_all_integers() {
        let value = vec![1u64; SMALL - 3];
        let mut bytes = Vec::new();
        encode(&value, &mut bytes).expect("it can be encoded");
        assert_eq!(bytes.len(), SMALL);
        assert_eq!(decode::<Vec<u64>>(&bytes).expect("it is within the limit"), value);
    }
}
