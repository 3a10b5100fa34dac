//! The demonstration that is also a check: three regions, a cut network, a killed node.

use clap::Args;

use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};

/// What the command is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {}

/// Does it.
pub(crate) async fn run(_args: DemoArgs, _config: Config, _global: Global) -> Result<(), Failure> {
    Err(Failure::new(
        Exit::Unavailable,
        "not_built",
        "this command is not built yet",
    ))
}
