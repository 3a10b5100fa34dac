//! The client when nodes fall, lose answers or ask for patience: everything once, nothing twice.

use std::time::{Duration, Instant};

use unisono_api::client::{
    AgentKey, Client, ClientError, Config, FencingGuard, SigningAgent, WriteOptions, blocking,
};
use unisono_api::dto::{ActionBody, EnrolBody, PresenceBody, StatusWord, TaskBody, TaskStatusWord};
use unisono_model::{Action, Code, Digest, RecordBody, Rejection, SignedRecord, wire};

use crate::fake::{Deed, Fake, World};

fn config(nodes: &[&Fake]) -> Config {
    let mut config = Config::new(nodes.iter().map(|node| node.address.to_string()));
    config.connect_within = Duration::from_millis(500);
    config
}

fn ada(client: Client) -> SigningAgent {
    let introduction = EnrolBody {
        name: "ada".to_owned(),
        role: "builder".to_owned(),
        kind: unisono_api::dto::AgentKindWord::Ai,
        tier: None,
    };
    SigningAgent::new(client, "opus", AgentKey::from_seed([5; 32]), introduction)
}

fn active() -> PresenceBody {
    PresenceBody {
        status: StatusWord::Active,
        intent: String::new(),
        focus: String::new(),
    }
}

fn names(node: &Fake) -> Vec<&'static str> {
    let world = node.world.lock().unwrap();
    world
        .records
        .iter()
        .map(|record| record.action.name())
        .collect()
}

#[tokio::test]
async fn an_agent_enrols_itself_and_goes_on_in_its_chain() {
    let node = Fake::start(1, &World::shared()).await;
    let agent = ada(Client::connect(config(&[&node])).await.unwrap());
    let first = agent.presence(active()).await.unwrap().body;
    let second = agent
        .claim("src/**", None, &WriteOptions::default())
        .await
        .unwrap()
        .body;
    assert_eq!((first.seq, second.seq), (2, 3), "after the enrolment");
    assert_eq!(names(&node), ["enrol", "presence", "claim"]);
    let mut guard = FencingGuard::new();
    assert_eq!(guard.admit_claim(&second.claim.unwrap()), Ok(()));
    // The release names the claim without being told.
    agent.release("src/**").await.unwrap();
    let world = node.world.lock().unwrap();
    let Action::Release { claim, .. } = &world.records[3].action else {
        panic!("a release")
    };
    assert_eq!(*claim, second.record);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_bytes() {
    let node = Fake::start(1, &World::shared()).await;
    let agent = ada(Client::connect(config(&[&node])).await.unwrap());
    agent.enrol().await.unwrap();
    node.plan([Deed::LoseAnswer, Deed::LoseAnswer]);
    let recorded = agent.presence(active()).await.unwrap().body;
    assert!(recorded.repeated, "the first sending had arrived");
    let again = agent.presence(active()).await.unwrap().body;
    assert_eq!(
        (recorded.seq, again.seq),
        (2, 3),
        "the chain goes on behind it"
    );
    let world = node.world.lock().unwrap();
    assert_eq!(world.records.len(), 3);
    let sent = &world.arrived[1..4];
    assert!(
        sent[0] == sent[1] && sent[1] == sent[2],
        "three times the same bytes"
    );
}

#[tokio::test]
async fn an_agent_takes_its_chain_to_another_node_with_the_same_key() {
    let world = World::shared();
    let (one, two) = (Fake::start(1, &world).await, Fake::start(2, &world).await);
    let mut config = config(&[&one, &two]);
    config.wait_max = Duration::from_secs(1);
    // Not measured: the first is asked first.
    let agent = ada(Client::offline(config).unwrap());
    agent.presence(active()).await.unwrap();
    // It is done here, but no answer comes, however often it is asked for.
    one.plan(std::iter::repeat_n(Deed::LoseAnswer, 8));
    let recorded = agent.presence(active()).await.unwrap();
    assert_eq!(recorded.node, format!("http://{}", two.address));
    assert!(recorded.body.repeated, "the key says that it had been done");
    let next = agent.presence(active()).await.unwrap().body;
    assert_eq!(
        (next.log.node, next.seq),
        (two.log.node, 1),
        "a new chain, from its first place"
    );
    let world = world.lock().unwrap();
    assert_eq!(world.records.len(), 4, "enrol, and three presences");
    let bodies: Vec<_> = world.arrived.iter().map(|bytes| opened(bytes)).collect();
    let keys: Vec<_> = bodies.iter().filter_map(|(_, body)| body.key).collect();
    assert!(keys.windows(2).any(|pair| pair[0] == pair[1]));
    let (record, body) = bodies.last().unwrap();
    assert_eq!((record.seq, record.prev), (1, Digest::default()));
    assert_eq!(
        body.predecessors.len(),
        1,
        "the chain on the other node is named"
    );
    assert_eq!(body.predecessors[0].seq, 3);
}

fn opened(bytes: &[u8]) -> (SignedRecord, RecordBody) {
    let record: SignedRecord = wire::decode(bytes, 100_000).unwrap();
    let body = RecordBody::decode(&record.body.0).unwrap();
    (record, body)
}

#[tokio::test]
async fn a_node_that_is_gone_costs_one_attempt() {
    let world = World::shared();
    let (one, two) = (Fake::start(1, &world).await, Fake::start(2, &world).await);
    let client = Client::offline(config(&[&one, &two])).unwrap();
    let agent = ada(client.clone());
    agent.presence(active()).await.unwrap();
    let gone = one.die().await;
    let started = Instant::now();
    let recorded = agent.presence(active()).await.unwrap();
    assert_eq!(recorded.node, format!("http://{}", two.address));
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "took {:?}",
        started.elapsed()
    );
    assert_ne!(client.nearest(), format!("http://{gone}"));
    // Reads go on as well, and bring what was seen elsewhere.
    client.state("opus").await.unwrap();
    let questions = two.questions.lock().unwrap();
    let (_, _, min_cursor) = questions.last().unwrap();
    assert_eq!(min_cursor.as_ref(), Some(&world.lock().unwrap().cursor()));
}

