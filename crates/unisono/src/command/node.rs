//! Commands about this machine's node: found a cluster, serve, invite, join.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use unisono_core::election::Class;
use unisono_core::orchestra::limits::INVITE_LIFE_MS_MAX;
use unisono_model::limits;
use unisono_quic::identity::{Credentials, Region};
use unisono_quic::join::{Invite, InviteError, JoinError, Joiner};

use super::backup;
use crate::admission;
use crate::at_work::{self, AtWork};
use crate::cli::{Global, Listen};
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::faults;
use crate::home::{self, Home, Membership, Welcome};
use crate::output::{self, Format};
use crate::room;
use crate::rotation;
use crate::serve::{self, Wishes};
use crate::timing;

/// The longest life of an invite (minutes).
const VALID_MINUTES_MAX: u64 = INVITE_LIFE_MS_MAX / 60_000;

/// `up`.
#[derive(Clone, Debug, Args)]
pub(crate) struct UpArgs {
    /// The node's region, if it is founded now [default: local]
    #[arg(long)]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) listen: Listen,
}

/// `serve`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) listen: Listen,
}

/// `init`.
#[derive(Clone, Debug, Args)]
pub(crate) struct InitArgs {
    /// The node's name that people read
    #[arg(long)]
    name: Option<String>,
    /// The node's region [default: local]
    #[arg(long)]
    region: Option<String>,
    /// The longest lease that a claim may have, the same on all nodes (ms)
    #[arg(long, value_name = "MS", default_value_t = *limits::LEASE_MS.end())]
    lease_ms_max: u64,
}

/// `invite`.
#[derive(Clone, Debug, Args)]
pub(crate) struct InviteArgs {
    /// How long the invite counts: 1 to 40320 (28 days)
    #[arg(long, value_name = "MINUTES", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=VALID_MINUTES_MAX))]
    valid_minutes: u64,
    /// Where the new node knocks: at this one or at any other member, which passes it on; as this one
    /// serves, or is configured, if left out
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Vec<String>,
}

/// `join`.
#[derive(Clone, Debug, Args)]
pub(crate) struct JoinArgs {
    /// What `unisono invite` printed
    #[arg(value_name = "STRING")]
    invite: String,
    /// The node's name that people read
    #[arg(long)]
    name: Option<String>,
    /// The node's region [default: local]
    #[arg(long)]
    region: Option<String>,
}

impl InitArgs {
    /// What these flags say about the configuration.
    pub(crate) fn flags(&self) -> Flags {
        named(self.name.as_deref(), self.region.as_deref())
    }
}

impl JoinArgs {
    /// What these flags say about the configuration.
    pub(crate) fn flags(&self) -> Flags {
        named(self.name.as_deref(), self.region.as_deref())
    }
}

impl InviteArgs {
    /// What these flags say about the configuration.
    pub(crate) fn flags(&self) -> Flags {
        match self.advertise.as_slice() {
            [] => Flags::new(),
            addresses => vec![("advertise", addresses.to_vec())],
        }
    }
}

fn named(name: Option<&str>, region: Option<&str>) -> Flags {
    let one = |key: &'static str, value: Option<&str>| value.map(|v| (key, vec![v.to_owned()]));
    one("name", name)
        .into_iter()
        .chain(one("region", region))
        .collect()
}

/// Serves a node alone, founding its cluster if need be.
pub(crate) async fn up(args: UpArgs, config: Config, global: Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    rotation::settled(&home).await?;
    if !home.is_member() {
        founded(&home, &config, *limits::LEASE_MS.end())?;
    }
    let mut wishes = wishes(&args.listen)?;
    wishes.open = config.text("orchestra").map(str::to_owned);
    let served = serve::run(&home, &config, wishes, global.output).await;
    served.map_err(|failure| room::told(failure, home.directory()))
}

/// Serves the node of the data directory.
pub(crate) async fn serve(args: ServeArgs, config: Config, global: Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let served = serve::run(&home, &config, wishes(&args.listen)?, global.output).await;
    served.map_err(|failure| room::told(failure, home.directory()))
}

/// Founds a cluster, with nobody else at work in the directory.
fn founded(
    home: &Home,
    config: &Config,
    lease_ms_max: u64,
) -> Result<(Membership, Credentials), Failure> {
    let region = region(config)?;
    let name = config.text("name");
    if home.is_member() {
        return home.found(name, &region, lease_ms_max);
    }
    let _at_work = alone(home)?;
    let found = home.found(name, &region, lease_ms_max);
    found.map_err(|failure| room::told(failure, home.directory()))
}

/// The right to make a directory that of a node, where it is none yet.
fn alone(home: &Home) -> Result<AtWork, Failure> {
    backup::refuse_unfinished(home)?;
    let at_work = at_work::begin(home).map_err(|failure| room::told(failure, home.directory()))?;
    // Another command may have come to its end meanwhile.
    if home.is_member() {
        return Err(home.taken(home.membership()?.cluster).next("unisono serve"));
    }
    Ok(at_work)
}

