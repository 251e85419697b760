//! An application that signs in as itself with a certificate: instead of a secret, it sends an
//! assertion that it has signed (planner-api.md 10.6).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use p12_keystore::KeyStore;
use pem::Pem;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::auth::app_flow::{Application, by_assertion};
use crate::auth::error::Error;
use crate::auth::oauth::Granted;
use crate::graph::{Secret, SignInError};

/// The lifetime of an assertion, in seconds.
const LIFE: i64 = 300;

/// The certificate of an application, with its key.
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    begins: Timestamp,
    /// The moment after which it is not valid.
    pub(crate) ends: Timestamp,
}

impl Certificate {
    /// Reads a PEM text with an RSA key and the certificate of that key, among others or alone.
    ///
    /// # Errors
    /// It holds no such key, or no certificate of it.
    pub(crate) fn of(pem: &Secret) -> Result<Self, Error> {
        let bytes = pem.reveal().as_bytes();
        let none = |what: &str| Error::Invalid(format!("the certificate file holds no {what}"));
        // Either form says so, the older one in a header of its own.
        if pem.reveal().contains("ENCRYPTED") {
            let why = "the key in the certificate file is encrypted: give a PFX file, which may have a password";
            return Err(Error::Invalid(why.to_owned()));
        }
        let ders = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
        let ders = ders.map_err(|_| none("certificate"))?;
        if ders.is_empty() {
            return Err(none("certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|_| none("private key"))?;
        let pair = pair(key.secret_der()).ok_or_else(|| none("RSA key that can sign"))?;
        for der in ders {
            let Ok((_, read)) = x509_parser::parse_x509_certificate(&der) else { continue };
            if *read.public_key().subject_public_key.data != *pair.public_key().as_ref() {
                continue;
            }
            let at = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp());
            let validity = read.validity();
            let times = (at(validity.not_before), at(validity.not_after));
            let (Ok(begins), Ok(ends)) = times else { continue };
            return Ok(Self { der: der.clone(), key, begins, ends });
        }
        Err(none("certificate of its key"))
    }

    /// Checks that it is valid now, which the sign-in service would say less clearly.
    fn is_valid(&self, now: Timestamp) -> Result<(), Error> {
        let day = |at: Timestamp| at.strftime("%F");
        let why = if self.ends < now {
            format!("the certificate expired on {}", day(self.ends))
        } else if now < self.begins {
            let day = day(self.begins);
            format!(
                "the certificate is not valid before {day}; is the clock of this machine right?"
            )
        } else {
            return Ok(());
        };
        Err(SignInError::Refused(why).into())
    }
}

/// Returns a certificate file as PEM, which is the form in which it is kept: such a file as it is, a PFX
/// file (PKCS#12) unlocked with what `password` returns.
///
/// # Errors
/// It is neither, or the password is another one.
pub(crate) fn as_pem(
    file: Vec<u8>,
    password: impl FnOnce() -> Result<Secret, Error>,
) -> Result<Secret, Error> {
    let invalid = |what: &str| Error::Invalid(format!("the certificate file {what}"));
    // A PFX file begins as every sequence of ASN.1.
    if file.first() != Some(&0x30) {
        let text = String::from_utf8(file).map_err(|_| invalid("is neither PEM nor PFX"))?;
        return Ok(Secret::new(text));
    }
    let password = password()?;
    let store = KeyStore::from_pkcs12(&file, password.reveal()).map_err(|error| match error {
        p12_keystore::error::Error::MacError(_) if password.reveal().is_empty() => {
            invalid("has a password: PLANWRIGHT_CERTIFICATE_PASSWORD gives it")
        }
        p12_keystore::error::Error::MacError(_) => invalid("has another password"),
        p12_keystore::error::Error::UnsupportedEncryptionScheme
        | p12_keystore::error::Error::UnsupportedMacAlgorithm => {
            invalid("is a PFX file of a kind that is not read: save it with AES-256, or as PEM")
        }
        _ => invalid("is no PFX file that can be read, or has another password"),
    })?;
    let Some((_, chain)) = store.private_key_chain() else {
        return Err(invalid("holds no private key with its certificate"));
    };
    let certificates = chain.chain().iter().map(|it| Pem::new("CERTIFICATE", it.as_der()));
    let blocks: Vec<Pem> = certificates.chain([Pem::new("PRIVATE KEY", chain.key())]).collect();
    Ok(Secret::new(pem::encode_many(&blocks)))
}

/// Signs an application in with its certificate and key, both in one PEM text, for all that an
/// administrator has granted it.
///
/// # Errors
/// The text holds no certificate or no RSA key, the certificate is not valid now, or the application is
/// refused.
pub(crate) async fn by_certificate(
    application: Application<'_>,
    pem: &Secret,
    now: Timestamp,
) -> Result<Granted, Error> {
    let audience = application.authority.endpoint("token");
    let certificate = Certificate::of(pem)?;
    certificate.is_valid(now)?;
    let assertion = assertion(&certificate, application.client_id, &audience, now)?;
    by_assertion(application, &assertion).await
}

/// The claims of an assertion.
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: i64,
    iat: i64,
    exp: i64,
}

/// Makes and signs an assertion.
fn assertion(
    certificate: &Certificate,
    client_id: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Secret, Error> {
    let mut header = Header::new(Algorithm::PS256);
    header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate.der)));
    let now = now.as_second();
    let claims = Claims {
        aud: audience,
        iss: client_id,
        sub: client_id,
        jti: uuid::Uuid::new_v4().to_string(),
        nbf: now,
        iat: now,
        exp: now + LIFE,
    };
    // Who was first has installed the same.
    let _installed = PROVIDER.install_default();
    let key = EncodingKey::from_rsa_der(certificate.key.secret_der());
    let signed = jsonwebtoken::encode(&header, &claims, &key);
    signed.map(Secret::new).map_err(|_| Error::Cryptography)
}

/// Reads an RSA key, in either form that a key file has.
fn pair(der: &[u8]) -> Option<KeyPair> {
    KeyPair::from_pkcs8(der).or_else(|_| KeyPair::from_der(der)).ok()
}

/// The cryptography of TLS as that of assertions, which the library then need not bring along.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: no_verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// A signature with RSA-PSS and SHA-256.
struct Ps256(KeyPair);

impl signature::Signer<Vec<u8>> for Ps256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut signed = vec![0; self.0.public_modulus_len()];
        let result = self.0.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signed);
        result.map(|()| signed).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Ps256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::PS256
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library passes a reference")]
fn signer(
    algorithm: &Algorithm,
    key: &EncodingKey,
) -> Result<Box<dyn JwtSigner>, jsonwebtoken::errors::Error> {
    if *algorithm != Algorithm::PS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = pair(key.as_bytes()).ok_or(ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(Ps256(key)))
}

/// Nothing is verified here: assertions are only sent.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library passes a reference")]
fn no_verifier(
    _: &Algorithm,
    _: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, jsonwebtoken::errors::Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

#[cfg(test)]
mod tests;
