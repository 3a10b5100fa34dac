//! Another key for this machine's node. Whatever can be refused is refused before anything is changed:
//! the next identity has its certificate before the former one leaves, and agents whose keys the node
//! holds have taken the keys that follow from the next one. Broken off anywhere, the same command goes
//! on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use unisono_api::client::{AgentKey, Client, NotRotated, Reply, SigningAgent, WriteOptions};
use unisono_api::dto::{Agents, EnrolBody, Members, Version};
use unisono_core::node::held_key;
use unisono_model::Code;
use unisono_quic::identity::Credentials;
use unisono_quic::join::{Invite, InviteError, JoinError, Joiner};

use super::leave::{self, WAIT_MS};
use super::session::Session;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::{self, Home, Membership, RENEWER_TOKEN_FILE, Running, Welcome};
use crate::output::{self, Format};
use crate::rotation::{self, Moving, Released, Rotation};

/// How many others must hold what the node wrote, where nobody says and so many are there.
const HAND_TO: usize = 2;
/// How often agents are looked for: whoever enrols while others are rotated is found by the next look.
const LOOKS_MAX: usize = 8;
/// How long the process of a node that has left may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(30);
/// How often that is looked at.
const LOOKED_EVERY: Duration = Duration::from_millis(50);
/// How often the last word of a process is waited for that has let go of its journal.
const GOODBYE_LOOKS: usize = 100;
/// Agents that are named to whoever would leave them behind.
const NAMED_MAX: usize = 16;

/// `node rotate`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RotateArgs {
    /// What `unisono invite` printed; not needed once a first call has joined with it
    #[arg(long, value_name = "STRING")]
    invite: Option<String>,
    /// How many other members must hold all that the node wrote [default: 2, or all where there are
    /// fewer]
    #[arg(long, value_name = "N")]
    hand_to: Option<u16>,
    /// Agents whose keys cannot be changed, as they are fenced for instance, stay behind and enrol anew
    #[arg(long)]
    leave_behind: bool,
}

/// A node that is given another key.
struct Turn {
    home: Home,
    rotation: Rotation,
    membership: Membership,
    former: Credentials,
    running: Running,
    session: Session,
    args: RotateArgs,
    advertised: Vec<String>,
}

/// An agent whose key the node holds.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct HeldAgent {
    orchestra: String,
    name: String,
}

/// The same with its key and the one that it is to have; none where it has that.
struct Held {
    agent: HeldAgent,
    keys: Option<(AgentKey, AgentKey)>,
}

/// What became of the agents.
#[derive(Default)]
struct Agreed {
    rotated: BTreeSet<HeldAgent>,
    /// With why.
    behind: BTreeMap<HeldAgent, String>,
}

/// Gives the node of the data directory another key.
pub(super) async fn run(args: RotateArgs, config: Config, global: Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let rotation = Rotation::begin(&home)?;
    if let Some(moving) = rotation.moving()? {
        // All was done but the moving of files.
        let _journal = ended(&home).await.map_err(Failure::changed)?;
        rotation.finish()?;
        return tell(&home, &rotation, &moving, None, &global);
    }
    let (membership, former) = home.load()?;
    let running = leave::running(&home)?;
    let advertised = config.list("advertise");
    let config = config.with("node", format!("http://{}", running.http));
    let turn = Turn {
        session: Session::new(config, global).await?,
        home,
        rotation,
        membership,
        former,
        running,
        args,
        advertised,
    };
    turn.may_begin().await?;
    let next = turn.made_ready().await?;
    turn.rotation.can_move_authority(&turn.former, &next)?;
    let agreed = turn.agents_go_on(&next).await?;
    let changed = |failure: Failure| {
        let words = "agents whose keys it holds sign with the next one already, and wait for it: \
                     give the same command again";
        failure.changed().hint(words)
    };
    let moving = turn.rotation.draft(&turn.former, &next).map_err(changed)?;
    turn.leaves().await.map_err(changed)?;
    turn.rotation.decide().map_err(changed)?;
    let _journal = ended(&turn.home).await.map_err(changed)?;
    turn.rotation.finish()?;
    let (home, global) = (&turn.home, &turn.session.global);
    tell(home, &turn.rotation, &moving, Some(&agreed), global)
}

