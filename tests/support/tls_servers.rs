//! Servers that speak TLS, with a certificate of the test's choice.
#![allow(dead_code, clippy::expect_used, clippy::panic)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use outpost::sandbox::{PostgresServer, RedisServer};

use crate::certificates::{CLIENT, Certificates};
use crate::support::{fresh_redis, redis_cmd, sql, started, try_redis_cmd};

/// A Redis with a port for TLS beside its plain one.
pub struct TlsRedis {
    pub plain: RedisServer,
    port: u16,
}

impl TlsRedis {
    /// With the server's certificate of this name; `clients` says whether it demands one of its clients.
    pub fn start(certificates: &Certificates, name: &str, clients: bool) -> Self {
        let plain = fresh_redis();
        let port = speak_tls(&plain, certificates, name, clients);
        Self { plain, port }
    }

    /// The address for TLS, by a name of 127.0.0.1.
    pub fn url(&self, host: &str) -> String {
        let plain = self.plain.url();
        let (login, _) = plain.rsplit_once('@').expect("a login");
        let login = login.strip_prefix("redis://").expect("a scheme");
        format!("rediss://{login}@{host}:{}/0", self.port)
    }

    /// The address of the TLS port as if it spoke plainly.
    pub fn wrong_scheme_url(&self) -> String {
        self.url("127.0.0.1").replace("rediss://", "redis://")
    }

    /// The address of the plain port as if it spoke TLS.
    pub fn wrong_port_url(&self) -> String {
        self.plain.url().replace("redis://", "rediss://")
    }

    pub fn keys(&self) -> redis::Value {
        redis_cmd(&self.plain, &["DBSIZE"])
    }
}

/// Gives a running server a port for TLS, or another certificate; its number.
pub fn speak_tls(
    plain: &RedisServer,
    certificates: &Certificates,
    name: &str,
    clients: bool,
) -> u16 {
    let given = |file: &str| {
        let path = certificates.give(file, plain.folder());
        path.to_str().expect("UTF-8").to_owned()
    };
    let (ca, cert, key) = (
        given("ca.pem"),
        given(&format!("{name}.pem")),
        given(&format!("{name}.key")),
    );
    let clients = if clients { "yes" } else { "no" };
    loop {
        let port = free_port();
        let set = [
            "CONFIG",
            "SET",
            "tls-ca-cert-file",
            &ca,
            "tls-cert-file",
            &cert,
            "tls-key-file",
            &key,
            "tls-auth-clients",
            clients,
            "tls-port",
            &port.to_string(),
        ];
        match try_redis_cmd(plain.url(), &set) {
            Ok(_) => return port,
            // Somebody else was faster.
            Err(error) if error.to_string().contains("listen") => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A Postgres that takes the role `app` (with a password) and the role of the client's certificate over TLS
/// alone, in a database `app`.
pub struct TlsPostgres {
    server: PostgresServer,
}

const OTHER_CLIENT: &str = "other_client";

/// The password of the role `app`.
pub const APP_PASSWORD: &str = "w0rd-of-the-app";

impl TlsPostgres {
    /// With the server's certificate of this name.
    pub fn start(certificates: &Certificates, name: &str) -> Self {
        let mut server = started(PostgresServer::start());
        let given = |file: &str| {
            let path = certificates.give(file, server.folder());
            path.to_str().expect("UTF-8").to_owned()
        };
        for (setting, value) in [
            ("ssl", "on".to_owned()),
            ("ssl_ca_file", given("ca.pem")),
            ("ssl_cert_file", given(&format!("{name}.pem"))),
            ("ssl_key_file", given(&format!("{name}.key"))),
        ] {
            sql(
                server.url(),
                &format!("alter system set {setting} = '{value}'"),
            );
        }
        sql(
            server.url(),
            &format!(
                "create role app login password '{APP_PASSWORD}'; create role {CLIENT} login; create role {OTHER_CLIENT} login"
            ),
        );
        sql(server.url(), "create database app owner app");
        sql(server.url(), &format!("grant app to {CLIENT}"));
        let rules = format!(
            "host all postgres 127.0.0.1/32 scram-sha-256
             hostssl all {CLIENT},{OTHER_CLIENT} 127.0.0.1/32 cert
             hostssl all app 127.0.0.1/32 scram-sha-256\n"
        );
        fs::write(server.folder().join("data/pg_hba.conf"), rules).expect("rules");
        started(server.restart());
        Self { server }
    }

    /// The superuser's address, without TLS.
    pub fn plain_url(&self) -> String {
        let (server, _) = self.server.url().rsplit_once('/').expect("a database");
        format!("{server}/app")
    }

    /// The address for the role `app`. What the name means does not matter: the connection goes to
    /// 127.0.0.1.
    pub fn url(&self, host: &str, parameters: &str) -> String {
        self.url_of(&format!("app:{APP_PASSWORD}"), host, parameters)
    }

    /// The address for the role of the client's certificate, which has no password.
    pub fn client_url(&self, host: &str, parameters: &str) -> String {
        self.url_of(CLIENT, host, parameters)
    }

    /// The address for a role that also logs in with a certificate, but not with that one.
    pub fn other_client_url(&self, host: &str) -> String {
        self.url_of(OTHER_CLIENT, host, "")
    }

    /// The keywords of an address without a name.
    pub fn nameless(&self, keywords: &str) -> String {
        let port = self.server.port();
        format!(
            "hostaddr=127.0.0.1 port={port} user=app password={APP_PASSWORD} dbname=app {keywords}"
        )
    }

    fn url_of(&self, login: &str, host: &str, parameters: &str) -> String {
        let port = self.server.port();
        format!("postgres://{login}@{host}:{port}/app?hostaddr=127.0.0.1{parameters}")
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
