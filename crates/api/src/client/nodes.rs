//! The nodes that a client knows: nearest first, those that failed last.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::ClientError;

/// How long a node that failed is tried last.
const AVOID_FOR: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Nodes {
    entries: Mutex<Vec<Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    base: String,
    round_trip: Option<Duration>,
    failed: Option<Instant>,
}

impl Nodes {
    pub(crate) fn new(addresses: &[String]) -> Result<Self, ClientError> {
        let entry = |address: &String| {
            Ok(Entry {
                base: base(address)?,
                round_trip: None,
                failed: None,
            })
        };
        let entries = addresses
            .iter()
            .map(entry)
            .collect::<Result<Vec<_>, ClientError>>()?;
        if entries.is_empty() {
            return Err(ClientError::Usage("no node's address is known".to_owned()));
        }
        Ok(Self {
            entries: Mutex::new(entries),
        })
    }

    /// Each once, in the order in which to try them.
    pub(crate) fn order(&self) -> Vec<String> {
        let mut entries = self.lock().clone();
        let rank = |entry: &Entry| {
            let avoided = entry.failed.is_some_and(|at| at.elapsed() < AVOID_FOR);
            (
                avoided,
                entry.failed.filter(|_| avoided),
                entry.round_trip.unwrap_or(Duration::MAX),
            )
        };
        entries.sort_by_key(rank);
        entries.into_iter().map(|entry| entry.base).collect()
    }

    pub(crate) fn measured(&self, base: &str, round_trip: Option<Duration>) {
        self.change(base, |entry| {
            entry.round_trip = round_trip;
            entry.failed = if round_trip.is_some() {
                None
            } else {
                Some(Instant::now())
            };
        });
    }

    pub(crate) fn failed(&self, base: &str) {
        self.change(base, |entry| entry.failed = Some(Instant::now()));
    }

    pub(crate) fn round_trips(&self) -> Vec<(String, Option<Duration>)> {
        self.lock()
            .iter()
            .map(|entry| (entry.base.clone(), entry.round_trip))
            .collect()
    }

    fn change(&self, base: &str, with: impl Fn(&mut Entry)) {
        self.lock()
            .iter_mut()
            .filter(|entry| entry.base == base)
            .for_each(with);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        // A panic while the lock was held leaves a list that is still a list.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn base(address: &str) -> Result<String, ClientError> {
    let rest = match address.split_once("://") {
        Some(("http", rest)) => rest,
        Some((scheme, _)) => {
            return Err(ClientError::Usage(format!(
                "{address}: this client speaks http, not {scheme}"
            )));
        }
        None => address,
    };
    let rest = rest.trim_end_matches('/');
    let base = format!("http://{rest}");
    match base.parse::<hyper::Uri>() {
        Ok(uri) if uri.host().is_some() && uri.path() == "/" => Ok(base),
        _ => Err(ClientError::Usage(format!(
            "{address:?} is no address of a node (host:port)"
        ))),
    }
}
