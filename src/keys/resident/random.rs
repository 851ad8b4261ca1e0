//! Random bytes of which some are a device's.
use super::calls::{of_store, off_thread};
use crate::devices::Device;
use crate::keys::KeyError;
use crate::random::Random;
use crate::types::Plaintext;
use zeroize::Zeroizing;

/// `count` bytes, each the exclusive or of one of the device's and one of the system's: as good as the
/// better of the two, even if whoever made the other one meant harm, as neither sees the other's.
pub async fn random(
    device: &Device,
    system: &dyn Random,
    store: &str,
    count: usize,
) -> Result<Plaintext, KeyError> {
    let asked = device.hsm.clone();
    let draw = move || {
        let mut bytes = Zeroizing::new(vec![0; count]);
        asked.random(&mut bytes)?;
        Ok(bytes)
    };
    let theirs = off_thread(device, draw).await.map_err(|failed| of_store(store, failed))?;
    let mut mixed = vec![0; count];
    system.fill(&mut mixed);
    for (ours, theirs) in mixed.iter_mut().zip(theirs.iter()) {
        *ours ^= theirs;
    }
    Ok(Plaintext::new(mixed))
}
