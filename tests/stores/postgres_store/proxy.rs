//! A TCP proxy that cuts a connection at a chosen message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// When the connection is cut, once a message holds the trigger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before the server sees the message.
    Before,
    /// After the server has answered it; the answer is lost.
    After,
}

/// Starts a proxy in front of the server of `url`. It cuts once; the address to use instead of `url`.
pub async fn cutting(url: &str, trigger: &'static str, cut: Cut) -> String {
    let (head, tail) = url.split_once("127.0.0.1:").unwrap();
    let (port, path) = tail.split_once('/').unwrap();
    let server = format!("127.0.0.1:{port}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = listener.local_addr().unwrap().port();
    let armed = Arc::new(AtomicBool::new(true));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(pump(client, upstream, trigger, cut, Arc::clone(&armed)));
        }
    });
    format!("{head}127.0.0.1:{ours}/{path}")
}

async fn pump(
    mut client: TcpStream,
    mut server: TcpStream,
    trigger: &str,
    cut: Cut,
    armed: Arc<AtomicBool>,
) {
    let mut up = vec![0; 1 << 16];
    let mut down = vec![0; 1 << 16];
    let mut losing = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                let holds = up[..n].windows(trigger.len()).any(|w| w == trigger.as_bytes());
                if holds && armed.swap(false, Ordering::SeqCst) {
                    if cut == Cut::Before {
                        return;
                    }
                    losing = true;
                }
                if server.write_all(&up[..n]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                // An answer is over with ReadyForQuery: `Z`, a length of 5, and the state.
                if losing {
                    if down[..n].ends_with(b"Z\0\0\0\x05I") {
                        return;
                    }
                    continue;
                }
                if client.write_all(&down[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}
