//! TLS at the door itself: one certificate, read again while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::lifecycle::Shutdown;
use crate::telemetry::Metrics;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What ALPN calls HTTP/2.
pub(super) const H2: &[u8] = b"h2";

/// The files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those between it and the root, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub private_key: PathBuf,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    private_key: Vec<u8>,
}

/// The door's certificate, always the newest good one.
#[derive(Clone)]
pub struct Tls(watch::Receiver<Arc<ServerConfig>>);

impl Tls {
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.borrow()))
    }

    /// Reads the files, now and whenever they have changed, until `shutdown`.
    ///
    /// # Errors
    /// What is wrong with them, in one line.
    pub fn open(files: TlsFiles, metrics: Arc<Metrics>, shutdown: Shutdown) -> Result<Tls, String> {
        let contents = read(&files)?;
        let (sender, receiver) = watch::channel(Arc::new(configure(&files, &contents)?));
        tokio::spawn(follow(files, contents, sender, metrics, shutdown));
        Ok(Tls(receiver))
    }
}

/// Can the files be used?
///
/// # Errors
/// What is wrong with them, in one line.
pub fn check(files: &TlsFiles) -> Result<(), String> {
    configure(files, &read(files)?).map(|_| ())
}

async fn follow(
    files: TlsFiles,
    mut last: Contents,
    sender: watch::Sender<Arc<ServerConfig>>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) {
    while tokio::time::timeout(LOOK, shutdown.requested()).await.is_err() {
        let read = tokio::task::spawn_blocking({
            let files = files.clone();
            move || read(&files)
        });
        let configured = match read.await {
            Ok(Ok(contents)) if contents == last => continue,
            Ok(Ok(contents)) => {
                let configured = configure(&files, &contents);
                // Told once, and tried again when the files change again: between two writes they do not fit together.
                last = contents;
                configured
            }
            Ok(Err(fault)) => Err(fault),
            Err(fault) => Err(fault.to_string()),
        };
        match configured {
            Ok(config) => {
                tracing::info!("the certificate was read again");
                sender.send_replace(Arc::new(config));
            }
            Err(fault) => {
                metrics.certificate_faults.add_one();
                tracing::warn!(fault, "the certificate cannot be read again; the last good one stays");
            }
        }
    }
}

fn read(files: &TlsFiles) -> Result<Contents, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|fault| format!("{}: {fault}", path.display()));
    Ok(Contents { certificate: read(&files.certificate)?, private_key: read(&files.private_key)? })
}

fn configure(files: &TlsFiles, contents: &Contents) -> Result<ServerConfig, String> {
    let (certificate, key) = (files.certificate.display(), files.private_key.display());
    let chain = CertificateDer::pem_slice_iter(&contents.certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|fault| format!("{certificate}: is no PEM: {fault}"))?;
    if chain.is_empty() {
        return Err(format!("{certificate}: holds no certificate"));
    }
    // What is wrong with a key is not quoted.
    let private_key = PrivateKeyDer::from_pem_slice(&contents.private_key)
        .map_err(|_| format!("{key}: holds no private key as PEM"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private_key))
        .map_err(|fault| format!("{certificate} and {key}: {fault}"))?;
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
