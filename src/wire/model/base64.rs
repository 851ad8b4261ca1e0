//! Base64 without decoding: is it the one encoding of some bytes, and of how many?

/// The number of bytes `text` encodes, if it is RFC 4648 base64 with the standard alphabet,
/// canonical padding and zero bits in the padding: no two texts stand for the same bytes. Nothing is
/// decoded, so no copy of a plaintext is made.
pub(super) fn decoded_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let padding = bytes.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let digits = bytes.get(..bytes.len() - padding)?;
    // One bit tells whether any digit was none: no branch per byte.
    let all = digits.iter().fold(0, |all, &byte| all | digit(byte));
    if !bytes.len().is_multiple_of(4) || all & NO_DIGIT != 0 {
        return None;
    }
    // With n characters of padding the last digit has 2n bits too many.
    let spare = (1u8 << (2 * padding)) - 1;
    let last = digits.last().map_or(0, |&byte| digit(byte));
    (last & spare == 0).then_some(bytes.len() / 4 * 3 - padding)
}

/// The mark of a byte that is no digit of base64; digits are below it.
const NO_DIGIT: u8 = 0x80;

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated when it is compiled: a bad index would not compile"
)]
const DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 64 {
        table[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    table
};

#[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
fn digit(byte: u8) -> u8 {
    DIGITS[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn agrees_with_the_decoder_on_every_short_text() {
        let alphabet = b"ABgw9+/=-\n";
        let mut text = Vec::new();
        for n in 0..alphabet.len().pow(5) {
            text.clear();
            let mut n = n;
            while n > 0 {
                text.push(alphabet[n % alphabet.len()]);
                n /= alphabet.len();
            }
            let text = std::str::from_utf8(&text).unwrap();
            assert_eq!(decoded_len(text), STANDARD.decode(text).ok().map(|b| b.len()), "{text:?}");
        }
    }

    #[test]
    fn one_encoding_per_byte_string() {
        assert_eq!(decoded_len("QUJD"), Some(3));
        assert_eq!(decoded_len("QUI="), Some(2));
        assert_eq!(decoded_len("QQ=="), Some(1));
        assert_eq!(decoded_len(""), Some(0));
        for no in ["QUJ=", "QR==", "QQ", "QQ=", "Q", "QUJD\n", " QUJD", "QU-_", "====", "=", "A==="]
        {
            assert_eq!(decoded_len(no), None, "{no:?}");
        }
    }
}
