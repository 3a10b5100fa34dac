//! What happens on the stage besides the fleet's work: a race, a cut, a kill, a heal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use unisono_api::client::{FencingGuard, SigningAgent, WriteOptions};
use unisono_api::dto::{ActionBody, Task, TaskBody};
use unisono_model::Code;

use super::cluster::{Cluster, REGIONS};
use super::fleet::{self, Agent, Ledger, NAMES, ORCHESTRA};
use super::screen::Screen;
use super::watch::Seen;
use crate::failure::Failure;

/// The stage.
#[derive(Debug)]
pub(super) struct Stage {
    /// The nodes.
    pub(super) cluster: Cluster,
    /// The twelve.
    pub(super) agents: Vec<Agent>,
    /// What they were promised.
    pub(super) ledger: Arc<Ledger>,
    /// What was shown.
    pub(super) seen: Arc<Seen>,
    /// The audience.
    pub(super) screen: Arc<Screen>,
    /// In front of whatever the claims protect.
    pub(super) guard: FencingGuard,
    /// What came of it.
    pub(super) facts: Facts,
}

/// What came of the scenes.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What should not have happened, by the property that it belongs to.
    pub(super) faults: Vec<(&'static str, String)>,
    /// Tokens that the guard took, in their order.
    pub(super) tokens: u64,
    /// Tokens of losers that it refused.
    pub(super) stale_refused: u64,
    /// Writes that another region read back by cursor.
    pub(super) read_back: u64,
    /// Reads that said that they cannot know yet.
    pub(super) said_behind: u64,
    /// Losers who were told who holds it, in their answer.
    pub(super) told_in_answer: u64,
    /// Claims that were provisional on both sides of the cut.
    pub(super) provisional: u64,
    /// Acknowledged while the network was cut, by region.
    pub(super) in_the_cut: [usize; 3],
    /// The task that a repeated request remarked on.
    pub(super) repeated_on: String,
    /// Figures for whoever reads the answer.
    pub(super) times: Vec<(&'static str, Value)>,
}

impl Stage {
    /// The agent of this name.
    pub(super) fn agent(&self, name: &str) -> Agent {
        let found = self.agents.iter().find(|agent| agent.name == name);
        found
            .or(self.agents.first())
            .cloned()
            .expect("twelve agents are enrolled before any scene")
    }

    pub(super) fn fault(&mut self, property: &'static str, words: impl Into<String>) {
        self.facts.faults.push((property, words.into()));
    }

    /// Each region writes, and each other reads it back by its cursor.
    pub(super) async fn hand_over(&mut self, round: usize) -> Result<(), Failure> {
        for from in 0..REGIONS.len() {
            let writer = self.agent(NAMES[from][0]);
            let task = format!("handed-over-{round}-{}", REGIONS[from]);
            let written = match writer.act(create(&task), &WriteOptions::default()).await {
                Ok(written) => written,
                Err(error) => {
                    self.fault(
                        "read your writes",
                        format!("{} could not write: {error}", writer.name),
                    );
                    continue;
                }
            };
            let mut reads = tokio::task::JoinSet::new();
            for to in (0..REGIONS.len()).filter(|to| *to != from) {
                let reader = fleet::client(&[self.cluster.nodes[to].http.as_str()])?;
                if let Some(cursor) = &written.cursor {
                    reader.seen(ORCHESTRA, cursor);
                }
                let what = format!("tasks/{task}");
                reads.spawn(async move {
                    let query = [("wait_ms", "4000")];
                    (to, reader.read::<Task>(ORCHESTRA, &what, &query).await)
                });
            }
            for (to, read) in reads.join_all().await {
                match read {
                    Ok(_) => self.facts.read_back += 1,
                    Err(error) => {
                        let words = format!("{} does not show {task}: {error}", REGIONS[to]);
                        self.fault("read your writes", words);
                    }
                }
            }
        }
        Ok(())
    }

    /// An agent whose answer was lost repeats its request beyond the cut: it must count once.
    pub(super) async fn repeat_beyond_the_cut(&mut self, task: &str) -> Result<(), Failure> {
        task.clone_into(&mut self.facts.repeated_on);
        let body = TaskBody {
            task: task.to_owned(),
            remark: Some("once".to_owned()),
            ..TaskBody::default()
        };
        let options = WriteOptions {
            key: Some(format!("{task}-once")),
            ..WriteOptions::default()
        };
        let name = "franz";
        let first = self
            .agent("franz")
            .act(ActionBody::Task(body.clone()), &options)
            .await;
        let far = fleet::client(&[self.cluster.nodes[2].http.as_str()])?;
        let twin = SigningAgent::new(far, ORCHESTRA, fleet::key(name), fleet::introduction(name));
        let second = twin.act(ActionBody::Task(body), &options).await;
        match (first, second) {
            (Ok(one), Ok(other)) if one.body.record != other.body.record => {
                self.screen.say(&format!(
                    "  {name} repeats a request in tokyo whose answer from oregon it lost: 2 records, 1 key"
                ));
            }
            (Ok(_), Ok(_)) => self.fault("counted once", "the cut let a record through"),
            (Err(error), _) | (_, Err(error)) => {
                self.fault("counted once", format!("{name} could not remark: {error}"));
            }
        }
        Ok(())
    }

    /// Whoever has seen one side's news is told by the other that it does not know them yet.
    pub(super) async fn ask_beyond_the_cut(&mut self) -> Result<(), Failure> {
        let writer = self.agent("ada");
        let task = "only-in-paris";
        let Ok(written) = writer.act(create(task), &WriteOptions::default()).await else {
            self.fault("read your writes", "ada could not write during the cut");
            return Ok(());
        };
        let reader = fleet::client(&[self.cluster.nodes[2].http.as_str()])?;
        if let Some(cursor) = &written.cursor {
            reader.seen(ORCHESTRA, cursor);
        }
        let what = format!("tasks/{task}");
        match reader
            .read::<Task>(ORCHESTRA, &what, &[("wait_ms", "200")])
            .await
        {
            Err(error) if error.is_code(Code::Behind) => self.facts.said_behind += 1,
            Err(error) => self.fault("read your writes", format!("tokyo said: {error}")),
            Ok(_) => self.fault("read your writes", "tokyo shows what it cannot have"),
        }
        Ok(())
    }

    /// Kills a node and starts it again on what its disk holds.
    pub(super) async fn kill_and_start(
        &mut self,
        index: usize,
        sabotage: &[String],
    ) -> Result<(), Failure> {
        let before = self.ledger.counts();
        self.cluster.kill(index).await?;
        self.screen.say(&format!(
            "kill -9 {}: its signing agents go on over paris, the others wait",
            REGIONS[index]
        ));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let started = Instant::now();
        self.cluster.start(index, sabotage).await?;
        self.cluster.stretch(Some(index)).await?;
        let ms = started.elapsed().as_millis() as u64;
        let after = self.ledger.counts();
        self.facts.times.push(("restart_ms", json!(ms)));
        self.screen.say(&format!(
            "{} serves again after {ms} ms; meanwhile paris acknowledged {}, tokyo {}",
            REGIONS[index],
            after[0] - before[0],
            after[2] - before[2],
        ));
        Ok(())
    }
}

/// Makes a task.
pub(super) fn create(task: &str) -> ActionBody {
    let (kind, title) = (Some("task".to_owned()), Some(task.to_owned()));
    ActionBody::Task(TaskBody {
        task: task.to_owned(),
        kind,
        title,
        ..TaskBody::default()
    })
}
