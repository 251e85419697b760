//! An application that signs in as itself with a certificate: instead of a secret, it sends an
//! assertion that it has signed (planner-api.md 10.6).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::auth::app_flow::{Application, by_assertion};
use crate::auth::error::Error;
use crate::auth::oauth::Granted;
use crate::graph::Secret;

/// The lifetime of an assertion, in seconds.
const LIFE: i64 = 300;

/// Signs an application in with its certificate and key, both in one PEM text, for all that an
/// administrator has granted it.
///
/// # Errors
/// The text holds no certificate or no RSA key, or the application is refused.
pub(crate) async fn by_certificate(
    application: Application<'_>,
    pem: &Secret,
    now: Timestamp,
) -> Result<Granted, Error> {
    let audience = application.authority.endpoint("token");
    let assertion = assertion(pem, application.client_id, &audience, now)?;
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
    pem: &Secret,
    client_id: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Secret, Error> {
    let bytes = pem.reveal().as_bytes();
    let invalid = |what: &str| Error::Invalid(format!("the certificate file holds no {what}"));
    let certificate = CertificateDer::from_pem_slice(bytes).map_err(|_| invalid("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|_| invalid("private key"))?;
    let mut header = Header::new(Algorithm::PS256);
    header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.as_ref())));
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
    let key = EncodingKey::from_rsa_der(key.secret_der());
    let signed = jsonwebtoken::encode(&header, &claims, &key);
    signed.map(Secret::new).map_err(|_| invalid("RSA key that can sign"))
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
    let bytes = key.as_bytes();
    // A key file has either form.
    let key = KeyPair::from_pkcs8(bytes).or_else(|_| KeyPair::from_der(bytes));
    let key = key.map_err(|_| ErrorKind::InvalidKeyFormat)?;
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
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;

    use super::*;

    fn block(kind: &str, bytes: &[u8]) -> String {
        let text = STANDARD.encode(bytes);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
    }

    #[test]
    fn an_assertion_is_signed_and_names_its_certificate() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'static> = pair.as_der().unwrap();
        let certificate = b"the bytes of a certificate";
        let pem = block("CERTIFICATE", certificate) + block("PRIVATE KEY", der.as_ref()).as_str();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let audience = "https://login.example/t/oauth2/v2.0/token";
        let made = assertion(&Secret::new(pem), "client", audience, now).unwrap();
        let parts: Vec<&str> = made.reveal().split('.').collect();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
        assert_eq!(header["alg"], "PS256");
        assert_eq!(header["typ"], "JWT");
        let thumb = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate));
        assert_eq!(header["x5t#S256"], thumb);
        let claims: Value = serde_json::from_slice(&decode(parts[1])).unwrap();
        for name in ["iss", "sub"] {
            assert_eq!(claims[name], "client");
        }
        assert_eq!(claims["aud"], audience);
        assert_eq!(claims["exp"], 1_800_000_300_i64);
        let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, pair.public_key().as_ref());
        let message = format!("{}.{}", parts[0], parts[1]);
        public.verify(message.as_bytes(), &decode(parts[2])).unwrap();
    }

    #[test]
    fn a_file_without_a_key_or_a_certificate_is_told() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for (pem, text) in [
            (String::new(), "no certificate"),
            (block("CERTIFICATE", b"c"), "no private key"),
            (block("CERTIFICATE", b"c") + block("PRIVATE KEY", b"k").as_str(), "no RSA key"),
        ] {
            let error = assertion(&Secret::new(pem), "client", "a", now).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
