//! What AES-GCM makes of a message, in parts.

/// As the protocol of XKS proxies carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What the key's owner needs to open it again, and is bound like associated data: 0 to 20 bytes.
    pub metadata: Vec<u8>,
    /// 12 or 16 bytes.
    pub iv: Vec<u8>,
    /// As long as the plaintext.
    pub ciphertext: Vec<u8>,
    pub tag: [u8; 16],
}
