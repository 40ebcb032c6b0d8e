//! Certificates for tests of TLS: good ones, and one for each way to be bad.
//!
//! | name | signed by | for |
//! | --- | --- | --- |
//! | `server` | `ca` | `localhost`, 127.0.0.1, `db.internal` |
//! | `elsewhere` | `ca` | `elsewhere.internal` alone |
//! | `expired` | `ca` | as `server`, until 2020 |
//! | `client` | `ca` | the role `tls_client` |
//! | `stranger` | `other-ca` | the role `tls_client` |
#![allow(dead_code, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// The name in the clients' certificates.
pub const CLIENT: &str = "tls_client";
const SERVER_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "db.internal"];

/// A folder with `NAME.pem` and `NAME.key` for each, `ca.pem` and `other-ca.pem`. It goes with the value.
pub struct Certificates {
    folder: TempDir,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Certificates {
    pub fn new() -> Self {
        let all = Self {
            folder: TempDir::new().expect("a temporary folder"),
        };
        let (ca, other) = (all.authority("ca"), all.authority("other-ca"));
        let server = || params("the server", &SERVER_NAMES);
        let mut expired = server();
        expired.not_before = date_time_ymd(2010, 1, 1);
        expired.not_after = date_time_ymd(2020, 1, 1);
        let elsewhere = params("elsewhere", &["elsewhere.internal"]);
        let client = || {
            let mut client = params(CLIENT, &[]);
            client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            client
        };
        for (name, params, issuer) in [
            ("server", server(), &ca),
            ("elsewhere", elsewhere, &ca),
            ("expired", expired, &ca),
            ("client", client(), &ca),
            ("stranger", client(), &other),
        ] {
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, issuer).expect("a certificate");
            all.write(&format!("{name}.pem"), &certificate.pem());
            all.write(&format!("{name}.key"), &key.serialize_pem());
        }
        all
    }

    /// The path of a file, e.g. `server.key`.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The path of a file as TOML has it.
    pub fn quoted(&self, file: &str) -> String {
        format!("'{}'", self.path(file).display())
    }

    /// Copies a file into a server's folder, as the server wants it: its own, and nobody else's to read.
    pub fn give(&self, file: &str, folder: &Path) -> PathBuf {
        let target = folder.join(file);
        fs::copy(self.path(file), &target).expect("a copy");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("permissions");
        let owner = folder.metadata().expect("a folder");
        chown(&target, Some(owner.uid()), Some(owner.gid())).expect("an owner");
        target
    }

    fn authority(&self, name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let authority = Authority::self_signed(params, key).expect("a certificate");
        self.write(&format!("{name}.pem"), &authority.pem());
        authority
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("a file");
    }
}

fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}
