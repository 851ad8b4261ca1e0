//! `claviger verify`: whether a backup is whole; with a device or a recovery key, whether its rows are what
//! this deployment wrote.
use super::StartError;
use super::backup::{print_json, who_opens};
use super::control::print;
use super::opened::{Key, Keys, off};
use crate::backup::{self, Whole, openers};
use serde_json::json;
use std::path::PathBuf;

/// A line on standard error for each of so many rows.
const TELL_EVERY_ROWS: u64 = 100_000;

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArguments {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(arguments: &VerifyArguments) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    super::run_async(run(arguments))
}

/// Says how many rows were looked at, from time to time.
pub(super) fn telling(doing: &'static str) -> impl FnMut(u64) + Send + 'static {
    let mut next = TELL_EVERY_ROWS;
    move |rows| {
        if is_due(&mut next, rows) {
            super::tell(format_args!("claviger: {rows} rows {doing}"));
        }
    }
}

fn is_due(next: &mut u64, rows: u64) -> bool {
    let due = rows >= *next;
    if due {
        *next = rows + TELL_EVERY_ROWS;
    }
    due
}

async fn run(arguments: &VerifyArguments) -> Result<(), StartError> {
    let VerifyArguments { file, keys, json } = arguments;
    let path = file.clone();
    let (whole, opened, doubt) = match keys.given()? {
        Key::None => (off(move || backup::verify(&path, telling("read"))).await??, false, ""),
        key => {
            let header = off(move || backup::read_header(&path)).await??;
            let opened = super::opened::open(file, &header, keys, key).await?;
            (super::opened::check(file, &opened.root).await?, true, opened.doubt)
        }
    };
    let deployment = whole.header.deployment(file)?;
    keys.expect(file, &deployment)?;
    let Whole { header, rows, bytes, digest, .. } = &whole;
    let (fingerprint, openers) = (deployment.fingerprint(), openers(&deployment));
    if *json {
        return print_json(&json!({
            "file": file, "cluster": header.cluster, "created": header.created, "program": header.program,
            "revision": header.revision, "rows": rows, "bytes": bytes, "digest": digest,
            "opened": opened, "fingerprint": fingerprint,
            "openers": openers,
        }));
    }
    let said = match opened {
        true => "Every row opens, and they are all rows that the store had.\n",
        false => {
            "The file is whole. Whether it is genuine only a device or a recovery key can say: --config or \
             --shares.\n"
        }
    };
    print(&format!(
        "{}: of deployment {}, {}, revision {}\n{rows} rows, {bytes} bytes, digest {digest}\n{said}{}{doubt}",
        file.display(),
        header.cluster,
        header.created,
        header.revision,
        who_opens(&fingerprint, &openers)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_rows_are_ten_lines() {
        let mut next = TELL_EVERY_ROWS;
        let lines = (0..=1_000_000).step_by(700).filter(|rows| is_due(&mut next, *rows)).count();
        assert!((9..=10).contains(&lines), "{lines}");
        let mut next = TELL_EVERY_ROWS;
        assert!(!is_due(&mut next, 99_999) && is_due(&mut next, 100_000));
    }
}
