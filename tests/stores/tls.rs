//! TLS with real certificates and real servers: verified by default, and clear when it fails.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::Certificates;
use crate::cluster::RedisCluster;
use crate::support::project::{Ended, Project};
use crate::support::{fresh_database, query_one_text};
use crate::tls_servers::{TlsPostgres, TlsRedis, speak_tls};

static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(Certificates::new);

fn redis_project(url: &str, keys: &str) -> Project {
    Project::empty()
        .file(
            "schema/redis/0001_copy.toml",
            "scope = \"a:<id>\"\n[[step]]\ncopy = \"a:<id>\"\nto = \"b:<id>\"\ntype = \"string\"\n",
        )
        .redis_url(url)
        .redis_keys(keys)
}

fn sql_project(url: &str, keys: &str) -> Project {
    Project::empty()
        .file("schema/sql/0001_t.up.sql", "create table t (id bigint);")
        .file(
            "schema/sql/0001_t.verify.sql",
            "select to_regclass('t') is not null;",
        )
        .postgres_url(url)
        .postgres_keys(keys)
}

/// Lines of `[redis]`, each a key with one of the certificates' files.
fn redis_files(files: &[(&str, &str)]) -> String {
    let line = |(key, file): &(&str, &str)| format!("{key} = {}\n", CERTIFICATES.quoted(file));
    files.iter().map(line).collect()
}

/// The same for `[postgres]`.
fn sql_files(files: &[(&str, &str)]) -> String {
    redis_files(files)
        .lines()
        .map(|line| match line.strip_prefix("ca") {
            Some(rest) => format!("sslrootcert{rest}\n"),
            None => format!("ssl{line}\n"),
        })
        .collect()
}

const CA: (&str, &str) = ("ca", "ca.pem");

/// A good migration from its plan to its proof.
fn works(project: &Project, id: &str) {
    project.migrate("plan -out plan.bin").ok();
    project.migrate("apply plan.bin").ok();
    assert_eq!(project.statuses()[id], "applied");
    project.migrate("verify").ok();
    project.run(&["serve", "--", "true"]).ok();
}

/// Refused by every command, and the hint names these words too.
fn refused(project: &Project, words: &[&str]) {
    for command in ["list", "plan", "verify", "apply --yes", "unlock"] {
        let ended: Ended = project.migrate(command);
        ended.refuses(1, words);
    }
}

#[test]
fn u16_redis_over_tls_works_with_its_authority() {
    let redis = TlsRedis::start(&CERTIFICATES, "server", false);
    for host in ["localhost", "127.0.0.1"] {
        let prefix = format!("deployment_id = \"{host}\"\n");
        let project = redis_project(&redis.url(host), &format!("{prefix}{}", redis_files(&[CA])));
        works(&project, "redis/0001_copy");
    }
}

#[test]
fn u16_redis_is_verified_by_default() {
    let redis = TlsRedis::start(&CERTIFICATES, "server", false);
    let url = redis.url("localhost");
    let unknown = [
        "TLS: the server's certificate is signed by an authority that is not trusted here",
        "set ca of [redis] to a PEM file",
    ];
    refused(&redis_project(&url, ""), &unknown);
    let other = redis_files(&[("ca", "other-ca.pem")]);
    refused(&redis_project(&url, &other), &unknown);

    let elsewhere = TlsRedis::start(&CERTIFICATES, "elsewhere", false);
    let project = redis_project(&elsewhere.url("localhost"), &redis_files(&[CA]));
    let name = "the server's certificate is not for localhost, but for elsewhere.internal";
    refused(&project, &[name, "use a name in [redis] url"]);

    let expired = TlsRedis::start(&CERTIFICATES, "expired", false);
    let project = redis_project(&expired.url("localhost"), &redis_files(&[CA]));
    let words = "the server's certificate expired on 2020-01-01";
    refused(&project, &[words, "a certificate that is valid now"]);

    for server in [redis, elsewhere, expired] {
        assert_eq!(server.keys(), redis::Value::Int(0), "nothing was written");
    }
}

#[test]
fn u16_redis_demands_a_certificate_of_its_client() {
    let redis = TlsRedis::start(&CERTIFICATES, "server", true);
    let url = redis.url("localhost");
    let with = |cert, key| redis_files(&[CA, ("cert", cert), ("key", key)]);
    works(
        &redis_project(&url, &with("client.pem", "client.key")),
        "redis/0001_copy",
    );
    refused(
        &redis_project(&url, &redis_files(&[CA])),
        &[
            "the server demands a client's certificate",
            "set cert and key of [redis]",
        ],
    );
    refused(
        &redis_project(&url, &with("stranger.pem", "stranger.key")),
        &["the server does not take the client's certificate: TLS alert UnknownCA"],
    );
}

