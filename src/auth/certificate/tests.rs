//! Certificates made here, with an RSA key that is generated once.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use p12_keystore::{EncryptionAlgorithm, KeyStoreEntry, MacAlgorithm, PrivateKeyChain};
use rcgen::{CertificateParams, date_time_ymd};
use serde_json::Value;

use super::*;

const AUDIENCE: &str = "https://login.example/t/oauth2/v2.0/token";
const PASSWORD: &str = "open sesame";

/// Keys as PKCS#8, the second that of somebody else.
static KEYS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| {
        let der: Pkcs8V1Der<'static> =
            KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        der.as_ref().to_vec()
    })
});

/// Returns the certificate of a key, valid from the year 2026 to the end of 2027.
fn certificate_of(key: &[u8]) -> Vec<u8> {
    let key = rcgen::KeyPair::try_from(key).unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2028, 1, 1));
    params.self_signed(&key).unwrap().der().to_vec()
}

fn pem_of(blocks: &[(&str, &[u8])]) -> Secret {
    let blocks: Vec<Pem> = blocks.iter().map(|(tag, der)| Pem::new(*tag, *der)).collect();
    Secret::new(pem::encode_many(&blocks))
}

fn pfx_of(key: &[u8], how: EncryptionAlgorithm, mac: MacAlgorithm) -> Vec<u8> {
    let certificate = p12_keystore::Certificate::from_der(&certificate_of(key)).unwrap();
    let chain = PrivateKeyChain::new(key, [1], [certificate]);
    let mut store = KeyStore::new();
    store.add_entry("job", KeyStoreEntry::PrivateKeyChain(chain));
    let writer = store.writer(PASSWORD).encryption_algorithm(how).mac_algorithm(mac);
    writer.encryption_iterations(2).mac_iterations(2).write().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn an_assertion_is_signed_and_names_the_certificate_of_its_key() {
    let [key, other] = &*KEYS;
    let certificate = certificate_of(key);
    // That of an authority may stand before it.
    let pem = pem_of(&[
        ("CERTIFICATE", &certificate_of(other)),
        ("PRIVATE KEY", key),
        ("CERTIFICATE", &certificate),
    ]);
    let now = at("2027-01-15T08:00:00Z");
    let made = assertion(&Certificate::of(&pem).unwrap(), "client", AUDIENCE, now).unwrap();
    let parts: Vec<&str> = made.reveal().split('.').collect();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    assert_eq!(header["alg"], "PS256");
    assert_eq!(header["typ"], "JWT");
    assert_eq!(header["x5t#S256"], URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)));
    let claims: Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    for name in ["iss", "sub"] {
        assert_eq!(claims[name], "client");
    }
    assert_eq!(claims["aud"], AUDIENCE);
    assert_eq!(claims["exp"], now.as_second() + 300);
    let pair = pair(key).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, pair.public_key().as_ref());
    let message = format!("{}.{}", parts[0], parts[1]);
    public.verify(message.as_bytes(), &decode(parts[2])).unwrap();
}

#[test]
fn a_file_without_a_key_and_its_certificate_is_told() {
    let [key, other] = &*KEYS;
    let (own, others) = (certificate_of(key), certificate_of(other));
    let of = |blocks: &[(&str, &[u8])]| Certificate::of(&pem_of(blocks)).err().unwrap().to_string();
    for (error, text) in [
        (of(&[]), "no certificate"),
        (of(&[("CERTIFICATE", &own)]), "no private key"),
        (of(&[("CERTIFICATE", &own), ("PRIVATE KEY", b"k")]), "no RSA key"),
        (of(&[("CERTIFICATE", &others), ("PRIVATE KEY", key)]), "no certificate of its key"),
        (of(&[("CERTIFICATE", b"c"), ("PRIVATE KEY", key)]), "no certificate of its key"),
        (of(&[("CERTIFICATE", &own), ("ENCRYPTED PRIVATE KEY", key)]), "give a PFX file"),
    ] {
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_certificate_is_good_in_its_time_only() {
    let key = &KEYS[0];
    let pem = pem_of(&[("CERTIFICATE", &certificate_of(key)), ("PRIVATE KEY", key)]);
    let read = Certificate::of(&pem).unwrap();
    assert_eq!(read.ends, at("2028-01-01T00:00:00Z"));
    for good in ["2026-01-01T00:00:00Z", "2027-06-01T12:00:00Z"] {
        assert!(read.is_valid(at(good)).is_ok(), "{good}");
    }
    let error = read.is_valid(at("2028-01-01T00:00:01Z")).unwrap_err();
    assert_eq!(error.code(), "not_signed_in");
    assert!(error.to_string().contains("expired on 2028-01-01"), "{error}");
    let error = read.is_valid(at("2025-12-31T23:00:00Z")).unwrap_err().to_string();
    assert!(error.contains("not valid before 2026-01-01; is the clock"), "{error}");
}

#[test]
fn a_pfx_file_is_kept_as_pem() {
    let key = &KEYS[0];
    let password = |text: &str| Ok(Secret::new(text.to_owned()));
    for (how, mac) in [
        (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256),
        (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1),
    ] {
        let file = pfx_of(key, how, mac);
        let pem = as_pem(file.clone(), || password(PASSWORD)).unwrap();
        assert_eq!(*Certificate::of(&pem).unwrap().der, *certificate_of(key));
        let error = as_pem(file.clone(), || password("close sesame")).unwrap_err();
        assert!(error.to_string().contains("password"), "{error}");
        // Cut anywhere, it is told and nothing breaks.
        for n in (1..file.len()).step_by(97) {
            assert!(as_pem(file[..n].to_vec(), || password(PASSWORD)).is_err(), "{n}");
        }
    }
    let nobody = || -> Result<Secret, Error> { panic!("a PEM file has no password") };
    let pem = as_pem(b"-----BEGIN".to_vec(), nobody).unwrap();
    assert_eq!(pem.reveal(), "-----BEGIN");
    assert!(as_pem(vec![0xff; 4], nobody).unwrap_err().to_string().contains("neither PEM nor PFX"));
}
