//! The key and the certificate of the device: the same on all its TLS ports, for as long as it runs.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

static CONFIG: OnceLock<Arc<ServerConfig>> = OnceLock::new();

/// What every TLS port of the device is served with.
pub fn server(address: &str) -> Arc<ServerConfig> {
    let make = || {
        let pem = oobd::tls::make("amt", &[address]).unwrap();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(oobd::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config)
    };
    CONFIG.get_or_init(make).clone()
}

pub fn connection(config: &Arc<ServerConfig>) -> Option<ServerConnection> {
    ServerConnection::new(config.clone()).ok()
}

/// A connection with TLS; a read that comes to nothing in time loses nothing.
pub struct Encrypted(StreamOwned<ServerConnection, TcpStream>);

impl Encrypted {
    pub fn new(connection: ServerConnection, stream: TcpStream) -> Self {
        Self(StreamOwned::new(connection, stream))
    }
}

impl Read for Encrypted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Encrypted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
