//! TLS, with rustls.

use tokio::io::AsyncReadExt;
use usp_mapping::mapping::MqttTls;

use crate::secret::{self, Secret};

/// Longest file of certificates that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// How a server is trusted and who we are to it, as bytes of PEM.
pub(crate) struct Tls {
    /// `None`: those that the system trusts.
    authorities: Option<Vec<u8>>,
    /// Certificate and key.
    identity: Option<(Vec<u8>, Secret)>,
}

impl Tls {
    /// With the files as they are now.
    ///
    /// Errors: one cannot be read.
    pub(crate) async fn of(tls: &MqttTls) -> Result<Self, String> {
        let authorities = match &tls.ca {
            Some(path) => Some(read("the trusted certificates", path).await?),
            None => None,
        };
        let identity = match &tls.identity {
            Some((certificate, key)) => {
                let key =
                    secret::read(key).await.map_err(|why| format!("the key of our certificate: {why}"))?;
                Some((read("our certificate", certificate).await?, key))
            }
            None => None,
        };
        Ok(Self { authorities, identity })
    }
}

/// A file that may be known.
///
/// Errors: it cannot be read, or is too large.
async fn read(what: &str, path: &str) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("{what}: the file {path} cannot be read: {error}");
    let mut content = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(wrong)?;
    let length = file.take(LONGEST + 1).read_to_end(&mut content).await.map_err(wrong)?;
    if length as u64 <= LONGEST {
        Ok(content)
    } else {
        Err(format!("{what}: the file {path} has more than {LONGEST} bytes"))
    }
}

macro_rules! transport {
    ($library:ident, $name:ident) => {
        /// For this version's library.
        ///
        /// Errors: the system's certificates cannot be had.
        pub(crate) fn $name(tls: Tls) -> Result<$library::Transport, String> {
            let identity = tls.identity.map(|(certificate, key)| (certificate, key.0));
            match tls.authorities {
                Some(authorities) => Ok($library::Transport::tls(authorities, identity, None)),
                None if identity.is_some() => {
                    Err("with a certificate of our own, `ca` has to say whom we trust".to_owned())
                }
                None => $library::TlsConfiguration::try_default_rustls()
                    .map($library::Transport::tls_with_config)
                    .map_err(|error| format!("the certificates of the system: {error}")),
            }
        }
    };
}

transport!(rumqttc_v4, v311);
transport!(rumqttc_v5, v5);
