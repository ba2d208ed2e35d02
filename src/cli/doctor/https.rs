//! HTTPS: a handshake, and whether the certificate that comes is the one in the file.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
};

use super::finding::Finding;
use super::net::{Mute, tcp};
use crate::base::{Code, Diagnostic};

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&CERTIFICATE];

static CERTIFICATE: Code = Code {
    id: "H0932",
    title: "HTTPS does not show the certificate in the file",
    explain: "Who checks certificates refuses the connection once the old one has run out. The daemon reads the \
              file when it starts.",
};

/// Takes any certificate: which one it is is looked at afterwards, and nothing secret is sent.
#[derive(Debug)]
struct Any(CryptoProvider);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Shakes hands and judges; `unheard` says what silence means.
pub(super) fn examine(
    server: SocketAddr,
    file: Option<&Path>,
    unheard: impl Fn(&Mute) -> Finding,
) -> Finding {
    let shown = match shown(server) {
        Ok(shown) => shown,
        Err(mute) => return unheard(&mute),
    };
    let on_disk = file.and_then(|path| CertificateDer::pem_file_iter(path).ok()?.next()?.ok());
    match on_disk {
        None => Finding::skipped(format!(
            "{server} speaks TLS; the certificate's file cannot be read by you"
        )),
        Some(certificate) if *certificate == *shown => {
            Finding::fine(format!("{server} speaks TLS, with the certificate in the file"))
        }
        Some(_) => {
            let text = format!("{server} shows another certificate than the file holds");
            Diagnostic::warning(&CERTIFICATE, text).help("systemctl restart handsetd").into()
        }
    }
}

/// The certificate that the server shows.
fn shown(server: SocketAddr) -> Result<Vec<u8>, Mute> {
    let failed = |error: Error| Mute::Failed(format!("no TLS: {error}"));
    let provider = default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any(provider)))
        .with_no_client_auth();
    let name = ServerName::from(server.ip());
    let mut client = ClientConnection::new(Arc::new(config), name).map_err(failed)?;
    let mut stream = tcp(server)?;
    while client.is_handshaking() {
        client.complete_io(&mut stream).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Mute::Silent,
            _ => Mute::Failed(format!("no TLS: {error}")),
        })?;
    }
    let certificate = client.peer_certificates().and_then(|all| all.first());
    certificate.map(|c| c.to_vec()).ok_or_else(|| Mute::Failed("no TLS: no certificate".into()))
}