#[test]
fn u16_every_node_of_a_cluster_is_verified_and_shown_the_clients_certificate() {
    let cluster = RedisCluster::start();
    let key = |n: usize| vec!["SET".to_owned(), format!("a:{n}"), n.to_string()];
    cluster.load((0..60).map(key));
    let speak = |names: [&str; 3]| -> Vec<String> {
        let nodes = cluster.nodes().iter().zip(names);
        let ports: Vec<u16> = nodes
            .map(|(node, name)| speak_tls(node, &CERTIFICATES, name, true))
            .collect();
        // What the nodes say of one another speaks TLS, too.
        cluster.announce(&ports);
        let (login, _) = cluster.nodes()[0].url().rsplit_once('@').unwrap();
        let login = login.replace("redis://", "rediss://");
        let url = |port: &u16| format!("{login}@127.0.0.1:{port}");
        ports.iter().map(url).collect()
    };
    let files = redis_files(&[CA, ("cert", "client.pem"), ("key", "client.key")]);
    let project = |urls: &[String], files: &str| {
        let project = redis_project("", "").redis_cluster(urls);
        project.redis_keys(files)
    };

    let urls = speak(["server", "server", "elsewhere"]);
    // One address is enough to find the others, and then the one that is somebody else is met.
    refused(
        &project(&urls[..1], &files),
        &["the server's certificate is not for 127.0.0.1, but for elsewhere.internal"],
    );
    let urls = speak(["server", "server", "server"]);
    refused(
        &project(&urls[..1], &redis_files(&[CA])),
        &["the server demands a client's certificate"],
    );
    works(&project(&urls[..1], &files), "redis/0001_copy");
    let keys = cluster.keyspace();
    assert_eq!(keys.keys().filter(|key| key.starts_with("b:")).count(), 60);
}

#[test]
fn a_scheme_that_does_not_fit_the_port_is_an_error_that_says_so() {
    let redis = TlsRedis::start(&CERTIFICATES, "server", false);
    redis_project(&redis.wrong_scheme_url(), "")
        .migrate("list")
        .refuses(
            1,
            &["cannot connect", "a port for TLS takes rediss:// alone"],
        );
    redis_project(&redis.wrong_port_url(), &redis_files(&[CA]))
        .migrate("list")
        .refuses(
            1,
            &[
                "cannot connect",
                "a port without TLS does not answer rediss://",
            ],
        );
}

/// What is in the files is said before anything connects: nobody listens here.
#[test]
fn files_that_hold_something_else_are_named() {
    let nobody = [
        "rediss://127.0.0.1:1",
        "postgres://u@127.0.0.1:1/app?sslmode=require",
    ];
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let files: [(&[(&str, &str)], &str); 7] = [
        (
            &[("ca", "absent.pem")],
            "absent.pem: No such file or directory",
        ),
        (
            &[("ca", "ca.key.pem")],
            "ca.key.pem: it holds no certificate",
        ),
        (&[("ca", "text.pem")], "text.pem: it holds no certificate"),
        (
            &[("ca", "odd.pem")],
            "odd.pem: what it holds is no certificate",
        ),
        (
            &[("cert", "client.pem"), ("key", "client.pem")],
            "client.pem: it holds no private key",
        ),
        (
            &[("cert", "text.pem"), ("key", "client.key")],
            "text.pem: it holds no certificate",
        ),
        (
            &[("cert", "client.pem"), ("key", "stranger.key")],
            "the key in stranger.key is not the key of the certificate in client.pem",
        ),
    ];
    let text = |file: &str| std::fs::read_to_string(CERTIFICATES.path(file)).unwrap();
    for (keys, words) in files {
        let redis: String = keys
            .iter()
            .map(|(key, file)| format!("{key} = '{file}'\n"))
            .collect();
        let sql = redis.replace("ca =", "rootcert =");
        let sql: String = sql.lines().map(|line| format!("ssl{line}\n")).collect();
        let in_hint = if words.starts_with("the key") {
            "correct"
        } else {
            "name PEM files"
        };
        for project in [
            redis_project(nobody[0], &redis),
            sql_project(nobody[1], &sql),
        ] {
            project
                .file("ca.key.pem", &text("server.key"))
                .file("text.pem", "none of this is PEM\n")
                .file("odd.pem", pem)
                .file("client.pem", &text("client.pem"))
                .file("client.key", &text("client.key"))
                .file("stranger.key", &text("stranger.key"))
                .migrate("list")
                .refuses(1, &["TLS: ", words, in_hint]);
        }
    }
}

