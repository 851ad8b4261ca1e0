//! `claviger explain`: that what it says of a call is what the server answered, and what another policy
//! would change.
mod calls;
mod questions;
mod what_if;

use crate::world::World;
use claviger::audit::Log;
use claviger::control::{
    Attach, Changed, Command, ControlError, EventReport, Output, Question, Report, Span, WhatIf,
    execute,
};
use serde_json::Value;
use std::os::unix::fs::DirBuilderExt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A data directory with the world's audit log, for what reads a log from files.
struct Data {
    dir: tempfile::TempDir,
    log: Log,
    written: AtomicUsize,
}

impl Data {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("audit");
        std::fs::DirBuilder::new().mode(0o700).create(&audit).unwrap();
        let (log, _) = Log::open(&audit, &[7; 32], [1; 16]).unwrap();
        Self { dir, log, written: AtomicUsize::new(0) }
    }

    /// Writes what happened since the last time.
    async fn catch_up(&self, world: &World) {
        let events = world.events();
        let new = events.iter().skip(self.written.swap(events.len(), Ordering::SeqCst));
        for written in futures_util::future::join_all(new.map(|event| self.log.append(event))).await
        {
            written.unwrap();
        }
    }

    async fn execute(&self, world: &World, command: Command) -> Result<Output, ControlError> {
        self.catch_up(world).await;
        let before = (world.server.store.acknowledged(), world.events().len());
        let outcome = execute(&world.server, self.dir.path(), command, &|_| {}).await;
        let after = (world.server.store.acknowledged(), world.events().len());
        assert_eq!(before, after, "to ask changes nothing");
        outcome
    }

    async fn event(&self, world: &World, id: &str) -> EventReport {
        match self.execute(world, Command::ExplainEvent { id: id.to_owned() }).await.unwrap() {
            Output::Event(report) => report,
            other => panic!("{other:?}"),
        }
    }

    async fn what_if(
        &self,
        world: &World,
        policy: &Value,
        attach_to: Attach,
        replace: Option<&str>,
    ) -> Changed {
        let (policy, replace) = (policy.to_string(), replace.map(str::to_owned));
        let asked = WhatIf { policy, attach_to, replace, span: Span::Last(10_000) };
        match self.execute(world, Command::WhatIf(asked)).await.unwrap() {
            Output::WhatIf(changed) => changed,
            other => panic!("{other:?}"),
        }
    }
}

/// The answer to a question about something that nobody did.
async fn ask(world: &World, question: Question) -> Result<Report, String> {
    match Data::new().execute(world, Command::Explain(question)).await {
        Ok(Output::Explained(report)) => Ok(report),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}
