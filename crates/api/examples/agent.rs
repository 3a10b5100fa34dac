//! A reference agent: it goes through the whole loop against a node, until its work or the last
//! iteration is over.
//!
//! ```text
//! unisono up
//! unisono agent enrol eve && unisono task create tidy-up --as eve
//! cargo run -p unisono-api --example agent -- http://127.0.0.1:7420 main ada
//! ```
//!
//! It senses, takes the first open task that nobody has claimed, works on it, leaves a mark, closes
//! the task with it and offers what came out. What blocks and names it, it resolves before it goes on.

use std::time::Duration;

use unisono_api::client::flow::{Flow, Sensed, Sensing, Working, Yielding};
use unisono_api::client::{AgentKey, Client, ClientError, Config, SigningAgent, WriteOptions};
use unisono_api::dto::{
    AgentKindWord, EnrolBody, MarkBody, NamedByWord, ResolutionWord, Task, TaskBody, TaskStatusWord,
};
use unisono_model::Code;

/// What it reads before it works.
const BRIEF_TOKENS: u64 = 1_500;
/// Between two looks while there is nothing to do.
const PAUSE: Duration = Duration::from_millis(200);
/// How long it yields before it looks around again.
const YIELD: Duration = Duration::from_secs(2);

/// What the agent is to do.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    /// The node's address.
    pub(crate) node: String,
    /// The orchestra's name.
    pub(crate) orchestra: String,
    /// The agent's name.
    pub(crate) name: String,
    /// How often it looks around before it gives up waiting for work.
    pub(crate) rounds_max: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// The tasks that it closed, in that order.
    pub(crate) closed: Vec<String>,
    /// The topics to whose needs it yielded, in that order.
    pub(crate) yielded_to: Vec<String>,
    /// Whether the last iteration is over.
    pub(crate) complete: bool,
}

/// Goes through the loop.
pub(crate) async fn run(errand: Errand) -> Result<Report, ClientError> {
    let client = Client::connect(Config::new([errand.node.as_str()])).await?;
    client.open(&errand.orchestra).await?;
    let key = AgentKey::generate().map_err(|error| ClientError::Usage(error.to_string()))?;
    let introduction = EnrolBody {
        name: errand.name.clone(),
        role: "maker".to_owned(),
        kind: AgentKindWord::Ai,
        tier: None,
    };
    let agent = SigningAgent::new(client, &errand.orchestra, key, introduction);
    agent.enrol().await?;
    let mut report = Report::default();
    let mut flow = Flow::of(agent.clone());
    for _ in 0..errand.rounds_max {
        flow = match flow.sense().await? {
            Sensed::Clear(working) => work(&agent, working, &mut report).await?,
            Sensed::Blocked(yielding) => give_way(yielding, &mut report).await?,
            Sensed::Over(_) => {
                report.complete = true;
                break;
            }
        };
    }
    Ok(report)
}

/// Takes the first task that is open and free, and does it.
async fn work(
    agent: &SigningAgent,
    working: Flow<Working>,
    report: &mut Report,
) -> Result<Flow<Sensing>, ClientError> {
    let Some(task) = free_task(agent).await? else {
        tokio::time::sleep(PAUSE).await;
        return Ok(working.produced_nothing());
    };
    // What was decided meanwhile, what leads nowhere, who is near: a real agent is told this.
    working.brief(BRIEF_TOKENS).await?;
    working.intend(&task.task, &task.title).await?;
    // Here a real agent would work.
    let mark = MarkBody {
        about: task.task.clone(),
        text: format!("did {}", task.title),
        reasoning: task.description,
        tags: vec!["reference-agent".to_owned()],
        evidence: Vec::new(),
    };
    let made = working.produced(mark).await?;
    let closed = TaskBody {
        task: task.task.clone(),
        status: Some(TaskStatusWord::Closed),
        evidence: Some(made.mark()),
        ..TaskBody::default()
    };
    agent.task(closed).await?;
    agent.release(&task.task).await?;
    let flow = made.offer(&task.task, &task.title).await?;
    report.closed.push(task.task);
    Ok(flow)
}

/// The first open task whose claim it is granted: whoever is refused leaves it to who has it.
async fn free_task(agent: &SigningAgent) -> Result<Option<Task>, ClientError> {
    let tasks = agent.client().tasks(agent.orchestra(), None).await?;
    let open =
        |task: &Task| task.status == Some(TaskStatusWord::Open) && task.blocked_by.is_empty();
    for task in tasks.body.tasks.into_iter().filter(open) {
        match agent
            .claim(&task.task, None, &WriteOptions::default())
            .await
        {
            Ok(_) => return Ok(Some(task)),
            Err(error) if error.is_code(Code::ClaimHeld) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Answers what somebody needs of it; what it can only wait for, it waits for, but not for ever.
async fn give_way(
    yielding: Flow<Yielding>,
    report: &mut Report,
) -> Result<Flow<Sensing>, ClientError> {
    let asked = |named_by| matches!(named_by, NamedByWord::Holds | NamedByWord::Task);
    let own = yielding.yields_to().iter().find(|one| asked(one.named_by));
    let Some(one) = own.cloned() else {
        return Ok(yielding.wait(YIELD).await?);
    };
    let needed = one.interference.sides.first();
    let topic = needed.map(|side| side.topic.clone()).unwrap_or_default();
    let outcome = format!("{topic} comes next");
    let mark = MarkBody {
        about: topic.clone(),
        text: outcome.clone(),
        reasoning: "somebody cannot go on without it".to_owned(),
        tags: vec!["resolution".to_owned()],
        evidence: Vec::new(),
    };
    let how = ResolutionWord::Priority;
    let resolved = yielding.resolve(one.interference.id, how, &outcome, mark);
    let flow = resolved.await?;
    report.yielded_to.push(topic);
    Ok(flow)
}

#[tokio::main]
#[allow(dead_code, reason = "the test that runs the agent calls it by itself")]
async fn main() -> Result<(), ClientError> {
    let mut words = std::env::args().skip(1);
    let (Some(node), Some(orchestra), Some(name)) = (words.next(), words.next(), words.next())
    else {
        return Err(ClientError::Usage("agent NODE ORCHESTRA NAME".to_owned()));
    };
    let errand = Errand {
        node,
        orchestra,
        name,
        rounds_max: 100,
    };
    let report = run(errand).await?;
    println!(
        "closed {}; yielded to {}{}",
        report.closed.join(", "),
        report.yielded_to.join(", "),
        if report.complete {
            "; all is complete"
        } else {
            ""
        }
    );
    Ok(())
}
