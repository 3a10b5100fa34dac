//! Requests over connections that stay open, with as little work as possible: whoever plays or
//! measures shares the processors with the nodes.

use std::fmt::Write as _;

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// Longest head of an answer (bytes).
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest body of an answer (bytes).
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A connection that was idle for longer is not used again: the node may have closed it.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A node's address, and open connections to it.
#[derive(Debug)]
pub(crate) struct Server {
    /// `host:port`.
    pub(crate) authority: String,
    /// Headers that every request bears, each with its line end.
    common: String,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request, as it goes out.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// GET, POST, ….
    pub(crate) method: &'static str,
    /// Path and query, encoded.
    pub(crate) path: &'a str,
    /// What must have been seen.
    pub(crate) min_cursor: Option<&'a str>,
    /// Media type and body.
    pub(crate) body: Option<(&'static str, &'a [u8])>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The moment of which it speaks, if it says so.
    pub(crate) as_of: Option<String>,
    /// What the node had, if it says so.
    pub(crate) cursor: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// No connection: nothing can have happened.
    NotSent(io::Error),
    /// It may have happened.
    Unanswered(io::Error),
}

impl Server {
    /// A node at `http://host:port` or `host:port`.
    pub(crate) fn new(url: &str, token: Option<&str>) -> Result<Self, Failure> {
        let authority = url
            .strip_prefix("http://")
            .unwrap_or(url)
            .trim_end_matches('/');
        if authority.is_empty() || authority.contains('/') {
            return Err(Failure::usage(format!(
                "{url:?} is no address of a node (http://ip:port)"
            )));
        }
        let mut common = format!("Host: {authority}\r\n");
        if let Some(token) = token {
            // A string takes everything.
            let _ = write!(common, "Authorization: Bearer {token}\r\n");
        }
        Ok(Self {
            authority: authority.to_owned(),
            common,
            idle: Mutex::default(),
        })
    }

    /// Asks, over an open connection if there is one.
    pub(crate) async fn ask(
        &self,
        request: &Request<'_>,
        within: Duration,
    ) -> Result<Answer, Broken> {
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.connect().await.map_err(Broken::NotSent)?,
        };
        let bytes = self.encode(request);
        let exchange = tokio::time::timeout(within, connection.exchange(&bytes)).await;
        let answer = exchange
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(Broken::Unanswered)?;
        self.idle().push((connection, Instant::now()));
        Ok(answer)
    }

    /// A connection of one's own.
    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        let connecting = TcpStream::connect(&self.authority);
        let stream = tokio::time::timeout(CONNECT_WITHIN, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// A request as bytes.
    pub(crate) fn encode(&self, request: &Request<'_>) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\n{}",
            request.method, request.path, self.common
        );
        if let Some(cursor) = request.min_cursor {
            // A string takes everything.
            let _ = write!(head, "Unisono-Min-Cursor: {cursor}\r\n");
        }
        let (media_type, body) = request.body.unwrap_or(("", &[]));
        if !media_type.is_empty() {
            // A string takes everything.
            let _ = write!(head, "Content-Type: {media_type}\r\n");
        }
        if request.method != "GET" {
            // A string takes everything.
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some((connection, since)) = idle.pop() {
            if since.elapsed() < IDLE_MAX {
                return Some(connection);
            }
        }
        None
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// A connection that another runtime has made.
    pub(crate) fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        Ok(Self {
            stream: TcpStream::from_std(stream)?,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// The same, to be used in another runtime.
    pub(crate) fn into_std(self) -> io::Result<std::net::TcpStream> {
        self.stream.into_std()
    }

    /// Sends one request and reads its answer. After an error the connection is of no use.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head_end = loop {
            self.read_more().await?;
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(bad("the head of the answer does not end"));
            }
        };
        let head = std::str::from_utf8(&self.buffer[..head_end]).map_err(|_| bad("no text"))?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| bad("no status"))?;
        let mut answer = Answer {
            status,
            as_of: None,
            cursor: None,
            body: Vec::new(),
        };
        let mut length = 0;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(|_| bad("no length"))?;
            } else if name.eq_ignore_ascii_case("unisono-as-of") {
                answer.as_of = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("unisono-cursor") {
                answer.cursor = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(bad("an answer in pieces"));
            }
        }
        if length > BODY_BYTES_MAX {
            return Err(bad("the answer is too long"));
        }
        let body = head_end + 4;
        while self.buffer.len() < body + length {
            self.read_more().await?;
        }
        answer
            .body
            .extend_from_slice(&self.buffer[body..body + length]);
        Ok(answer)
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
