//! The log on standard error.
use super::tell;
use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The drivers of databases write down whole statements, with what proves passwords in them.
const DRIVERS: [&str; 4] = ["tokio_postgres", "postgres_", "mysql_async", "mysql_common"];

/// Logs to standard error: lines for people, or JSON for machines.
pub(super) fn start(json: bool) {
    let wanted = std::env::var("CLAVIGER_LOG").unwrap_or_else(|_| "info".into());
    // A second start in one process, as tests do, keeps the first logger.
    let _ = log(json, &wanted, std::io::stderr).try_init();
}

fn log<W>(json: bool, wanted: &str, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The one binding complains of every mechanism that it has no name for; `doctor` lists them. The other
    // tells of each connection to a TPM that it closes.
    let filter = |wanted| EnvFilter::try_new(format!("{wanted},cryptoki=off,tss_esapi=warn"));
    let filter = filter(wanted).or_else(|error| {
        tell(format_args!("claviger: CLAVIGER_LOG={wanted}: {error}; logging at \"info\""));
        filter("info")
    });
    // A line that cannot be written is lost. To say so in the same place would be a panic wherever something
    // is logged, as soon as the log's disk is full or its reader has gone.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_default())
        .with_writer(writer)
        .log_internal_errors(false);
    // No directive is narrow enough to have these back.
    let others = FilterFn::new(|metadata| {
        !DRIVERS.iter().any(|driver| metadata.target().starts_with(driver))
    });
    match json {
        true => log.json().finish().with(others).into(),
        false => log.finish().with(others).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn logged(json: bool, wanted: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let dispatch = log(json, wanted, Arc::new(file.reopen().unwrap()));
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::debug!(target: "tokio_postgres::prepare", "a SCRAM verifier");
            tracing::error!(target: "mysql_async::conn", "a password");
            tracing::info!("ours");
            tracing::debug!("closer");
        });
        std::fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn drivers_of_databases_are_never_heard() {
        for json in [true, false] {
            let narrow = "debug,tokio_postgres::prepare=trace,mysql_async::conn=trace";
            for wanted in ["debug", "trace", "tokio_postgres=debug,debug", narrow] {
                let log = logged(json, wanted);
                assert!(log.contains("ours") && log.contains("closer"), "{wanted}: {log}");
                assert!(!log.contains("verifier") && !log.contains("password"), "{wanted}: {log}");
            }
            for wanted in ["info", "", "info,claviger::http=loud", "=,="] {
                let log = logged(json, wanted);
                let expected = !wanted.is_empty();
                assert_eq!(log.contains("ours"), expected, "{wanted}: {log}");
                assert!(!log.contains("closer"), "{wanted}: {log}");
            }
        }
    }
}
