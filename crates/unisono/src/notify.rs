//! What a service manager is told (`sd_notify(3)`): that the node serves, that its loop still turns,
//! that it is ending. Without `NOTIFY_SOCKET` in the environment nothing is said to anybody.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use unisono_api::server::{Asked, Call, Readiness};
use unisono_core::node::{Question, Reader};
use unisono_model::OrchestraId;

/// The shortest watchdog that is taken seriously: below it the pings would be the load.
const WATCHDOG_MIN: Duration = Duration::from_millis(20);

/// The way to the service manager, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// How long the node may be silent before it is killed.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// As the environment names it. A socket that cannot be reached is told in the log and left
    /// alone: whoever started the process notices that nothing comes.
    pub(crate) fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        match connect(name.as_bytes()) {
            Ok(socket) => Self {
                socket: Some(socket),
                watchdog: watchdog(),
            },
            Err(error) => {
                tracing::warn!(?name, %error, "the service manager cannot be told anything");
                Self::default()
            }
        }
    }

    /// The node serves.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// The node ends in order.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=ending");
    }

    /// Says again and again that the node is well, as long as its loop answers. Never returns. A
    /// loop that hangs is silent here, and the service manager begins the process anew.
    ///
    /// A node that says that it is not ready is being made anew from its logs, and its loop stands
    /// still for as long as that takes. It is not killed for it: the next process would begin with
    /// the same logs, from the start.
    pub(crate) async fn keep_alive(
        &self,
        calls: &mpsc::Sender<Call>,
        readiness: &watch::Receiver<Readiness>,
    ) {
        let Some(limit) = self.watchdog.filter(|_| self.socket.is_some()) else {
            return std::future::pending().await;
        };
        let mut turns = tokio::time::interval(limit / 2);
        loop {
            turns.tick().await;
            let answered = answers(calls);
            tokio::pin!(answered);
            let well = loop {
                tokio::select! {
                    well = &mut answered => break well,
                    _ = turns.tick() => {
                        if !readiness.borrow().ready {
                            self.tell("WATCHDOG=1");
                        }
                    }
                }
            };
            if well {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, words: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(words.as_bytes())
        {
            tracing::warn!(%error, "the service manager was not told");
        }
    }
}

/// Whether the loop answers a question, however long it takes.
async fn answers(calls: &mpsc::Sender<Call>) -> bool {
    let (answer, answered) = oneshot::channel();
    let asked = Asked::Question {
        question: Question::Orchestras,
        as_of: None,
        min_cursor: None,
        deadline_ms: 0,
        reader: Reader::Own,
    };
    let call = Call {
        orchestra: OrchestraId::default(),
        asked,
        answer,
    };
    calls.send(call).await.is_ok() && answered.await.is_ok()
}

fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.strip_prefix(b"@") {
        Some(name) => connect_abstract(&socket, name)?,
        None => socket.connect(std::ffi::OsStr::from_bytes(name))?,
    }
    // A manager that does not read must not hold the node up.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    socket.connect_addr(&address)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &[u8]) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// The watchdog that was asked for of this very process.
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let meant = std::env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
    let limit = Duration::from_micros(number("WATCHDOG_USEC")?);
    (meant && limit >= WATCHDOG_MIN).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(40);

    /// A supervisor and what its manager hears.
    fn watched() -> (Supervisor, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().expect("two ends");
        theirs.set_nonblocking(true).expect("a socket");
        let supervisor = Supervisor {
            socket: Some(ours),
            watchdog: Some(LIMIT),
        };
        (supervisor, theirs)
    }

    fn heard(socket: &UnixDatagram) -> usize {
        let mut words = [0; 64];
        std::iter::from_fn(|| socket.recv(&mut words).ok()).count()
    }

    /// Before, a node that read its logs again for longer than the watchdog waits was killed, and
    /// began with the same logs.
    #[tokio::test]
    async fn a_loop_that_stands_still_is_well_only_while_the_node_is_made_anew() {
        let (supervisor, manager) = watched();
        // Nobody takes the questions.
        let (calls, _inbox) = mpsc::channel(4);
        for (ready, enough) in [(false, 3), (true, 0)] {
            let (_tell, readiness) = watch::channel(Readiness {
                ready,
                checks: Vec::new(),
            });
            let kept = supervisor.keep_alive(&calls, &readiness);
            let time = tokio::time::timeout(10 * LIMIT, kept).await;
            assert!(time.is_err(), "it never returns");
            let heard = heard(&manager);
            assert!(heard >= enough && (enough > 0 || heard == 0), "{heard}");
        }
    }
}
