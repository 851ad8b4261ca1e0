//! Small helpers for text from strangers: hex, percent signs, and what may be repeated to them.

use super::AuthError;

/// The most of a request's own text that an error repeats.
const MAX_ECHO: usize = 256;

/// Text of the request made fit for an error message: bounded, printable ASCII. XML could not hold
/// control characters at all, and a log line should not break.
pub(super) fn echo(text: &str) -> Box<str> {
    let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(MAX_ECHO).map(printable).collect()
}

/// Lower-case hex of a SHA-256.
pub(super) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    out
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// The bytes of exactly 64 lower-case hex digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut out = [0; 32];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(out)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// One piece of a query as the forms read it: `+` is a space, `%XX` a byte. A broken escape is
/// refused, since readers differ about what it means.
pub(super) fn decode(piece: &str) -> Result<Vec<u8>, AuthError> {
    let mut out = Vec::with_capacity(piece.len());
    let mut bytes = piece.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut next = || bytes.next().and_then(|b| nibble(b.to_ascii_lowercase()));
                let (Some(high), Some(low)) = (next(), next()) else {
                    return Err(AuthError::BrokenEscape);
                };
                out.push(high << 4 | low);
            }
            _ => out.push(byte),
        }
    }
    Ok(out)
}

/// RFC 3986's unreserved characters, which SigV4 leaves as they are.
pub(super) fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The three bytes of `%XX`, in upper case.
pub(super) fn escape(byte: u8) -> [u8; 3] {
    [b'%', digit(byte >> 4).to_ascii_uppercase(), digit(byte & 15).to_ascii_uppercase()]
}
