//! A QR code as a PNG picture: black and white, one bit a pixel, written without compression. Pictures
//! this small gain nothing by it.
//!
//! ```text
//! signature │ IHDR │ IDAT: zlib header, one stored block a row run, Adler-32 │ IEND
//! ```
use qrcodegen::{QrCode, QrCodeEcc};

/// Pixels a module is wide.
const SCALE: usize = 4;
/// Modules of white around it: what ISO/IEC 18004 asks for.
const QUIET: usize = 4;
/// What a stored block holds at most (RFC 1951, 3.2.4).
const BLOCK: usize = 0xffff;

/// None if the text is too long for any code.
pub(super) fn png(text: &str) -> Option<Vec<u8>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let modules = usize::try_from(code.size()).ok()?;
    let pixels = (modules + 2 * QUIET) * SCALE;
    let mut rows = Vec::with_capacity(pixels * (pixels / 8 + 2));
    for y in 0..pixels {
        // No filter.
        rows.push(0);
        for byte in 0..pixels.div_ceil(8) {
            let light = (0..8).map(|bit| !is_dark(&code, byte * 8 + bit, y));
            rows.push(light.fold(0, |bits, light| bits << 1 | u8::from(light)));
        }
    }
    let side = u32::try_from(pixels).ok()?.to_be_bytes();
    let header = [&side[..], &side, &[1, 0, 0, 0, 0]].concat();
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", zlib(&rows)?), (b"IEND", Vec::new())] {
        chunk(&mut picture, kind, &data)?;
    }
    Some(picture)
}

fn is_dark(code: &QrCode, x: usize, y: usize) -> bool {
    // Beyond the code, and before it, all is light.
    let module = |at: usize| i32::try_from(at / SCALE).ok()?.checked_sub(QUIET as i32);
    module(x).zip(module(y)).is_some_and(|(x, y)| code.get_module(x, y))
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) -> Option<()> {
    out.extend_from_slice(&u32::try_from(data.len()).ok()?.to_be_bytes());
    let body = [kind, data].concat();
    out.extend_from_slice(&body);
    out.extend_from_slice(&crc32(&body).to_be_bytes());
    Some(())
}

fn zlib(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).ok()?;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend_from_slice(&(b << 16 | a).to_be_bytes());
    Some(out)
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !data.iter().fold(!0, byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let packed = zlib(b"Wikipedia").unwrap();
        assert!(packed.ends_with(&0x11e6_0398_u32.to_be_bytes()));
    }

    #[test]
    fn a_picture_has_its_parts_and_its_corner() {
        let picture = png("otpauth://totp/ann@111122223333?secret=ABC").unwrap();
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"));
        assert!(picture.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let code = QrCode::encode_text("a", QrCodeEcc::Medium).unwrap();
        assert!(!is_dark(&code, 0, 0));
        assert!(is_dark(&code, QUIET * SCALE, QUIET * SCALE));
        assert!(png(&"x".repeat(5000)).is_none());
    }
}
