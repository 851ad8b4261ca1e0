//! The rows of a store that was opened without looking at them, compared with what it says of itself.
use crate::call::Server;
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;

/// Between two tries where the store could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends when the rows turned out not to be the right ones; never, if they are.
pub async fn distrust_rows(server: Arc<Server>) {
    loop {
        match server.store.check_rows().await {
            Ok(was_due) => {
                if was_due {
                    tracing::info!("the store's rows are those that were last acknowledged");
                }
                return std::future::pending().await;
            }
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(%error, "nothing is served from this store any more");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "cannot compare the store's rows with what it says of itself");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