#[tokio::test]
async fn a_chain_that_has_moved_is_looked_up_and_signed_anew() {
    let node = Fake::start(1, &World::shared()).await;
    let client = Client::connect(config(&[&node])).await.unwrap();
    let (agent, twin) = (ada(client.clone()), ada(client));
    agent.presence(active()).await.unwrap();
    twin.presence(active()).await.unwrap();
    let recorded = agent.presence(active()).await.unwrap().body;
    assert_eq!(recorded.seq, 4);
}

#[tokio::test]
async fn being_told_to_wait_is_no_refusal_but_a_refusal_is() {
    let node = Fake::start(1, &World::shared()).await;
    let agent = ada(Client::connect(config(&[&node])).await.unwrap());
    agent.enrol().await.unwrap();
    let wait = Rejection::new(Code::RateLimited, "600 a minute").retry_after(150);
    node.plan(std::iter::repeat_n(Deed::Refuse(wait), 8));
    let started = Instant::now();
    agent.presence(active()).await.unwrap();
    assert!(
        started.elapsed() >= Duration::from_millis(8 * 150),
        "waited as told"
    );
    node.plan([Deed::Refuse(Rejection::new(
        Code::ClaimHeld,
        "bob holds it",
    ))]);
    let error = agent
        .claim("t", Some(5_000), &WriteOptions::default())
        .await
        .unwrap_err();
    assert!(error.is_code(Code::ClaimHeld));
    assert_eq!(error.exit_code(), 5);
    agent.presence(active()).await.unwrap();
    assert_eq!(
        names(&node),
        ["enrol", "presence", "presence"],
        "no place was used up"
    );
}

#[tokio::test]
async fn a_task_change_names_what_it_replaces() {
    let node = Fake::start(1, &World::shared()).await;
    let agent = ada(Client::connect(config(&[&node])).await.unwrap());
    let change = TaskBody {
        task: "build".to_owned(),
        status: Some(TaskStatusWord::Closed),
        title: Some("Build it".to_owned()),
        ..TaskBody::default()
    };
    // Somebody writes a field between looking and signing: the agent looks again.
    node.plan([
        Deed::Obey,
        Deed::Refuse(Rejection::new(Code::Malformed, "name every head")),
    ]);
    agent.task(change.clone()).await.unwrap();
    agent
        .task(TaskBody {
            task: "none".to_owned(),
            ..change
        })
        .await
        .unwrap();
    let world = node.world.lock().unwrap();
    let replaced = |index: usize| match &world.records[index].action {
        Action::Task(change) => change
            .fields
            .iter()
            .map(|field| field.replaces.clone())
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        replaced(1),
        [vec![], vec![Digest([9; 32])]],
        "the title had no head"
    );
    assert_eq!(replaced(2), [vec![], vec![]], "a new task replaces nothing");
}

