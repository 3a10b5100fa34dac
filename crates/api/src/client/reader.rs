//! On whose behalf a client reads. Nothing is sent before an orchestra asks for it; from then on a
//! session goes along with each request, and is signed anew before it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use unisono_model::{
    AgentId, ClusterId, Code, Digest, OrchestraId, ReadSession, SESSION_VERSION, limits,
};

use super::held::{HeldToken, wall_ms};
use super::http::Wanted;
use super::key::random;
use super::{AgentKey, Client, ClientError, put};
use crate::dto::{Problem, session_text};
use crate::limits::SESSION_LIFE;

/// What an agent that signs for itself reads by.
#[derive(Clone, Debug)]
pub struct ReadKey {
    /// Its key.
    pub key: AgentKey,
    /// The token under which it reads, if it has one.
    pub token: Option<Digest>,
    /// The cluster in which it reads; the node's word for it if left out.
    pub cluster: Option<ClusterId>,
}

/// Fetches it, when it is needed.
type Fetch = Box<dyn Fn() -> Result<ReadKey, ClientError> + Send + Sync>;

enum Who {
    Signing(Fetch),
    Held(String),
}

/// Who reads.
pub struct ReadAs {
    who: Who,
    life: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    key: Option<ReadKey>,
    /// The orchestras that have asked who reads, as they stand in a path.
    asked: BTreeMap<String, Open>,
}

/// What is sent to one orchestra.
#[derive(Clone, Debug)]
struct Open {
    cluster: ClusterId,
    /// By how much the node's clock is ahead of this machine's (ms).
    ahead_ms: i64,
    text: String,
    /// By this machine's clock (ms).
    ends_ms: u64,
}

impl ReadAs {
    /// An agent that signs for itself. Its key is fetched when the first orchestra asks who reads, and
    /// kept then.
    pub fn signing(
        fetch: impl Fn() -> Result<ReadKey, ClientError> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Who::Signing(Box::new(fetch)))
    }

    /// An agent whose key the node holds, by its name.
    pub fn held(name: impl Into<String>) -> Self {
        Self::new(Who::Held(name.into()))
    }

    fn new(who: Who) -> Self {
        Self {
            who,
            life: SESSION_LIFE,
            state: Mutex::default(),
        }
    }

    /// The same, with sessions of another length: at most a quarter of an hour.
    #[must_use]
    pub fn lasting(mut self, life: Duration) -> Self {
        self.life = life.min(Duration::from_millis(limits::SESSION_LIFE_MS_MAX));
        self
    }

    /// From now on under this token.
    pub(super) fn under(&self, token: Digest) {
        let mut state = self.lock();
        if let Some(key) = &mut state.key {
            key.token = Some(token);
        }
        // What was signed goes on to name the one before.
        for open in state.asked.values_mut() {
            open.ends_ms = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes along with a request of this path.
    fn header(&self, path: &str) -> Result<Option<(&'static str, String)>, ClientError> {
        let Some(orchestra) = orchestra_in(path) else {
            return Ok(None);
        };
        let mut state = self.lock();
        let State { key, asked } = &mut *state;
        let Some(open) = asked.get_mut(orchestra) else {
            return Ok(None);
        };
        let key = match (&self.who, key) {
            (Who::Held(name), _) => return Ok(Some(("unisono-as", name.clone()))),
            (Who::Signing(_), Some(key)) => key,
            (Who::Signing(fetch), none) => none.insert(fetch()?),
        };
        let life_ms = u64::try_from(self.life.as_millis()).unwrap_or(u64::MAX);
        let now_ms = wall_ms();
        if now_ms + life_ms / 4 >= open.ends_ms {
            let cluster = key.cluster.unwrap_or(open.cluster);
            let issued_ms = now_ms.saturating_add_signed(open.ahead_ms);
            let orchestra = id_of(cluster, orchestra)?;
            open.text = signed(key, cluster, Some(orchestra), issued_ms, life_ms)?;
            open.ends_ms = now_ms + life_ms;
        }
        Ok(Some(("unisono-session", open.text.clone())))
    }

    /// An orchestra has refused: whether to ask again, with a session or with a new one.
    fn learn(&self, path: &str, headers: &HeaderMap, problem: &Problem) -> bool {
        let of_session = [
            Code::SessionNeeded,
            Code::SessionEnded,
            Code::SessionInvalid,
        ];
        if !of_session.iter().any(|code| problem.code == code.as_str()) {
            return false;
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let cluster = text("unisono-cluster").and_then(|text| text.parse().ok());
        let now_ms = text("unisono-now-ms").and_then(|text| text.parse::<i64>().ok());
        let (Some(orchestra), Some(cluster), Some(now_ms)) = (orchestra_in(path), cluster, now_ms)
        else {
            return false;
        };
        let open = Open {
            cluster,
            ahead_ms: now_ms.saturating_sub_unsigned(wall_ms()),
            text: String::new(),
            ends_ms: 0,
        };
        self.lock().asked.insert(orchestra.to_owned(), open);
        true
    }

    /// A stream has ended with its session: whether it goes on with a new one.
    fn ended(&self, path: &str, problem: &Problem) -> bool {
        let mut state = self.lock();
        let open = orchestra_in(path).and_then(|one| state.asked.get_mut(one));
        match open {
            Some(open) if problem.code == Code::SessionEnded.as_str() => {
                open.ends_ms = 0;
                true
            }
            _ => false,
        }
    }
}

impl fmt::Debug for ReadAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Signing(_) => f.write_str("ReadAs(signing)"),
            Who::Held(name) => write!(f, "ReadAs(held: {name:?})"),
        }
    }
}

