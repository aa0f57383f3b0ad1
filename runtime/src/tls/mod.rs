//! TLS: the files it is made of, and the handshake's configuration, which is renewed when they change.

mod files;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;

use crate::{Error, ErrorKind};
pub(crate) use files::Contents;
pub(crate) use watch::Watch;

/// How connections are encrypted. All files are in PEM format.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate, and those that lead from it to its authority.
    pub certificate: PathBuf,
    /// The certificate's private key; `None` where it is in the same file.
    pub key: Option<PathBuf>,
    /// The password of the private key, where it is encrypted.
    pub password: Option<String>,
    /// The authorities whose certificates clients may show.
    pub client_authorities: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    pub client_certificates: ClientCertificates,
}

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    Ignored,
    /// They may, and it has to be a valid one.
    Optional,
    /// They have to.
    Required,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        f.debug_struct("Tls")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .field("client_authorities", &self.client_authorities)
            .field("client_certificates", &self.client_certificates)
            .finish_non_exhaustive()
    }
}

/// What new connections are encrypted by, as it is now.
pub(crate) struct Secured {
    tls: Tls,
    protocols: Vec<Vec<u8>>,
    current: RwLock<Arc<ServerConfig>>,
}

impl Secured {
    /// Reads the files. `protocols` are what is spoken on the connections, the preferred one first. An error of kind `Config`
    /// names the file and what is wrong with it; beside it are the contents, for [`Watch`].
    pub(crate) fn load(tls: Tls, protocols: &[&str]) -> Result<(Secured, Contents), Error> {
        let protocols: Vec<_> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let failed = |why| Error::new(ErrorKind::Config, format!("TLS is not possible: {why}"));
        let contents = Contents::read(&tls).map_err(failed)?;
        let config = contents.config(&tls, &protocols).map_err(failed)?;
        Ok((Secured { tls, protocols, current: RwLock::new(Arc::new(config)) }, contents))
    }

    /// For the next handshake.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read())
    }

    /// Goes over to other contents of the files.
    fn renew(&self, contents: &Contents) -> Result<(), String> {
        let config = contents.config(&self.tls, &self.protocols)?;
        *self.current.write() = Arc::new(config);
        Ok(())
    }
}
