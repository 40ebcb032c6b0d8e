//! A throwaway Redis (or Valkey) server.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::home::Home;
use super::server::{Kind, Server, random_password};
use super::{SandboxError, find};
use crate::model::secret::Secret;

const CONFIG: &str = "redis.conf";
const DEFAULT_USER: &str = "default";
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// A throwaway Redis: nothing is saved to disk unless a directive says so, and `default` has a random
/// password.
pub type RedisServer = Server<Redis>;

/// How a [`RedisServer`] is run.
#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    arguments: Vec<String>,
    login: Option<Login>,
}

#[derive(Debug, Clone)]
struct Login {
    user: String,
    password: Secret,
}

impl RedisServer {
    /// A server with default settings.
    ///
    /// # Errors
    /// As [`RedisBuilder::start`].
    pub fn start() -> Result<Self, SandboxError> {
        Self::builder().start()
    }

    /// A server with settings of your own.
    pub fn builder() -> RedisBuilder {
        let login = Login {
            user: DEFAULT_USER.into(),
            password: Secret::new(random_password()),
        };
        RedisBuilder {
            program: None,
            arguments: Vec::new(),
            login: Some(login),
            directives: Vec::new(),
        }
    }
}

/// Settings of a [`RedisServer`].
#[derive(Debug, Clone)]
pub struct RedisBuilder {
    program: Option<PathBuf>,
    arguments: Vec<String>,
    login: Option<Login>,
    directives: Vec<String>,
}

impl RedisBuilder {
    /// Adds a line as in `redis.conf`, e.g. `maxmemory 4mb`, `appendonly yes` or `user app on >pw ~a:* +@all`.
    /// It comes after ours and wins. To change the password that the URL has, use [`Self::user`].
    #[must_use]
    pub fn directive(mut self, line: impl Into<String>) -> Self {
        self.directives.push(line.into());
        self
    }

    /// The user and password that the URL has. For `default` that is all to it; another user is to be
    /// made by a `user …` directive, and `default` is then left without a password.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some(Login {
            user: name.into(),
            password: Secret::new(password),
        });
        self
    }

    /// A server that asks for no password.
    #[must_use]
    pub fn no_password(mut self) -> Self {
        self.login = None;
        self
    }

    /// Runs this program instead of looking for `redis-server` or `valkey-server`.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Adds an argument for what no directive does, e.g. `--sentinel`. It shows in the process list: no place
    /// for secrets.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Looks for the program now, so that a missing one is known before anything is started.
    pub(super) fn locate(self) -> Result<Self, SandboxError> {
        let program = match self.program {
            Some(program) => program,
            None => find::redis_program()?,
        };
        Ok(Self {
            program: Some(program),
            ..self
        })
    }

    /// Starts the server and waits until it answers. Takes some ten milliseconds.
    ///
    /// # Errors
    /// [`SandboxError::Missing`] when neither Redis nor Valkey is installed; otherwise what kept it from
    /// starting, with the last lines of its log.
    pub fn start(self) -> Result<RedisServer, SandboxError> {
        let builder = self.locate()?;
        let home = Home::create()?;
        home.create_file(CONFIG, &builder.config(home.path()))?;
        let kind = Redis {
            program: builder.program.unwrap_or_default(),
            arguments: builder.arguments,
            login: builder.login,
        };
        Server::boot(kind, home)
    }

    fn config(&self, folder: &Path) -> String {
        let mut lines: Vec<String> = vec![
            "bind 127.0.0.1".into(),
            "daemonize no".into(),
            "save \"\"".into(),
            "appendonly no".into(),
            format!("dir {}", quoted(&folder.to_string_lossy())),
        ];
        if let Some(Login { user, password }) = &self.login
            && user == DEFAULT_USER
        {
            lines.push(format!("requirepass {}", quoted(password.expose())));
        }
        lines.extend(self.directives.iter().cloned());
        lines.join("\n") + "\n"
    }
}

/// An argument as `redis.conf` takes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Kind for Redis {
    const STOP: Signal = Signal::SIGTERM;
    const PARTING: Signal = Signal::SIGTERM;

    fn program(&self) -> PathBuf {
        self.program.clone()
    }

    fn args(&self, home: &Home, port: u16) -> Vec<OsString> {
        let ours: [OsString; 3] = [
            home.path().join(CONFIG).into(),
            "--port".into(),
            port.to_string().into(),
        ];
        let theirs = self.arguments.iter().map(OsString::from);
        ours.into_iter().chain(theirs).collect()
    }

    fn is_ready(&self, _home: &Home, port: u16, _pid: u32) -> bool {
        self.answers(port).unwrap_or(false)
    }

    fn url(&self, port: u16) -> String {
        let login = self.login.as_ref().map(|Login { user, password }| {
            // The default user is named: redis-cli would send an empty name as one.
            format!(
                "{}:{}@",
                percent_encoded(user),
                percent_encoded(password.expose())
            )
        });
        format!("redis://{}127.0.0.1:{port}/0", login.unwrap_or_default())
    }
}

/// Text as it may stand before the `@` of a URL: everything but the unreserved characters of RFC 3986 encoded.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

impl Redis {
    /// Whether a server that takes our random password has loaded its data. A user may be barred from
    /// PING, which is an answer, too.
    fn answers(&self, port: u16) -> io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        if let Some(Login { user, password }) = &self.login
            && ask(&mut stream, &["AUTH", user, password.expose()])? != "+OK"
        {
            return Ok(false);
        }
        let answer = ask(&mut stream, &["PING"])?;
        Ok(answer == "+PONG" || answer.starts_with("-NOPERM"))
    }
}

/// Sends one command and returns its one-line answer.
fn ask(stream: &mut TcpStream, command: &[&str]) -> io::Result<String> {
    let mut request = format!("*{}\r\n", command.len());
    for part in command {
        request += &format!("${}\r\n{part}\r\n", part.len());
    }
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_conf_gives_a_meaning_to_is_quoted() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            (r#"a "b" c"#, r#""a \"b\" c""#),
            (r"a\b", r#""a\\b""#),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn urls_carry_any_user_and_password() {
        let url = |builder: RedisBuilder| {
            Redis {
                program: PathBuf::new(),
                arguments: builder.arguments,
                login: builder.login,
            }
            .url(7000)
        };
        let server = RedisServer::builder;
        assert_eq!(url(server().no_password()), "redis://127.0.0.1:7000/0");
        assert_eq!(
            url(server().user("default", "a")),
            "redis://default:a@127.0.0.1:7000/0"
        );
        assert_eq!(
            url(server().user("app", "p@s/%:é")),
            "redis://app:p%40s%2F%25%3A%C3%A9@127.0.0.1:7000/0"
        );
    }
}
