//! Markers of paged lists: where to go on, sealed so that a client can neither read nor make one, and
//! bound to who asked what, so that one list's marker never serves for another.
use super::Call;
use crate::seal::Label;
use crate::store::Page;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

impl Call<'_> {
    /// Where a list goes on: `Some(None)` from the start, `Some(Some(name))` after that name, `None`
    /// if the marker is not one of ours for this list.
    pub fn resume(&self, list: &str, marker: Option<&str>) -> Option<Option<String>> {
        let Some(marker) = marker else { return Some(None) };
        let sealed = B64.decode(marker).ok()?;
        let opened = self.server.root.open_token(Label::PAGE_TOKEN, &self.scope(list), &sealed)?;
        String::from_utf8(opened.to_vec()).ok().map(Some)
    }

    /// The marker for what follows `page`, if anything does.
    pub fn marker<R>(&self, list: &str, page: &Page<R>) -> Option<String> {
        let (last, _) = page.records.last().filter(|_| page.more)?;
        Some(self.marker_after(list, last))
    }

    pub fn marker_after(&self, list: &str, last: &str) -> String {
        let random = &*self.server.random;
        let scope = self.scope(list);
        let token = self.server.root.seal_token(Label::PAGE_TOKEN, &scope, random, last.as_bytes());
        B64.encode(token)
    }

    fn scope<'c>(&'c self, list: &'c str) -> [&'c [u8]; 3] {
        let principal = self.principal().unique_id.as_bytes();
        [principal, self.region().as_str().as_bytes(), list.as_bytes()]
    }
}