#[test]
fn half_a_pair_is_an_error_of_the_configuration() {
    for (project, words) in [
        (
            redis_project("rediss://127.0.0.1:1", "cert = 'c.pem'"),
            "outpost.toml:6: `redis.cert` is set without `redis.key`",
        ),
        (
            redis_project("rediss://127.0.0.1:1", "key = 'k.pem'"),
            "outpost.toml:6: `redis.key` is set without `redis.cert`",
        ),
        (
            sql_project("postgres://u@127.0.0.1:1/app", "sslcert = 'c.pem'"),
            "outpost.toml:6: `postgres.sslcert` is set without `postgres.sslkey`",
        ),
        (
            sql_project("postgres://u@db/app?hostaddr=127.0.0.1&sslkey=k.pem", ""),
            "TLS: a client's certificate and its key are given together or not at all",
        ),
        (
            redis_project("redis://127.0.0.1:1", "ca = 'ca.pem'"),
            "`redis.ca` is set, but `redis.url` does not use TLS",
        ),
    ] {
        project.migrate("list").refuses(1, &[words]);
    }
}

/// How each `sslmode` gets on with a good server under its own name and under another, and without its authority.
#[test]
fn u16_sslmode_says_how_far_a_postgres_is_checked() {
    const ENCRYPTED: &str =
        "select bool_and(ssl)::text from pg_stat_ssl join pg_stat_activity using (pid)
        where usename = 'app'";
    let postgres = TlsPostgres::start(&CERTIFICATES, "server");
    let plain = [
        "the server does not take this login without TLS",
        "set sslmode=require",
    ];
    let unknown = [
        "TLS: the server's certificate is signed by an authority that is not trusted here",
        "set sslrootcert of [postgres] to a PEM file",
    ];
    let name = [
        "the server's certificate is not for elsewhere.internal, but for localhost, 127.0.0.1, db.internal",
        "sslmode=verify-ca does not compare names",
    ];
    for (mode, tls, name_matters) in [
        ("", true, true),
        ("&sslmode=disable", false, false),
        ("&sslmode=allow", true, true),
        ("&sslmode=prefer", true, true),
        ("&sslmode=require", true, true),
        ("&sslmode=verify-ca", true, false),
        ("&sslmode=verify-full", true, true),
    ] {
        let ca = sql_files(&[CA]);
        let project = |host: &str, keys: &str| sql_project(&postgres.url(host, mode), keys);
        if !tls {
            refused(&project("db.internal", &ca), &plain);
            continue;
        }
        project("db.internal", &ca).migrate("list").ok();
        refused(&project("db.internal", ""), &unknown);
        refused(
            &project("db.internal", &sql_files(&[("ca", "other-ca.pem")])),
            &unknown,
        );
        let elsewhere = project("elsewhere.internal", &ca);
        if name_matters {
            refused(&elsewhere, &name);
        } else {
            elsewhere.migrate("list").ok();
        }
    }
    // A server on the same machine is taken without TLS unless the address says otherwise.
    let ca = sql_files(&[CA]);
    refused(&sql_project(&postgres.url("127.0.0.1", ""), &ca), &plain);
    sql_project(&postgres.url("127.0.0.1", "&sslmode=require"), &ca)
        .migrate("list")
        .ok();
    refused(
        &sql_project(&postgres.nameless("sslmode=require"), &ca),
        &[
            "the address has no host to check the server's certificate against",
            "add host",
        ],
    );
    // The file may be named in the address as well.
    let file = CERTIFICATES.path("ca.pem");
    let named = format!("&sslmode=verify-full&sslrootcert={}", file.display());
    let project = sql_project(&postgres.url("db.internal", &named), "");
    works(&project, "sql/0001_t");
    let tables = "select count(*) from pg_tables where tablename = 't' and tableowner = 'app'";
    assert_eq!(query_one_text(postgres.plain_url().as_str(), tables), "1");
    // And what runs is encrypted.
    let project = sql_project(&postgres.url("db.internal", ""), &ca).file(
        "schema/sql/0002_encrypted.up.sql",
        &format!("do $$ begin if ({ENCRYPTED}) <> 'true' then raise 'plain'; end if; end $$;"),
    );
    project.migrate("apply --yes").ok();
}

#[test]
fn u16_an_expired_certificate_of_a_postgres_is_refused_in_every_mode() {
    let postgres = TlsPostgres::start(&CERTIFICATES, "expired");
    for mode in [
        "",
        "&sslmode=require",
        "&sslmode=verify-ca",
        "&sslmode=verify-full",
    ] {
        refused(
            &sql_project(&postgres.url("db.internal", mode), &sql_files(&[CA])),
            &[
                "the server's certificate expired on 2020-01-01",
                "check this machine's clock",
            ],
        );
    }
}