impl Turn {
    /// Whether all that comes later can be done, as far as that can be known.
    async fn may_begin(&self) -> Result<(), Failure> {
        let data = self.home.directory().display();
        if self.home.has_next_authority() {
            let words = format!("another authority is being made in {data}; nothing changed");
            return Err(Failure::new(Exit::Conflict, "authority_under_way", words)
                .hint("bring that to its end first")
                .next("unisono ca rotate"));
        }
        self.rotation.can_move()?;
        let own = self.former.node();
        let version: Reply<Version> = self.session.client.get("/version", &[]).await?;
        if version.body.node != own {
            let words = format!(
                "{} at {} is another node than that of {data}; nothing changed",
                version.body.name, self.running.http
            );
            return Err(Failure::new(Exit::Unavailable, "not_running", words)
                .next(format!("unisono serve --data {data}")));
        }
        let members: Reply<Members> = self.session.client.members().await?;
        let others = members.body.members.iter();
        let others = others.filter(|one| one.node != own && one.stays());
        let alive: BTreeMap<_, bool> = others.map(|one| (one.node, one.alive)).collect();
        let wanted = match self.args.hand_to {
            Some(asked) if asked > 0 => usize::from(asked),
            _ => HAND_TO.min(alive.len()),
        };
        let alive = alive.values().filter(|alive| **alive).count();
        if wanted > 0 && alive >= wanted {
            return Ok(());
        }
        let (exit, code, words) = match wanted {
            0 => (
                Exit::Conflict,
                Code::LastMember.as_str(),
                "it is the last member: nobody could take what it wrote".to_owned(),
            ),
            _ => (
                Exit::Unavailable,
                "others_silent",
                format!("{wanted} others are to take what it wrote, and {alive} are heard"),
            ),
        };
        Err(Failure::new(exit, code, words + "; nothing changed")
            .hint("it leaves before it comes back: have others serve, or hand to fewer (--hand-to)")
            .next("unisono members"))
    }

    /// The next identity, with its certificate: no member before it is served.
    async fn made_ready(&self) -> Result<Credentials, Failure> {
        if let Some(ready) = self.rotation.ready()? {
            return Ok(ready);
        }
        let data = self.home.directory().display();
        let text = self.args.invite.as_deref().ok_or_else(|| {
            let words = "the next key is let in by an invite, and none is named; nothing changed";
            Failure::usage(words)
                .hint("`unisono invite` prints one, on a node with ca.key; this one may be that")
                .next(format!("unisono node rotate --data {data} --invite STRING"))
        })?;
        let invite: Invite = text
            .parse()
            .map_err(|error: InviteError| JoinError::from(error))?;
        if invite.cluster != self.membership.cluster {
            let words = format!(
                "the invite is for cluster {}, and the node belongs to {}; nothing changed",
                invite.cluster, self.membership.cluster
            );
            return Err(Failure::new(Exit::Denied, "other_cluster", words)
                .hint("ask for an invite of this cluster"));
        }
        self.rotation.forget_join()?;
        let next = self.rotation.next();
        let joiner = Joiner {
            // On disk before anything is asked: the same command again takes it.
            key: next.key()?,
            region: self.former.region().clone(),
            addresses: self.advertised.clone(),
        };
        let joined = unisono_quic::join::join(&invite, &joiner, home::now_ms()).await?;
        let mut welcome: Welcome = serde_json::from_slice(&joined.members).map_err(|error| {
            let words = format!("the member list cannot be read: {error}");
            Failure::new(Exit::Verification, "bad_answer", words)
                .hint("use the same version on both sides")
        })?;
        // Where that one was, the next one listens itself.
        let former = self.former.node();
        welcome.members.retain(|seed| seed.node != former);
        if welcome.members.is_empty() {
            let words = "whoever let the next key in knows no other member: the invite is used up, and this \
                         node is as it was";
            return Err(Failure::new(Exit::Unavailable, "last_member", words)
                .changed()
                .hint("have another node serve, and give the same command with a new invite"));
        }
        let name = Some(self.membership.name.as_str());
        next.joined(&joined.credentials, name, &welcome)?;
        Ok(joined.credentials)
    }

