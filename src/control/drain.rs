//! Who still reads the old versions of a secret.
use super::rotation::shown;
use super::{ControlError, WhichSecret};
use crate::call::Server;
use crate::secrets::readers::{Judge, Judged, Standing, is_old};
use crate::secrets::{CURRENT, VersionMeta};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fmt;

/// The readers of a secret's versions.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    pub arn: Arn,
    /// Whether nobody is behind: whoever read an old version has read the current one since, or has
    /// read nothing for so long that nobody waits for it.
    pub drained: bool,
    pub idle_seconds: i64,
    /// Those with labels or readers; the current one first, then the newest.
    pub versions: Vec<DrainVersion>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainVersion {
    pub version_id: String,
    pub version_stages: Vec<String>,
    pub readers: Vec<DrainReader>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainReader {
    /// As audit events name it; none for those who are too many to be named.
    pub arn: Option<Arn>,
    pub unique_id: Option<String>,
    pub region: String,
    pub last_read: String,
    pub standing: Standing,
}

pub(super) async fn of(
    server: &Server,
    which: &WhichSecret,
    idle_seconds: i64,
) -> Result<Drain, ControlError> {
    let mut tx = server.store.begin();
    let secret = which.find(server, &mut tx).await?;
    let function = secret.rotator().and_then(|arn| server.functions.find(arn));
    let judge = Judge {
        reads: &server.last_uses.reads,
        since: server.clock.now().plus_secs(idle_seconds.saturating_neg()),
        rotator: function.map(|function| &function.role),
    };
    let mut versions: Vec<(&str, &VersionMeta)> = secret.versions.iter().collect();
    versions.sort_by_key(|(_, meta)| (!meta.stages.contains(CURRENT), Reverse(meta.created)));
    let (mut shown, mut drained) = (Vec::new(), true);
    for (id, meta) in versions {
        let readers = judge.readers(&mut tx, &secret, id).await?;
        drained &= !readers.iter().any(|reader| reader.standing == Standing::Behind);
        if is_old(meta) && meta.stages.is_empty() && readers.is_empty() {
            continue;
        }
        shown.push(DrainVersion {
            version_id: id.to_owned(),
            version_stages: meta.stages.iter().cloned().collect(),
            readers: readers.into_iter().map(DrainReader::from).collect(),
        });
    }
    Ok(Drain { arn: secret.arn.clone(), drained, idle_seconds, versions: shown })
}

impl From<Judged> for DrainReader {
    fn from(judged: Judged) -> Self {
        Self {
            arn: judged.arn,
            unique_id: judged.unique_id,
            region: judged.region.to_string(),
            last_read: Timestamp::whole_secs(judged.last).to_string(),
            standing: judged.standing,
        }
    }
}

impl Drain {
    /// How many read an old version and not the current one since.
    pub fn behind(&self) -> usize {
        let readers = self.versions.iter().flat_map(|version| &version.readers);
        readers.filter(|reader| reader.standing == Standing::Behind).count()
    }
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.arn)?;
        for version in &self.versions {
            let stages = match version.version_stages.as_slice() {
                [] => "no label".to_owned(),
                stages => shown(&stages.join(", ")),
            };
            writeln!(f, "\n{} ({stages})", version.version_id)?;
            if version.readers.is_empty() {
                writeln!(f, "  read by nobody")?;
            }
            for reader in &version.readers {
                let DrainReader { region, last_read, .. } = reader;
                let who = reader.arn.as_ref().map_or("others", Arn::as_str);
                let standing = match reader.standing {
                    Standing::Fine => "",
                    Standing::Moved => "  has read the current version since",
                    Standing::Idle => "  not seen for longer than the idle time",
                    Standing::Rotation => "  for the rotation",
                    Standing::Behind => "  HAS NOT READ THE CURRENT VERSION SINCE",
                };
                writeln!(f, "  {last_read}  {region}  {who}{standing}")?;
            }
        }
        match self.behind() {
            0 => writeln!(f, "\nNobody needs an old version."),
            n => writeln!(f, "\nReaders that have not moved on: {n}"),
        }
    }
}
