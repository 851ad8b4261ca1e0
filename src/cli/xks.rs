//! The listener of the XKS proxy, if the configuration has one, and the proxies that external key stores
//! may name.
use super::StartError;
use super::serve::bind;
use crate::call::Server;
use crate::config::{Config, Xks, XksTls};
use crate::external;
use crate::http::{Limits, Listener, Tls, TlsError, XksFront};
use crate::xks::{Proxy, SealedProxy};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Where the proxy listens. Bound before the deployment is opened, so that a bad address is found out
/// first.
pub(super) struct XksSocket {
    tcp: TcpListener,
    tls: Option<Tls>,
    section: Xks,
}

/// What can be read anew while the proxy is served.
pub(super) struct XksReload {
    proxy: Arc<Proxy>,
    tls: Option<Tls>,
}

/// The proxies that external key stores may name.
pub(super) fn proxies(config: &Config) -> Result<Arc<external::Proxies>, StartError> {
    let proxies = external::Proxies::new(&config.external_proxies);
    proxies.map(Arc::new).map_err(|error| StartError::Setup(format!("external_proxy: {error}")))
}

impl XksSocket {
    pub(super) async fn of(config: &Config) -> Result<Option<Self>, StartError> {
        let Some(section) = &config.xks else { return Ok(None) };
        let tls = section.tls.as_ref().map(tls).transpose()?;
        Ok(Some(Self { tcp: bind(section.listen).await?, tls, section: section.clone() }))
    }

    /// The same place while the deployment is sealed; the socket stays open for the proxy.
    pub(super) fn sealed(&self) -> Result<Listener<SealedProxy>, StartError> {
        let proxy = Arc::new(SealedProxy::new(&self.section.stores));
        let tcp = super::sealed::again(&self.tcp)?;
        Ok(Listener::new(tcp, self.tls.as_ref(), proxy, Limits::default())?)
    }

    /// The listener, and what of it SIGHUP reads anew.
    pub(super) fn listener(
        self,
        server: &Arc<Server>,
    ) -> Result<(Listener<XksFront>, XksReload), StartError> {
        let Self { tcp, tls, section } = self;
        let budget = Duration::from_millis(section.budget_ms);
        let proxy = Proxy::new(server.clone(), section.stores, budget)
            .map_err(|error| StartError::Setup(error.to_string()))?;
        let proxy = Arc::new(proxy);
        let certificates = section.tls.is_some_and(|tls| tls.client_ca.is_some());
        let front = XksFront::new(proxy.clone(), server.clock.clone(), certificates);
        let listener = Listener::new(tcp, tls.as_ref(), Arc::new(front), Limits::default())?;
        Ok((listener, XksReload { proxy, tls }))
    }
}

impl XksReload {
    /// Reads certificates and credentials anew. What is bad leaves what was.
    pub(super) fn reload(&self) {
        match self.tls.as_ref().map_or(Ok(()), Tls::reload) {
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "the XKS proxy's certificate stays as it was"),
        }
        match self.proxy.reload() {
            Ok(()) => tracing::info!("read the XKS proxy's credentials anew"),
            Err(error) => tracing::error!(%error, "the XKS proxy's credentials stay as they were"),
        }
    }
}

fn tls(files: &XksTls) -> Result<Tls, TlsError> {
    let tls = Tls::from_pem_files(&files.certificate, &files.key)?;
    match &files.client_ca {
        Some(authorities) => {
            let (revoked, names) = (files.client_crl.as_deref(), files.client_names.clone());
            tls.requiring_client_certificates(authorities, revoked, names)
        }
        None => Ok(tls),
    }
}
