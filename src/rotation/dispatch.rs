//! From a registered function to what does its steps.
use super::{BuiltIn, Endpoint, Event, Failure, Invoke, Runner};
use crate::call::Server;
use crate::functions::{Code, Function};
use crate::types::Arn;
use std::sync::Arc;

/// Invokes functions of every kind.
#[derive(Debug)]
pub struct Dispatch {
    built_in: BuiltIn,
    python: Runner,
}

impl Dispatch {
    /// `own`: where functions outside the process reach this server.
    pub fn new(server: Arc<Server>, own: Option<String>) -> Self {
        Self { built_in: BuiltIn::new(server.clone()), python: Runner::new(server, own) }
    }
}

#[async_trait::async_trait]
impl Invoke for Dispatch {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure> {
        match &function.code {
            Code::BuiltIn { .. } => self.built_in.invoke(function, event).await,
            Code::Python(_) => self.python.invoke(function, event).await,
            Code::Endpoint { .. } => Endpoint.invoke(function, event).await,
        }
    }

    async fn discard_old(
        &self,
        function: &Function,
        secret: &Arn,
        token: &str,
    ) -> Result<(), Failure> {
        self.built_in.discard_old(function, secret, token).await
    }
}
