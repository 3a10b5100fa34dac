//! A command that goes on, read line by line.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::process::{Place, Process};

/// A command that tells what comes as lines of JSON, until it is dropped.
pub(crate) struct Following {
    child: Child,
    told: Receiver<Value>,
}

impl Following {
    pub(crate) fn of(place: &Place, node: &Process, words: &[&str]) -> Self {
        let mut child = place
            .command()
            .args(["--node", &node.url, "-o", "json"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, told }
    }

    /// The next line, if it comes in time.
    pub(crate) fn within(&self, time: Duration) -> Option<Value> {
        self.told.recv_timeout(time).ok()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
