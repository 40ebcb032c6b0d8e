//! A Redis with a replica, watched by three sentinels.
//!
//! Servers are numbered: 0 is the first master, 1 its replica. A number stays with its server, whatever
//! role it has after a failover.
#![allow(dead_code, clippy::expect_used, clippy::panic)]

use outpost::sandbox::RedisServer;

use crate::support::{redis_cmd, redis_info, started, try_redis_cmd, wait_until};

/// What the sentinels call the master.
pub const NAME: &str = "outpost";
const SENTINELS: usize = 3;
const QUORUM: usize = 2;
/// After this long without an answer a server counts as down.
const DOWN_AFTER_MS: u32 = 1000;
const FAILOVER_TIMEOUT_MS: u32 = 3000;
const USER: &str = "default";
const PASSWORD: &str = "w0rd-of-the-watched";

/// The servers and their sentinels; they go with the value.
pub struct RedisSentinel {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts everything, and waits until the sentinels know each other and the replica.
    pub fn start() -> Self {
        let data = || {
            RedisServer::builder()
                .user(USER, PASSWORD)
                .directive(format!("masterauth {PASSWORD}"))
                .directive("repl-diskless-sync-delay 0")
        };
        let master = started(data().start());
        let of_master = format!("replicaof 127.0.0.1 {}", master.port());
        let replica = started(data().directive(of_master).start());
        wait_until("the replica is in step", || follows(&replica));
        let sentinels = (0..SENTINELS).map(|_| sentinel(master.port())).collect();
        let all = Self {
            servers: vec![master, replica],
            sentinels,
        };
        wait_until("the sentinels know each other and the replica", || {
            let known = |sentinel| {
                let facts = facts(sentinel);
                let is =
                    |name: &str, value: usize| facts.contains(&(name.into(), value.to_string()));
                is("num-other-sentinels", SENTINELS - 1) && is("num-slaves", 1)
            };
            all.sentinels.iter().all(known)
        });
        all
    }

    pub fn server(&self, number: usize) -> &RedisServer {
        &self.servers[number]
    }

    /// Host and port of each sentinel.
    pub fn sentinel_addresses(&self) -> Vec<String> {
        let address = |s: &RedisServer| format!("127.0.0.1:{}", s.port());
        self.sentinels.iter().map(address).collect()
    }

    /// User and password of the servers.
    pub fn login(&self) -> (&'static str, &'static str) {
        (USER, PASSWORD)
    }

    /// The server that all sentinels call the master, once they agree.
    pub fn master(&self) -> usize {
        let mut agreed = None;
        wait_until("the sentinels agree on the master", || {
            agreed = self.agreed();
            agreed.is_some()
        });
        agreed.unwrap_or_else(|| panic!("no master"))
    }

    fn called_master_by(&self, sentinel: &RedisServer) -> Option<usize> {
        let answer = redis_cmd(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        let (_, port): (String, String) = redis::from_redis_value(answer).expect("an address");
        (0..self.servers.len()).find(|number| self.servers[*number].port().to_string() == port)
    }

    fn agreed(&self) -> Option<usize> {
        let mut called = self.sentinels.iter().map(|it| self.called_master_by(it));
        let number = called.next()??;
        let agree = called.all(|other| other == Some(number));
        let ready = || replication(&self.servers[number]).contains("role:master");
        (agree && self.servers[number].pid().is_some() && ready()).then_some(number)
    }

    /// Waits until the replica has all that the master has.
    pub fn wait_until_replicated(&self) {
        let master = &self.servers[self.master()];
        let replica = &self.servers[1 - self.master()];
        wait_until("the replica is in step", || {
            let offset = |server| redis_info(server, "master_repl_offset");
            follows(replica) && offset(master) == offset(replica)
        });
    }

    /// Makes the replica master, in good order, and waits until it is and the old master follows it.
    pub fn failover(&self) {
        let old = self.master();
        // A sentinel that has not yet heard from the replica says so, and one that was too busy gives up: it is
        // asked again for as long as it calls the old one the master.
        wait_until("the other server is master", || {
            if self.called_master_by(&self.sentinels[0]) == Some(old) {
                let _ = try_redis_cmd(self.sentinels[0].url(), &["SENTINEL", "FAILOVER", NAME]);
            }
            self.agreed().is_some_and(|master| master != old)
        });
        wait_until("the old master follows", || follows(&self.servers[old]));
    }

    /// Ends the master with SIGKILL: the sentinels make the replica master.
    pub fn kill_master(&mut self) -> usize {
        let master = self.master();
        self.servers[master].kill().expect("the master ends");
        master
    }

    /// Starts a server again that was killed.
    pub fn restart(&mut self, number: usize) {
        started(self.servers[number].restart());
    }

    /// Waits until the sentinels agree on another master than this one.
    pub fn wait_for_failover(&self, old: usize) {
        wait_until("the other server is master", || {
            self.agreed().is_some_and(|master| master != old)
        });
    }
}

fn sentinel(master: u16) -> RedisServer {
    let directives = [
        format!("sentinel monitor {NAME} 127.0.0.1 {master} {QUORUM}"),
        format!("sentinel auth-pass {NAME} {PASSWORD}"),
        format!("sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}"),
        format!("sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT_MS}"),
    ];
    let builder = RedisServer::builder().no_password().argument("--sentinel");
    let builder = directives
        .into_iter()
        .fold(builder, |b, line| b.directive(line));
    let sentinel = started(builder.start());
    // They look only every ten seconds otherwise; before 7.0 they cannot be told, and take their time.
    let often = ["INFO-PERIOD", "200", "PUBLISH-PERIOD", "200"];
    let command: Vec<&str> = ["SENTINEL", "DEBUG"].into_iter().chain(often).collect();
    let _ = try_redis_cmd(sentinel.url(), &command);
    sentinel
}

/// Whether a server is a replica in touch with its master.
fn follows(server: &RedisServer) -> bool {
    replication(server).contains("master_link_status:up")
}

/// What a server says of its role; nothing where it hangs up, as sentinels make it do when the role changes.
fn replication(server: &RedisServer) -> String {
    try_redis_cmd(server.url(), &["INFO", "replication"])
        .ok()
        .and_then(|answer| redis::from_redis_value(answer).ok())
        .unwrap_or_default()
}

/// What a sentinel says of the master.
fn facts(sentinel: &RedisServer) -> Vec<(String, String)> {
    let answer = redis_cmd(sentinel, &["SENTINEL", "MASTER", NAME]);
    redis::from_redis_value(answer).expect("facts")
}
