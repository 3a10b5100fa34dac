//! HTTP by hand, so that the server is not tested by the client that was written with it.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One request on a connection of its own; `extra` holds header lines.
pub(crate) async fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    extra: &[&str],
    body: &[u8],
) -> Seen {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let host = if extra
        .iter()
        .any(|line| line.to_ascii_lowercase().starts_with("host:"))
    {
        String::new()
    } else {
        format!("Host: {to}\r\n")
    };
    let mut head = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n");
    for line in extra {
        head.push_str(line);
        head.push_str("\r\n");
    }
    let length = body.len();
    head = format!(
        "{head}Content-Length: {length}

"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(body).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    Seen {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) async fn get(to: SocketAddr, path: &str) -> Seen {
    request(to, "GET", path, &[], b"").await
}

pub(crate) async fn send(to: SocketAddr, method: &str, path: &str, body: &Value) -> Seen {
    let body = body.to_string();
    request(
        to,
        method,
        path,
        &["Content-Type: application/json"],
        body.as_bytes(),
    )
    .await
}