#[tokio::test]
async fn a_held_agent_is_repeated_only_where_its_key_is() {
    let world = World::shared();
    let (one, two) = (Fake::start(1, &world).await, Fake::start(2, &world).await);
    let client = Client::offline(config(&[&one, &two])).unwrap();
    one.plan([Deed::LoseAnswer]);
    let action = ActionBody::Presence(active());
    let reply = client
        .act("opus", "ada", &action, &WriteOptions::default())
        .await
        .unwrap();
    assert_eq!(reply.node, format!("http://{}", one.address));
    assert!(reply.body.repeated);
    assert!(
        two.promises.lock().unwrap().is_empty(),
        "the other node was never asked"
    );
    // The node that has just failed is put last for reading, and still asked for its own agent.
    let reply = client
        .act("opus", "ada", &action, &WriteOptions::default())
        .await
        .unwrap();
    assert_eq!(reply.node, format!("http://{}", one.address));
    one.plan([Deed::LoseAnswer]);
    two.plan([Deed::LoseAnswer]);
    let splice = unisono_api::dto::NoteSpliceBody {
        position: 0,
        delete: 0,
        insert: "x".into(),
    };
    let error = client
        .splice_note("opus", "ada", "plan", &splice)
        .await
        .unwrap_err();
    assert!(
        error.is_code(Code::Unknown),
        "inserted once or not at all, never twice: {error}"
    );
}

#[tokio::test]
async fn where_nobody_answers_the_client_says_so_at_once() {
    let node = Fake::start(1, &World::shared()).await;
    let mut config = config(&[&node]);
    config.attempts_max = 2;
    node.die().await;
    let error = Client::connect(config.clone()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(_)));
    assert_eq!(error.exit_code(), 6);
    let error = Client::offline(config).unwrap().status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(_)), "{error}");
    for wrong in ["https://node:1", "ftp://x", "", "a b", "host:port:1/path"] {
        let error = Client::offline(Config::new([wrong])).unwrap_err();
        assert!(matches!(error, ClientError::Usage(_)), "{wrong}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_blocking_client_does_the_same() {
    let node = Fake::start(1, &World::shared()).await;
    let config = config(&[&node]);
    let seen = tokio::task::spawn_blocking(move || {
        let client = blocking::Client::connect(config).unwrap();
        client.open("opus").unwrap();
        let introduction = EnrolBody {
            name: "ada".to_owned(),
            role: String::new(),
            kind: unisono_api::dto::AgentKindWord::Human,
            tier: None,
        };
        let agent = client.agent("opus", AgentKey::generate().unwrap(), introduction);
        agent.presence(active()).unwrap();
        client.state("opus").unwrap().body.records
    });
    assert_eq!(seen.await.unwrap(), 2);
}

#[test]
fn a_key_file_is_written_once_and_read_by_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ada.key");
    let agent = AgentKey::load_or_create(&path).unwrap().agent();
    assert_eq!(AgentKey::load_or_create(&path).unwrap().agent(), agent);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    std::fs::write(&path, "not a key").unwrap();
    assert!(
        AgentKey::load_or_create(&path).is_err(),
        "a damaged key is never replaced"
    );
}

/// A pipe would have kept whoever reads a key waiting for good, and who owns a file can change it,
/// whatever its mode.
#[cfg(unix)]
#[test]
fn a_key_is_read_behind_a_link_but_from_no_pipe_and_of_nobody_else() {
    use std::os::unix::fs::{chown, symlink};
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let agent = AgentKey::load_or_create(&file("ada.key")).unwrap().agent();
    symlink("ada.key", file("link.key")).unwrap();
    assert_eq!(AgentKey::load(&file("link.key")).unwrap().agent(), agent);
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, file("pipe.key"), fifo, mode, 0).unwrap();
    for name in ["pipe.key", "."] {
        let refused = AgentKey::load(&file(name)).unwrap_err();
        assert_eq!(
            refused.kind(),
            std::io::ErrorKind::InvalidInput,
            "{refused}"
        );
    }
    // Giving a file away takes an administrator.
    if chown(file("ada.key"), Some(4_242), None).is_ok() {
        let refused = AgentKey::load(&file("ada.key")).unwrap_err();
        assert_eq!(
            refused.kind(),
            std::io::ErrorKind::PermissionDenied,
            "{refused}"
        );
    }
}