/// What a fake Postgres shows as its own: the certificate of the good server, with a key of somebody's choice.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Its port, and how many bytes came through the TLS of its one connection.
fn fake_postgres(
    key: &str,
    version: &'static rustls::SupportedProtocolVersion,
) -> (u16, JoinHandle<usize>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_file(CERTIFICATES.path("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(CERTIFICATES.path(key)).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = CertifiedKey::new(vec![certificate], key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown(Arc::new(shown))));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"S").unwrap();
        let mut session = ServerConnection::new(Arc::new(config)).unwrap();
        let mut inside = [0; 1024];
        rustls::Stream::new(&mut session, &mut stream)
            .read(&mut inside)
            .unwrap_or(0)
    });
    (port, heard)
}

#[test]
fn u16_a_certificate_without_its_key_is_worth_nothing_whether_or_not_its_name_is_compared() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for mode in ["verify-ca", "verify-full"] {
            for (key, trusted) in [("server.key", true), ("stranger.key", false)] {
                let (port, heard) = fake_postgres(key, version);
                let url = format!(
                    "postgres://app:w0rd@db.internal:{port}/app?hostaddr=127.0.0.1&sslmode={mode}"
                );
                let ended = sql_project(&url, &sql_files(&[CA])).migrate("list");
                assert_eq!(heard.join().unwrap() > 0, trusted, "{mode} {key}");
                if !trusted {
                    ended.refuses(1, &["TLS: ", "BadSignature"]);
                }
            }
        }
    }
}

#[test]
fn u16_a_postgres_takes_the_certificate_of_its_client_for_a_login() {
    let postgres = TlsPostgres::start(&CERTIFICATES, "server");
    let url = postgres.client_url("db.internal", "");
    let with = |cert, key| sql_files(&[CA, ("cert", cert), ("key", key)]);
    works(
        &sql_project(&url, &with("client.pem", "client.key")),
        "sql/0001_t",
    );
    refused(
        &sql_project(&url, &sql_files(&[CA])),
        &[
            "the server demands a client's certificate",
            "set sslcert and sslkey of [postgres]",
        ],
    );
    refused(
        &sql_project(&url, &with("stranger.pem", "stranger.key")),
        &[
            "the server does not take the client's certificate",
            "sslcert of [postgres] must be valid",
        ],
    );
    let url = postgres.other_client_url("db.internal");
    refused(
        &sql_project(&url, &with("client.pem", "client.key")),
        &[
            "the server does not take the client's certificate: certificate authentication failed for user",
            "name the user",
        ],
    );
}

#[test]
fn u16_a_postgres_without_tls_is_no_place_for_a_mode_that_insists_on_it() {
    let database = fresh_database();
    for mode in ["require", "verify-ca", "verify-full"] {
        refused(
            &sql_project(&format!("{}?sslmode={mode}", database.url), ""),
            &["TLS: the server does not offer TLS", "sslmode=disable"],
        );
    }
    sql_project(&format!("{}?sslmode=prefer", database.url), "")
        .migrate("list")
        .ok();
    let project = sql_project(&format!("{}?sslmode=yes", database.url), "");
    refused(
        &project,
        &["sslmode must be disable, prefer, require, verify-ca or verify-full"],
    );
}

#[test]
fn u16_without_a_file_the_systems_authorities_are_trusted() {
    let redis = TlsRedis::start(&CERTIFICATES, "server", false);
    let postgres = TlsPostgres::start(&CERTIFICATES, "server");
    let ca = CERTIFICATES.path("ca.pem");
    for project in [
        redis_project(&redis.url("localhost"), ""),
        sql_project(&postgres.url("db.internal", ""), ""),
    ] {
        project
            .env("SSL_CERT_FILE", ca.to_str().unwrap())
            .migrate("list")
            .ok();
    }
    // With a file they are not.
    let (redis_ca, sql_ca) = (
        redis_files(&[("ca", "other-ca.pem")]),
        sql_files(&[("ca", "other-ca.pem")]),
    );
    for project in [
        redis_project(&redis.url("localhost"), &redis_ca),
        sql_project(&postgres.url("db.internal", ""), &sql_ca),
    ] {
        project
            .env("SSL_CERT_FILE", ca.to_str().unwrap())
            .migrate("list")
            .refuses(1, &["signed by an authority that is not trusted here"]);
    }
    // The driver of Redis reads them in any case.
    redis_project(&redis.url("localhost"), &redis_files(&[CA]))
        .env("SSL_CERT_FILE", "/no/such/file.pem")
        .migrate("list")
        .refuses(
            1,
            &[
                "the system's certificates cannot be read",
                "/no/such/file.pem",
                "correct SSL_CERT_FILE",
            ],
        );
}
