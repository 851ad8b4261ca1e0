//! Groups as answers show them.
use crate::identity::Group;
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GroupEntry {
    path: String,
    group_name: String,
    group_id: String,
    arn: Arn,
    create_date: Timestamp,
}

impl From<&Group> for GroupEntry {
    fn from(group: &Group) -> Self {
        Self {
            path: group.path.clone(),
            group_name: group.name.clone(),
            group_id: group.id.clone(),
            arn: group.arn.clone(),
            create_date: group.created.whole_secs(),
        }
    }
}