fn wishes(listen: &Listen) -> Result<Wishes, Failure> {
    Ok(Wishes {
        history: listen.history.clone(),
        workspace: listen.workspace.clone(),
        test_faults: listen.test_faults,
        no_fsync: listen.no_fsync,
        sabotage: faults::sabotage(&listen.sabotage).map_err(Failure::usage)?,
        open: None,
        certificate_life: listen.certificate_seconds.map(Duration::from_secs),
        timing: timing::Wishes {
            priority: listen.clock_priority,
            class: listen.clock_class.map_or(Class::Free, Into::into),
            offset_ms: listen.clock_offset_ms,
            drift_ppm: listen.clock_drift_ppm,
            wander_ppb: listen.clock_wander_ppb,
            asymmetries: timing::asymmetries(&listen.path_asymmetry_ms)?,
            bounds: timing::asymmetry_bounds(&listen.asymmetry_bound_ms)?,
        },
    })
}

/// Founds a cluster.
pub(crate) fn init(args: &InitArgs, config: &Config, global: &Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let (membership, credentials) = founded(&home, config, args.lease_ms_max)?;
    let data = home.directory().display().to_string();
    if global.output != Format::Table {
        let founded = json!({
            "cluster": membership.cluster,
            "node": credentials.node(),
            "name": membership.name,
            "region": credentials.region().as_str(),
            "lease_ms_max": membership.lease_ms_max,
            "data": data,
        });
        return output::answer(global.output, &founded, None);
    }
    output::raw(&format!(
        "founded cluster {}\nthis node is {} in {}; all state is in {data}\n",
        membership.cluster,
        membership.name,
        credentials.region(),
    ))?;
    output::say(&format!(
        "keep {data}/recovery.key where no machine reads it: it alone puts another root in the place of root.key"
    ));
    output::say(&format!("next: unisono serve --data {data}"));
    Ok(())
}

/// Prints one string that lets one node in.
pub(crate) fn invite(args: &InviteArgs, config: &Config, global: &Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let (_, credentials) = home.load_to_sign()?;
    let mut addresses = config.list("advertise");
    if addresses.is_empty() {
        addresses = match home.running() {
            Some(running) => running.peer.split(',').map(str::to_owned).collect(),
            None => vec![
                config
                    .text("peer")
                    .unwrap_or(crate::config::PEER)
                    .to_owned(),
            ],
        };
    }
    if addresses
        .iter()
        .any(|address| address.starts_with("127.") || address.starts_with("[::1]"))
    {
        output::say(
            "note: only nodes on this machine can use it; serve with --peer IP:PORT for others",
        );
    }
    let valid_ms = args.valid_minutes.saturating_mul(60_000);
    let invite = admission::invite(&home, &credentials, addresses, valid_ms)?;
    let text = invite.to_text();
    if global.output == Format::Table {
        return output::raw(&format!("{text}\n"));
    }
    let made = json!({
        "invite": text,
        "cluster": invite.cluster,
        "addresses": invite.addresses,
        "expires_ms": invite.expires_ms,
    });
    output::answer(global.output, &made, None)
}

/// Joins the cluster of an invite.
pub(crate) async fn join(args: JoinArgs, config: Config, global: Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let invite: Invite = args
        .invite
        .parse()
        .map_err(|error: InviteError| JoinError::from(error))?;
    if home.is_member() {
        let cluster = home.membership()?.cluster;
        let taken = home.taken(cluster);
        return Err(if cluster == invite.cluster {
            taken.next("unisono serve")
        } else {
            taken.hint(format!("the invite is for cluster {}", invite.cluster))
        });
    }
    let region = region(&config)?;
    let _at_work = alone(&home)?;
    let joiner = Joiner {
        key: home.key()?,
        region,
        addresses: config.list("advertise"),
    };
    let joined = unisono_quic::join::join(&invite, &joiner, home::now_ms()).await?;
    let welcome: Welcome = serde_json::from_slice(&joined.members).map_err(|error| {
        let words = format!("the member list cannot be read: {error}");
        Failure::new(Exit::Verification, "bad_answer", words)
            .hint("use the same version on both sides")
    })?;
    let membership = home.joined(&joined.credentials, config.text("name"), &welcome);
    let membership = membership.map_err(|failure| room::told(failure, home.directory()))?;
    let data = home.directory().display().to_string();
    if global.output != Format::Table {
        let joined = json!({
            "cluster": membership.cluster,
            "node": joined.credentials.node(),
            "name": membership.name,
            "region": joined.credentials.region().as_str(),
            "members": membership.seeds,
            "data": data,
        });
        return output::answer(global.output, &joined, None);
    }
    output::raw(&format!(
        "joined cluster {} as {} in {}\n",
        membership.cluster,
        membership.name,
        joined.credentials.region(),
    ))?;
    output::say(&format!("next: unisono serve --data {data}"));
    Ok(())
}

fn region(config: &Config) -> Result<Region, Failure> {
    let text = config.text("region").unwrap_or(home::REGION);
    text.parse()
        .map_err(|error| Failure::usage(format!("{text:?}: {error}")))
}
