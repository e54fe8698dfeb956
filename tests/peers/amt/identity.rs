//! The key and the certificate of the device: the same on all its TLS ports, for as long as it runs. Old firmware is played by
//! OpenSSL, for nobody else speaks its TLS any more.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};

use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslOptions, SslVersion};
use openssl::x509::X509;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::profile::Tls;
use crate::redirection::Wire;

/// What every TLS port of the device is served with.
#[derive(Clone)]
pub enum Server {
    Modern(Arc<ServerConfig>),
    Old(SslAcceptor),
}

static SERVER: OnceLock<Server> = OnceLock::new();

pub fn server(address: &str, tls: Tls) -> Server {
    let make = || match tls {
        Tls::Modern => Server::Modern(modern(address)),
        Tls::Old10 => Server::Old(old(address, SslVersion::TLS1)),
        Tls::Old12 => Server::Old(old(address, SslVersion::TLS1_2)),
    };
    SERVER.get_or_init(make).clone()
}

fn modern(address: &str) -> Arc<ServerConfig> {
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
}

/// That version and no other, key exchange by RSA, AES with CBC.
fn old(address: &str, version: SslVersion) -> SslAcceptor {
    let pem = oobd::tls::make_rsa("amt", &[address]).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).unwrap();
    let key = PKey::private_key_from_pem(pem.as_bytes()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor
        .set_certificate(&X509::from_pem(pem.as_bytes()).unwrap())
        .unwrap();
    acceptor.clear_options(SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1);
    acceptor.set_min_proto_version(Some(version)).unwrap();
    acceptor.set_max_proto_version(Some(version)).unwrap();
    acceptor
        .set_cipher_list("AES128-SHA:AES256-SHA:@SECLEVEL=0")
        .unwrap();
    acceptor.build()
}

/// A connection with TLS. With old firmware the hands are shaken when it comes back.
pub fn wrap(server: &Server, stream: TcpStream) -> Option<Box<dyn Wire>> {
    match server {
        Server::Modern(config) => {
            let connection = ServerConnection::new(config.clone()).ok()?;
            Some(Box::new(Encrypted(StreamOwned::new(connection, stream))))
        }
        Server::Old(acceptor) => Some(Box::new(acceptor.accept(stream).ok()?)),
    }
}

/// A read that comes to nothing in time loses nothing.
struct Encrypted(StreamOwned<ServerConnection, TcpStream>);

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
