//! From PEM files to the configuration of handshakes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{Error as TlsError, RootCertStore, ServerConfig};

use super::{ClientCertificates, Tls};

const ENCRYPTED: (&str, &str) =
    ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");

/// What is in the files.
#[derive(PartialEq, Eq)]
pub(crate) struct Contents {
    certificate: Vec<u8>,
    key: Option<Vec<u8>>,
    client_authorities: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(tls: &Tls) -> Result<Contents, String> {
        Ok(Contents {
            certificate: read("certificate", &tls.certificate)?,
            key: tls.key.as_deref().map(|path| read("private key", path)).transpose()?,
            client_authorities: tls
                .client_authorities
                .as_deref()
                .map(|path| read("authorities of clients", path))
                .transpose()?,
        })
    }

    pub(super) fn config(&self, tls: &Tls, protocols: &[Vec<u8>]) -> Result<ServerConfig, String> {
        let key_path = tls.key.as_deref().unwrap_or(&tls.certificate);
        let chain = certificates("certificate", &tls.certificate, &self.certificate)?;
        let key =
            private_key(key_path, self.key.as_ref().unwrap_or(&self.certificate), tls.password.as_deref())?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match self.verifier(tls)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            TlsError::InconsistentKeys(_) => format!(
                "the private key {} is not the one of the certificate {}",
                key_path.display(),
                tls.certificate.display()
            ),
            error => format!("the certificate {}: {error}", tls.certificate.display()),
        })?;
        config.alpn_protocols = protocols.to_vec();
        Ok(config)
    }

    fn verifier(&self, tls: &Tls) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
        if tls.client_certificates == ClientCertificates::Ignored {
            return Ok(None);
        }
        let (Some(path), Some(pem)) = (&tls.client_authorities, &self.client_authorities) else {
            return Err("clients are to show certificates, and nothing says whose: name the file of their \
                        authorities with --ssl-ca-certs"
                .to_owned());
        };
        let mut roots = RootCertStore::empty();
        for authority in certificates("authorities of clients", path, pem)? {
            roots.add(authority).map_err(|error| {
                format!("a certificate in {} is none of an authority: {error}", path.display())
            })?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
        let builder = match tls.client_certificates {
            ClientCertificates::Required => builder,
            ClientCertificates::Optional | ClientCertificates::Ignored => builder.allow_unauthenticated(),
        };
        let verifier = builder.build().map_err(|error: VerifierBuilderError| error.to_string())?;
        Ok(Some(verifier))
    }
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("the file of the {what} {}: {error}", path.display()))
}

fn certificates(what: &str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!(
            "the file of the {what} {} holds none: a line -----BEGIN CERTIFICATE----- is missing",
            path.display()
        )),
        Err(error) => Err(format!("the file of the {what} {} cannot be read: {error}", path.display())),
    }
}

fn private_key(path: &Path, pem: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    let shown = path.display();
    let text = String::from_utf8_lossy(pem);
    if let Some(start) = text.find(ENCRYPTED.0) {
        let Some(password) = password else {
            return Err(format!(
                "the private key {shown} is encrypted: give its password with --ssl-keyfile-password"
            ));
        };
        let end = text[start..].find(ENCRYPTED.1).map(|end| start + end + ENCRYPTED.1.len());
        let section = end.map(|end| &text[start..end]);
        return decrypt(section.unwrap_or_default(), password)
            .map_err(|why| format!("the private key {shown}: {why}"));
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(format!(
            "the private key {shown} is encrypted in the old format of OpenSSL, which is not supported; convert it: \
             openssl pkcs8 -topk8 -in {shown} -out NEW"
        ));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        use rustls::pki_types::pem::Error::NoItemsFound;
        match error {
            NoItemsFound => format!(
                "there is no private key in {shown}: a line -----BEGIN PRIVATE KEY----- is missing (name the file \
                 that has it with --ssl-keyfile)"
            ),
            error => format!("the private key {shown} cannot be read: {error}"),
        }
    })
}

fn decrypt(section: &str, password: &str) -> Result<PrivateKeyDer<'static>, String> {
    let (_, encrypted) =
        SecretDocument::from_pem(section).map_err(|error| format!("it cannot be read: {error}"))?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes())
        .map_err(|error| format!("it is encrypted in a way that is not supported: {error}"))?;
    let decrypted = encrypted
        .decrypt(password)
        .map_err(|_| "the password that is given with --ssl-keyfile-password does not open it".to_owned())?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(decrypted.as_bytes().to_vec())))
}
