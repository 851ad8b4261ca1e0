//! Tags on resources.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A resource's tags, key → value, case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, String>);
