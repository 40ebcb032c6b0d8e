//! A server that speaks enough of Redis's protocol to answer every command in one way.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Answers every command but those of the handshake with `reply`, a whole line without its end, such as
/// `-LOADING …`. Returns its URL. Lives as long as the process.
pub fn fake_redis(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve_with(stream, |_| Some(reply)));
        }
    });
    format!("redis://127.0.0.1:{port}/0")
}

fn serve_with(
    stream: TcpStream,
    mut reply: impl FnMut(&[String]) -> Option<&'static str>,
) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let command = command(&mut reader)?;
        let answer = match command.first()?.to_ascii_uppercase().as_str() {
            // LOADING is said to these as well, but a driver may not wait for their answers.
            "HELLO" | "CLIENT" | "SELECT" => "+OK",
            _ => reply(&command)?,
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
    }
}

fn command(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let parts = number(reader, '*')?;
    (0..parts)
        .map(|_| {
            let mut bytes = vec![0; number(reader, '$')? + 2];
            reader.read_exact(&mut bytes).ok()?;
            bytes.truncate(bytes.len() - 2);
            String::from_utf8(bytes).ok()
        })
        .collect()
}

fn number(reader: &mut impl BufRead, mark: char) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.trim().strip_prefix(mark)?.parse().ok()
}

/// What befell a connection of [`silent_redis`].
#[derive(Debug, PartialEq, Eq)]
pub enum Silence {
    /// Half of an answer was said, and nothing comes after it.
    Begun,
    /// The client hung up.
    GivenUp,
}

/// Answers every first command behind the handshake with half of a list, and says nothing more. Returns its URL, and
/// what befalls its connections.
pub fn silent_redis() -> (String, UnboundedReceiver<Silence>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = unbounded_channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut silent = false;
                // The next command that could be read is the end of the connection.
                serve_with(stream, |_| {
                    if std::mem::replace(&mut silent, true) {
                        return None;
                    }
                    let _ = tell.send(Silence::Begun);
                    Some("*2\r\n$3\r\nfoo")
                });
                let _ = tell.send(Silence::GivenUp);
            });
        }
    });
    (format!("redis://127.0.0.1:{port}/0"), told)
}