impl ReadKey {
    /// A session as text, from a time on (ms since the Unix epoch): for one orchestra, or for all of
    /// the cluster.
    ///
    /// # Errors
    /// The machine has no chance to draw from.
    pub fn session(
        &self,
        cluster: ClusterId,
        orchestra: Option<OrchestraId>,
        issued_ms: u64,
        life: Duration,
    ) -> Result<String, ClientError> {
        let life_ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        signed(self, cluster, orchestra, issued_ms, life_ms)
    }

    /// Who it is.
    pub fn agent(&self) -> AgentId {
        self.key.agent()
    }
}

fn signed(
    key: &ReadKey,
    cluster: ClusterId,
    orchestra: Option<OrchestraId>,
    issued_ms: u64,
    life_ms: u64,
) -> Result<String, ClientError> {
    let session = ReadSession {
        version: SESSION_VERSION,
        cluster,
        orchestra,
        agent: key.agent(),
        token: key.token,
        issued_ms,
        ends_ms: issued_ms + life_ms.min(limits::SESSION_LIFE_MS_MAX),
        nonce: random().map_err(|error| ClientError::Usage(error.to_string()))?,
    };
    Ok(session_text(&session.sign(key.key.signing()).encode()))
}

impl Client {
    /// The same client, reading on behalf of somebody where an orchestra asks who reads.
    #[must_use]
    pub fn reading_as(&self, reader: ReadAs) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            reader: Some(Arc::new(reader)),
        }
    }

    pub(super) fn reader(&self) -> Option<&ReadAs> {
        self.reader.as_deref()
    }

    /// A request with whatever says who sends it, where it was asked for.
    pub(super) fn introduced(&self, wanted: &Wanted) -> Result<Wanted, ClientError> {
        let mut wanted = wanted.clone();
        if let Some(reader) = self.reader()
            && let Some((name, value)) = reader.header(&wanted.path)?
        {
            put(&mut wanted.headers, name, &value);
        }
        Ok(wanted)
    }

    /// Whether to ask again after a refusal, saying now who asks, or saying it anew.
    pub(super) fn introduces(&self, path: &str, headers: &HeaderMap, problem: &Problem) -> bool {
        self.reader()
            .is_some_and(|reader| reader.learn(path, headers, problem))
    }

    /// Whether a stream that a problem has ended goes on with a new session.
    pub(super) fn goes_on(&self, path: &str, problem: &Problem) -> bool {
        self.reader()
            .is_some_and(|reader| reader.ended(path, problem))
    }
}

/// Who reads for an agent: itself, under the token that it acts under.
pub(super) fn read_as(key: &AgentKey, token: Option<&HeldToken>) -> ReadAs {
    let key = ReadKey {
        key: key.clone(),
        token: token.map(|token| token.id),
        cluster: token.map(|token| token.cluster),
    };
    ReadAs::signing(move || Ok(key.clone()))
}

/// The orchestra in a path, as it is written there.
fn orchestra_in(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v1/orchestras/")?;
    let (orchestra, _) = rest.split_once('/')?;
    Some(orchestra)
}

/// The id of an orchestra that stands in a path.
fn id_of(cluster: ClusterId, written: &str) -> Result<OrchestraId, ClientError> {
    let wrong = || ClientError::Usage(format!("{written}: no name of an orchestra"));
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).map_err(|_| wrong())?;
                (u8::from_str_radix(digits, 16).map_err(|_| wrong())?, after)
            }
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    let name = String::from_utf8(bytes).map_err(|_| wrong())?;
    match name.strip_prefix("id:") {
        Some(id) => id.parse().map_err(|_| wrong()),
        None => Ok(OrchestraId::of(cluster, &name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orchestra_of_a_path_is_the_one_that_the_node_reads_in_it() {
        let cluster = ClusterId([7; 16]);
        let path = super::super::calls::path_of("größer / als", "state");
        let written = orchestra_in(&path).expect("one");
        let named = OrchestraId::of(cluster, "größer / als");
        assert_eq!(id_of(cluster, written).expect("a name"), named);
        let path = super::super::calls::path_of(&format!("id:{named}"), "state");
        let written = orchestra_in(&path).expect("one");
        assert_eq!(id_of(cluster, written).expect("an id"), named);
        assert_eq!(orchestra_in("/v1/orchestras"), None);
        assert_eq!(orchestra_in("/v1/status"), None);
    }
}
