//! TLS with rustls: verified whenever it is used.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::TlsMode;
use crate::model::config::TlsFiles;
use crate::store::tls::{self, TlsProblem};

/// The connector for a mode. Its roots are those of the file, else the system's.
///
/// # Errors
/// What is wrong with a file.
pub(super) fn connector(mode: TlsMode, files: &TlsFiles) -> Result<MakeRustlsConnect, TlsProblem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match &files.ca {
        _ if mode == TlsMode::Disable => RootCertStore::empty(),
        Some(file) => tls::authorities(file)?,
        None => systems_authorities(),
    };
    let other = |e: &dyn std::fmt::Display| TlsProblem::Other {
        reason: e.to_string(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| other(&e))?;
    // Without any authority there is nothing to check a chain with, and no server to pass.
    let verified = if mode == TlsMode::ChainOnly && !roots.is_empty() {
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|e| other(&e))?;
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName { inner, provider }))
    } else {
        builder.with_root_certificates(roots)
    };
    let config = match (&files.cert, &files.key) {
        _ if mode == TlsMode::Disable => verified.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let (chain, key) = tls::identity(cert, key)?;
            verified
                .with_client_auth_cert(chain, key)
                .map_err(|e| other(&e))?
        }
        (None, None) => verified.with_no_client_auth(),
        _ => return Err(TlsProblem::HalfAPair),
    };
    Ok(MakeRustlsConnect::new(config))
}

/// A system without certificates still reaches servers that offer no TLS.
fn systems_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// `verify-ca`: everything is checked but the name.
#[derive(Debug)]
struct AnyName {
    inner: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is looked at last, so this error means that all else holds.
        match self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
