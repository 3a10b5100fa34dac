//! Plays a recorded fleet's work into a cluster, through all its nodes at once.

use clap::Args;

use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};

/// What the command is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArgs {}

/// Does it.
pub(crate) async fn run(
    _args: ReplayArgs,
    _config: Config,
    _global: Global,
) -> Result<(), Failure> {
    Err(Failure::new(
        Exit::Unavailable,
        "not_built",
        "this command is not built yet",
    ))
}