    /// Takes every agent whose key the node holds to the key that follows from the next one.
    async fn agents_go_on(&self, next: &Credentials) -> Result<Agreed, Failure> {
        let mut agreed = Agreed::default();
        for _ in 0..LOOKS_MAX {
            let mut news = false;
            for Held { agent, keys } in self.held(next).await? {
                let Some((former, later)) = keys else {
                    agreed.rotated.insert(agent);
                    continue;
                };
                if agreed.behind.contains_key(&agent) {
                    continue;
                }
                news = true;
                match rotated(&self.session.client, &agent, former, &later).await {
                    Ok(()) => {
                        agreed.rotated.insert(agent);
                    }
                    Err(NotRotated { error, is_definite }) if is_definite => {
                        agreed.behind.insert(agent, error.to_string());
                    }
                    Err(NotRotated { error, .. }) => {
                        let failure = Failure::from(error);
                        let hint = "agents that were taken to their next keys wait for the node: give \
                                    the same command again";
                        return Err(if agreed.rotated.is_empty() {
                            failure.hint("give the same command again")
                        } else {
                            failure.changed().hint(hint)
                        });
                    }
                }
            }
            if !news {
                break;
            }
        }
        if agreed.behind.is_empty() || self.args.leave_behind {
            return Ok(agreed);
        }
        let named = agreed.behind.iter().take(NAMED_MAX);
        let named: Vec<String> = named
            .map(|(agent, why)| format!("{} in {} ({why})", agent.name, agent.orchestra))
            .collect();
        let count = agreed.behind.len();
        let words = format!(
            "{count} agents cannot change their keys: {}",
            named.join("; ")
        );
        let failure = Failure::new(Exit::Denied, "agents_behind", words).hint(
            "with --leave-behind the node goes on without them: they enrol anew, as other agents",
        );
        Err(if agreed.rotated.is_empty() {
            failure
        } else {
            failure.changed()
        })
    }

    /// The agents that sign with a key that follows from the former one or from the next.
    async fn held(&self, next: &Credentials) -> Result<Vec<Held>, Failure> {
        let client = &self.session.client;
        let (seed, later) = (self.former.key().seed(), next.key().seed());
        let mut held = Vec::new();
        for orchestra in client.orchestras().await?.body.orchestras {
            // Nobody could have enrolled where a name is not known.
            if orchestra.name.is_empty() {
                continue;
            }
            let agents = client.read_whole(&orchestra.name, "agents", &[]).await;
            let agents: Reply<Agents> = agents.map_err(|error| {
                let words = "who reads the list of agents there says who they are: --as NAME with \
                             --key-file FILE, the root's for instance";
                if error.is_code(Code::SessionNeeded) {
                    Failure::from(error).hint(format!("{}: {words}", orchestra.name))
                } else {
                    error.into()
                }
            })?;
            for agent in agents.body.agents {
                let keys = [&seed, &later].map(|seed| {
                    let key = held_key(seed, orchestra.orchestra, &agent.name);
                    AgentKey::from_seed(key.to_bytes())
                });
                let [former, later] = keys;
                let keys = match agent.key {
                    key if key == former.agent() => Some((former, later)),
                    key if key == later.agent() => None,
                    _ => continue,
                };
                let agent = HeldAgent {
                    orchestra: orchestra.name.clone(),
                    name: agent.name,
                };
                held.push(Held { agent, keys });
            }
        }
        Ok(held)
    }

