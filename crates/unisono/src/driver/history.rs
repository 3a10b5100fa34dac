//! The record of every request that changes something and what it was told, one JSON object a line:
//! what a checker from outside judges promises by.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};
use unisono_core::node::{Answer, AnswerBody, Submit, Work};
use unisono_model::{ClusterId, NodeId, Rejection, wire};

/// The open file. Each line is one write, so that a killed process leaves whole lines.
#[derive(Debug)]
pub(crate) struct History {
    file: File,
    node: NodeId,
    cluster: ClusterId,
}

impl History {
    /// Goes on writing at the end of a file.
    pub(crate) fn open(path: &Path, node: NodeId, cluster: ClusterId) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            file,
            node,
            cluster,
        })
    }

    /// A request came in.
    pub(crate) fn invoked(&mut self, submit: &Submit, wall_ns: u64) {
        let mut line = json!({
            "id": submit.ticket.0,
            "event": "invoked",
            "node": self.node,
            "time_ns": wall_ns,
            "orchestra": submit.orchestra,
            "durable_on": submit.promise.durable_on,
        });
        let work = match &submit.work {
            Work::File { work, .. } => work.as_ref(),
            work => work,
        };
        let (what, agent, key) = match work {
            Work::File { .. } => ("file".to_owned(), String::new(), None),
            Work::Record(bytes) => {
                match wire::decode::<unisono_model::SignedRecord>(bytes, 1 << 20) {
                    Ok(record) => {
                        let place = record.place(self.cluster, submit.orchestra);
                        line["record"] = json!(place.digest(&record.body.0));
                        ("record".to_owned(), record.agent.to_string(), None)
                    }
                    Err(_) => ("record".to_owned(), String::new(), None),
                }
            }
            Work::Act { agent, action, key } => (action.name().to_owned(), agent.clone(), *key),
            // The node's own word in the cluster's orchestra: no agent was promised anything.
            Work::OfInvite(_) => return,
            Work::Leave { .. } => ("leave".to_owned(), String::new(), None),
            Work::Open { name } => (format!("open {name}"), String::new(), None),
            Work::Living { agent, .. } => ("living".to_owned(), agent.clone(), None),
        };
        line["what"] = what.into();
        line["agent"] = agent.into();
        line["key"] = key.map_or(Value::Null, |key| json!(key));
        self.write(&line);
    }

    /// A request was answered, or nobody can tell any more.
    pub(crate) fn completed(
        &mut self,
        id: u64,
        wall_ns: u64,
        result: Option<&Result<Answer, Rejection>>,
    ) {
        let mut line = json!({ "id": id, "node": self.node, "time_ns": wall_ns });
        match result {
            None => line["event"] = "unknown".into(),
            Some(Err(rejection)) => {
                let unknown = rejection.code == unisono_model::Code::Unknown;
                line["event"] = if unknown { "unknown" } else { "failed" }.into();
                line["code"] = rejection.code.as_str().into();
            }
            Some(Ok(answer)) => {
                line["event"] = "ok".into();
                line["cursor"] = answer.cursor.to_text().into();
                if let AnswerBody::Recorded(recorded) = &answer.body {
                    line["stamp"] = recorded.place.stamp.to_string().into();
                    line["record"] = json!(recorded.place.record);
                    line["durable_on"] = recorded.durable_on.into();
                    line["repeated"] = recorded.repeated.into();
                    let claim = recorded.claim.as_ref();
                    line["claim"] = claim.map_or(Value::Null, |claim| {
                        json!({
                            "claim": claim.claim.record,
                            "topic": claim.topic,
                            "status": format!("{:?}", claim.status).to_lowercase(),
                            "token": claim.token.to_string(),
                            "until": claim.until.to_string(),
                        })
                    });
                }
            }
        }
        self.write(&line);
    }

    fn write(&mut self, line: &Value) {
        if let Err(error) = self.file.write_all(format!("{line}\n").as_bytes()) {
            tracing::error!(%error, "the history could not be written");
        }
    }
}
