//! A part of a key that is made when it is first needed, and kept.
use super::PrimitiveError;
use std::sync::OnceLock;

pub(super) struct Lazy<T>(OnceLock<T>);

impl<T> Lazy<T> {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Two threads that come first at once may both make it; one of the two is kept.
    pub(super) fn get(
        &self,
        make: impl FnOnce() -> Result<T, PrimitiveError>,
    ) -> Result<&T, PrimitiveError> {
        if let Some(made) = self.0.get() {
            return Ok(made);
        }
        let made = make()?;
        Ok(self.0.get_or_init(|| made))
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self::new()
    }
}
