//! Notices posted to an address of the web, signed.

use std::{
    fmt::Write as _, fs, io::Read as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc, time::Duration,
};

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::{Failed, Outlet};
use crate::config::Webhook;

/// The header of the signature: `t=SECONDS,v1=HEX`, HMAC-SHA256 (RFC 2104) of `SECONDS.BODY` under the key.
pub const SIGNATURE: &str = "X-Tollgate-Signature";
/// The header of the message's number, the same in every try.
const DELIVERY: &str = "X-Tollgate-Delivery";
/// How long one try may take, name look-up and handshake included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of a key.
const KEY: std::ops::RangeInclusive<usize> = 16..=4096;

/// Posts each message.
pub struct Poster {
    webhook: Webhook,
    /// Certificates to trust in place of those of this machine.
    roots: Option<Vec<Certificate<'static>>>,
    agent: Option<Agent>,
}

impl Poster {
    /// One that trusts whom this machine trusts.
    pub const fn new(webhook: Webhook) -> Self {
        Self { webhook, roots: None, agent: None }
    }

    /// One that trusts these certificates alone, in DER.
    pub fn trusting(webhook: Webhook, roots: &[Vec<u8>]) -> Self {
        let roots = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        Self { webhook, roots: Some(roots), agent: None }
    }

    fn agent(&mut self) -> &Agent {
        let roots = &self.roots;
        self.agent.get_or_insert_with(|| {
            let roots = roots.clone().unwrap_or_else(trusted_here);
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .root_certs(RootCerts::new_with_certs(&roots))
                .build();
            Agent::config_builder()
                .timeout_global(Some(PATIENCE))
                // A redirect would carry the message to where nobody sent it.
                .max_redirects(0)
                .http_status_as_error(false)
                .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls)
                .build()
                .into()
        })
    }
}

impl Outlet for Poster {
    fn deliver(&mut self, id: &str, body: &[u8]) -> Result<(), Failed> {
        let again = |cause: String| Failed { cause, again: true };
        let key = key(&self.webhook.key_file).map_err(again)?;
        let signed = signature(&key, Timestamp::now().as_second(), body);
        let url = self.webhook.url.clone();
        let sent = self
            .agent()
            .post(&url)
            .header("Content-Type", "application/json")
            .header(SIGNATURE, signed)
            .header(DELIVERY, id)
            .send(body);
        let status = match sent {
            Ok(response) => response.status().as_u16(),
            Err(error) => return Err(again(format!("cannot post to {url}: {error}"))),
        };
        match status {
            200..=299 => Ok(()),
            // Too early, too many, or the fault of the other side: another time it may be taken.
            408 | 425 | 429 | 500..=599 => Err(again(format!("{url} answered {status}"))),
            _ => Err(Failed {
                cause: format!("{url} answered {status}, and would again: correct it there"),
                again: false,
            }),
        }
    }
}

/// The value of the signature header.
pub fn signature(key: &[u8], second: i64, body: &[u8]) -> String {
    let mut hex = String::new();
    // A key of any length will do (RFC 2104, section 3).
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
        mac.update(second.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        for octet in mac.finalize().into_bytes() {
            let _ = write!(hex, "{octet:02x}");
        }
    }
    format!("t={second},v1={hex}")
}

/// The key in a file, without blanks around it. Read each time, so that it can be changed without a reload.
fn key(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("cannot read the key {shown}: {error}");
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(cannot)?;
    let mut octets = Vec::new();
    file.take(2 * *KEY.end() as u64).read_to_end(&mut octets).map_err(cannot)?;
    let key = octets.trim_ascii();
    if !KEY.contains(&key.len()) {
        return Err(format!(
            "the key in {shown} has {} octets; write {} to {}, such as `head -c 32 /dev/urandom | base64`",
            key.len(),
            KEY.start(),
            KEY.end()
        ));
    }
    Ok(key.to_vec())
}

/// The certificates that this machine trusts.
fn trusted_here() -> Vec<Certificate<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read certificates that this machine trusts");
    }
    found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_openssl() {
        let signed = signature(b"Jefe", 1, b"{}");
        let (time, hex) = signed.split_once(",v1=").unwrap();
        assert_eq!(time, "t=1");
        assert_eq!(hex, OPENSSL);
        assert_ne!(signature(b"Jefe", 2, b"{}"), signed, "the time is signed too");
    }

    /// `printf '1.{}' | openssl dgst -sha256 -hmac Jefe`
    const OPENSSL: &str = "dc7943cccf20f64327d263db5e2aca27c2b8175e8e6e7ea04f482091bf456b0f";

    #[test]
    fn keys_that_are_none_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(key(&path).unwrap_err().contains("cannot read"));
        assert!(key(dir.path()).is_err());
        for (text, good) in [("", false), ("short\n", false), ("0123456789abcdef\n", true)] {
            fs::write(&path, text).unwrap();
            assert_eq!(key(&path).is_ok(), good, "{text:?}");
        }
        assert_eq!(key(&path).unwrap(), b"0123456789abcdef");
        fs::write(&path, vec![b'x'; 100_000]).unwrap();
        assert!(key(&path).unwrap_err().contains("16 to 4096"));
    }
}
