//! Leaving the cluster. The request is signed with the node's key, which only the owner of its data
//! directory has: no agent can send a node away.

use clap::Args;
use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;
use unisono_api::client::Client;
use unisono_api::dto::{LeaveBody, Left};
use unisono_quic::identity::{Credentials, spoken};

use super::session;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::{self, Home, Running};
use crate::output::{self, Format};
use crate::standing::{self, Standing, Word};

/// How long it may take to hand everything on, where nobody says (ms).
pub(super) const WAIT_MS: u64 = 30_000;

/// `leave`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LeaveArgs {
    /// How many other members must hold all that the node wrote [default: 2, or all where there are
    /// fewer]
    #[arg(long, value_name = "N")]
    hand_to: Option<u16>,
    /// The cluster's and the root's key, where they lie in this directory, are kept elsewhere
    #[arg(long)]
    keys_are_kept: bool,
}

/// Has the node of the data directory leave.
pub(crate) async fn leave(args: LeaveArgs, config: Config, global: Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let (membership, credentials) = home.load()?;
    if let Some(known) = standing::of(&home).filter(|known| known.word == Word::Left) {
        return left_already(&membership.name, &known, global.output);
    }
    let running = running(&home)?;
    let keys: Vec<&str> = home.only_keys().collect();
    if !keys.is_empty() && !args.keys_are_kept {
        let words = format!(
            "{} in {}: without it nobody can be let into the cluster, or be given rights",
            keys.join(" and "),
            home.directory().display()
        );
        return Err(Failure::new(Exit::Denied, "keys_here", words).hint(
            "copy it into another member's directory, or keep this one, and say --keys-are-kept",
        ));
    }
    let client = session::connect(&config).await?;
    let wait_ms = global.wait_ms.unwrap_or(WAIT_MS);
    let (hand_to, node) = (args.hand_to.unwrap_or(0), (&running, &credentials));
    let left = sent_away(&client, node, hand_to, wait_ms).await?;
    let (name, count, wanted) = (&membership.name, left.held_by.len(), left.wanted);
    if !left.ends {
        // Whoever switches the machine off when this succeeds must not do it now.
        let words = format!("{name} has left, but {count} of {wanted} others hold its last word");
        return Err(Failure::new(Exit::TimedOut, "not_ended", words)
            .changed()
            .hint("leave it running: its process ends by itself when they do"));
    }
    if global.output != Format::Table {
        return output::answer(global.output, &left, None);
    }
    output::raw(&format!(
        "{name} has left; others hold all that it held ({count}), and its process ends\n\
         whoever serves its directory again makes it a member again\n"
    ))
}

/// What was asked for is so. To serve it, so that it could leave, would make it a member again.
fn left_already(name: &str, known: &Standing, format: Format) -> Result<(), Failure> {
    if format != Format::Table {
        let told = json!({ "ends": true, "already": true, "at_ms": known.at_ms });
        return output::answer(format, &told, None);
    }
    let ago = spoken(home::now_ms().saturating_sub(known.at_ms));
    output::raw(&format!(
        "{name} has left already, {ago} ago; others hold all that it held, and nothing is left to do\n\
         whoever serves its directory again makes it a member again\n"
    ))
}

/// Where the node of a directory listens.
pub(super) fn running(home: &Home) -> Result<Running, Failure> {
    home.running().ok_or_else(|| {
        let data = home.directory().display();
        let words = format!("no node runs on {data}: only one that runs can hand on what it holds");
        Failure::new(Exit::Unavailable, "not_running", words)
            .next(format!("unisono serve --data {data}"))
    })
}

/// Has the node leave, by the word of its own key.
pub(super) async fn sent_away(
    client: &Client,
    (running, credentials): (&Running, &Credentials),
    hand_to: u16,
    wait_ms: u64,
) -> Result<Left, Failure> {
    let mut body = LeaveBody {
        at_ms: home::now_ms(),
        hand_to,
        signature: String::new(),
    };
    let key = SigningKey::from_bytes(&credentials.key().seed());
    let signature = key.sign(&body.digest(credentials.node()).0);
    body.signature = BASE64.encode(&signature.to_bytes());
    let node = format!("http://{}", running.http);
    Ok(client.leave(&node, &body, wait_ms).await?.body)
}
