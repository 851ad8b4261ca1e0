//! Frames on the socket between server and helper.
//!
//! ```text
//! once, in each direction:        then, any number of times:
//! off  len                        off  len
//!  0    7   "claviH\0"             0    4   n, big endian: bytes after this field, 8 ≤ n ≤ 4 MiB
//!  7    1   version: 1             4    8   number of the request, big endian; the answer repeats it
//!                                 12   n-8  the message, as postcard encodes it
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Error, ErrorKind, Read, Write};
use zeroize::Zeroizing;

/// The last byte is the version: changed with every change of `message.rs` or of a type in it. It
/// differs only when the program was replaced under a server that runs.
pub(super) const PREAMBLE: [u8; 8] = *b"claviH\0\x01";
/// Longest frame after its length: the names of some 30 000 keys; no request comes near.
pub(super) const MAX_LEN: usize = 4 << 20;
const LEN_LEN: usize = 4;
const NUMBER_LEN: usize = 8;

/// A message that was read: the number of its request, and the rest.
pub(super) struct Frame {
    pub(super) number: u64,
    bytes: Zeroizing<Vec<u8>>,
}

impl Frame {
    /// The message. Bytes that are left over make it none.
    pub(super) fn message<T: DeserializeOwned>(&self) -> io::Result<T> {
        match postcard::take_from_bytes(&self.bytes) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(invalid(format!("{} bytes after a message", rest.len()))),
            Err(e) => Err(invalid(format!("no message: {e}"))),
        }
    }
}

/// One frame; a buffer of exactly its size, wiped on drop.
pub(super) fn encode<T: Serialize>(number: u64, message: &T) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = postcard::experimental::serialized_size(message).map_err(unencodable)?;
    let len = size + NUMBER_LEN;
    let prefix = u32::try_from(len).ok().filter(|_| len <= MAX_LEN).ok_or_else(|| {
        invalid(format!("a message of {size} bytes, more than the {MAX_LEN} that a frame takes"))
    })?;
    let mut frame = Zeroizing::new(Vec::with_capacity(LEN_LEN + len));
    frame.extend_from_slice(&prefix.to_be_bytes());
    frame.extend_from_slice(&number.to_be_bytes());
    frame.resize(LEN_LEN + len, 0);
    let (_, body) = frame.split_at_mut(LEN_LEN + NUMBER_LEN);
    postcard::to_slice(message, body).map_err(unencodable)?;
    Ok(frame)
}

/// Reads one frame. None at an orderly end: nothing after the last whole frame.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Frame>> {
    // No frame is shorter, so both are read at once.
    let mut header = [0; LEN_LEN + NUMBER_LEN];
    let mut have = 0;
    while let Some(rest) = header.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let [a, b, c, d, number @ ..] = header;
    let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let Some(size) = len.checked_sub(NUMBER_LEN).filter(|_| len <= MAX_LEN) else {
        return Err(invalid(format!("a frame of {len} bytes, wanted {NUMBER_LEN} to {MAX_LEN}")));
    };
    let mut bytes = Zeroizing::new(vec![0; size]);
    from.read_exact(&mut bytes)?;
    Ok(Some(Frame { number: u64::from_be_bytes(number), bytes }))
}

pub(super) fn write_preamble(to: &mut impl Write) -> io::Result<()> {
    to.write_all(&PREAMBLE)
}

pub(super) fn read_preamble(from: &mut impl Read) -> io::Result<()> {
    let mut found = [0; PREAMBLE.len()];
    from.read_exact(&mut found)?;
    if found != PREAMBLE {
        return Err(invalid(format!(
            "the other side speaks another protocol or version: wanted {}, found {}",
            PREAMBLE.escape_ascii(),
            found.escape_ascii()
        )));
    }
    Ok(())
}

fn unencodable(error: postcard::Error) -> Error {
    invalid(format!("a message that cannot be encoded: {error}"))
}

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T>(result: io::Result<T>) -> String {
        result.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_layout_is_the_one_drawn() {
        let frame = encode(0x0102, &"hi").unwrap();
        assert_eq!(*frame, [0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 1, 2, 2, b'h', b'i']);
        assert_eq!(frame.len(), frame.capacity(), "a buffer that grew leaves copies behind");
        let mut from = &frame[..];
        let read = super::read(&mut from).unwrap().unwrap();
        assert_eq!((read.number, read.message::<String>().unwrap()), (0x0102, "hi".into()));
        assert!(super::read(&mut from).unwrap().is_none());
    }

    #[test]
    fn a_frame_that_ends_early_is_an_error_not_an_end() {
        let frame = encode(7, &"hello").unwrap();
        assert!(read(&mut &frame[..0]).unwrap().is_none());
        for len in 1..frame.len() {
            assert!(read(&mut &frame[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn lengths_beyond_the_bounds_are_refused_before_anything_is_allocated() {
        for len in [0, 7, MAX_LEN as u32 + 1, u32::MAX] {
            let text = error(read(&mut &[&len.to_be_bytes()[..], &[0; 64]].concat()[..]));
            assert!(text.contains(&format!("{len} bytes")), "{text}");
        }
        let text = error(encode(1, &"x".repeat(MAX_LEN)));
        assert!(text.contains("more than"), "{text}");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let frame = |body: &[u8]| {
            let len = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
            read(&mut &[&len[..], &[0; 8], body].concat()[..]).unwrap().unwrap()
        };
        assert_eq!(frame(&[1, b'x']).message::<String>().unwrap(), "x");
        assert!(error(frame(&[1, b'x', 0]).message::<String>()).contains("1 bytes after"));
        assert!(error(frame(&[9, b'x']).message::<String>()).contains("no message"));
        assert!(error(frame(&[]).message::<String>()).contains("no message"));
    }

    #[test]
    fn another_version_is_refused_by_name() {
        assert!(read_preamble(&mut &PREAMBLE[..]).is_ok());
        let text = error(read_preamble(&mut &b"claviH\0\x02"[..]));
        assert!(text.contains(r"wanted claviH\x00\x01, found claviH\x00\x02"), "{text}");
        assert!(read_preamble(&mut &b"clav"[..]).is_err());
    }
}