    /// The former identity leaves.
    async fn leaves(&self) -> Result<(), Failure> {
        let wait_ms = self.session.global.wait_ms.unwrap_or(WAIT_MS);
        let node = (&self.running, &self.former);
        let hand_to = self.args.hand_to.unwrap_or(0);
        let left = leave::sent_away(&self.session.client, node, hand_to, wait_ms).await?;
        if left.ends {
            return Ok(());
        }
        let (count, wanted) = (left.held_by.len(), left.wanted);
        let words = format!("the node has left, but {count} of {wanted} others hold its last word");
        Err(Failure::new(Exit::TimedOut, "not_ended", words))
    }
}

/// Has an agent go on with the key that follows from the next one.
async fn rotated(
    client: &Client,
    agent: &HeldAgent,
    former: AgentKey,
    next: &AgentKey,
) -> Result<(), NotRotated> {
    let introduction = EnrolBody {
        name: agent.name.clone(),
        role: String::new(),
        kind: unisono_api::dto::AgentKindWord::Ai,
        tier: None,
    };
    let signing = SigningAgent::new(client.clone(), &agent.orchestra, former, introduction);
    signing
        .rotate(next, &WriteOptions::default())
        .await
        .map(drop)
}

/// Waits until the node's process has ended, and keeps another one from its journal.
async fn ended(home: &Home) -> Result<Released, Failure> {
    let looks = ENDED_WITHIN.as_millis() / LOOKED_EVERY.as_millis();
    for _ in 0..looks {
        if let Some(journal) = rotation::released(home)? {
            said_goodbye(home).await;
            return Ok(journal);
        }
        tokio::time::sleep(LOOKED_EVERY).await;
    }
    let words = "the node has left, and its process does not end";
    Err(Failure::new(Exit::TimedOut, "not_ended", words))
}

/// Waits for the last thing that a process does in its directory. One that was killed does not do it.
async fn said_goodbye(home: &Home) {
    for _ in 0..GOODBYE_LOOKS {
        if home.running().is_none() {
            return;
        }
        tokio::time::sleep(LOOKED_EVERY).await;
    }
}

fn tell(
    home: &Home,
    rotation: &Rotation,
    moving: &Moving,
    agreed: Option<&Agreed>,
    global: &Global,
) -> Result<(), Failure> {
    let membership = home.membership()?;
    let aside = rotation.aside(moving);
    let renewed = aside.join(RENEWER_TOKEN_FILE).exists();
    let behind = agreed.map(|agreed| agreed.behind.keys());
    let behind: Vec<_> = behind.into_iter().flatten().collect();
    let rotated = agreed.map(|agreed| agreed.rotated.len());
    if global.output != Format::Table {
        let behind = behind.iter();
        let behind = behind.map(|one| json!({ "orchestra": one.orchestra, "name": one.name }));
        let told = json!({
            "name": membership.name,
            "former": moving.former,
            "node": moving.next,
            "agents": rotated,
            "left_behind": behind.collect::<Vec<_>>(),
            "aside": aside,
            "renewed_tokens": renewed,
        });
        return output::answer(global.output, &told, None);
    }
    let (name, former, next) = (&membership.name, moving.former, moving.next);
    output::raw(&format!(
        "{name} was {former}, which has left, and is {next} when it is served again\n\
         what it was lies in {}, with its key and its journal\n",
        aside.display()
    ))?;
    if let Some(rotated) = rotated {
        output::raw(&format!(
            "{rotated} agents whose keys it holds go on with it\n"
        ))?;
    }
    for one in behind {
        output::say(&format!(
            "{} in {} has to enrol anew",
            one.name, one.orchestra
        ));
    }
    if renewed {
        output::say(&format!(
            "it renewed tokens by its former key: `unisono token mint renewer --for {next}` lets it again"
        ));
    }
    output::say(&format!(
        "whoever has the former key could have it served again: \
         unisono node remove {former} --as root --key-file root.key"
    ));
    output::say(&format!(
        "next: unisono serve --data {}",
        home.directory().display()
    ));
    Ok(())
}
