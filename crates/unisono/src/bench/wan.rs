//! The emulated wide-area network of `chaos/wan.sh`, as the benchmark uses it: hosts in namespaces, and
//! a router that takes orders.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::processes::Host;
use crate::failure::{Exit, Failure};

/// Where hosts listen to one another and to agents; each has a namespace of its own.
const PEER_PORT: u16 = 7_322;
const HTTP_PORT: u16 = 7_321;

/// What `chaos/wan.sh` has built: `FOLDER/namespace`, a name's beginning, and `FOLDER/orders`, where the
/// router reads.
#[derive(Debug)]
pub(super) struct Wan {
    hosts: Vec<Host>,
    orders: Mutex<File>,
}

impl Wan {
    /// Takes it over; hosts count from one.
    pub(super) fn open(folder: &Path, hosts: usize) -> Result<Self, Failure> {
        let named = |file: &str| folder.join(file);
        let gone = |path: PathBuf| {
            move |error: std::io::Error| {
                let words = format!("{}: {error}", path.display());
                Failure::new(Exit::Usage, "wan_missing", words)
                    .hint("chaos/wan.sh builds the network, as root, and calls this")
            }
        };
        let prefix =
            std::fs::read_to_string(named("namespace")).map_err(gone(named("namespace")))?;
        let token_file = named("token");
        std::fs::write(
            &token_file,
            "the-benchmark-and-nobody-else-speaks-to-these-nodes\n",
        )
        .map_err(gone(token_file.clone()))?;
        only_mine(&token_file).map_err(gone(token_file.clone()))?;
        let orders = OpenOptions::new().write(true).open(named("orders"));
        let host = |n: usize| Host {
            namespace: format!("{}{n}", prefix.trim()),
            http: format!("10.79.0.{n}:{HTTP_PORT}"),
            peer: format!("10.78.0.{n}:{PEER_PORT}"),
            token_file: token_file.clone(),
        };
        Ok(Self {
            hosts: (1..=hosts).map(host).collect(),
            orders: Mutex::new(orders.map_err(gone(named("orders")))?),
        })
    }

    /// Where nodes run.
    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Cuts one host off from all others, both ways. Counted from nought.
    pub(super) fn cut_off(&self, one: usize) -> Result<(), Failure> {
        let mut text = String::new();
        for other in (1..=self.hosts.len()).filter(|other| *other != one + 1) {
            // A string takes everything.
            let _ = write!(text, "cut {0} {other}\ncut {other} {0}\n", one + 1);
        }
        self.order(&text)
    }

    /// Ends all cuts.
    pub(super) fn heal(&self) -> Result<(), Failure> {
        self.order("heal\n")
    }

    fn order(&self, text: &str) -> Result<(), Failure> {
        let mut orders = self
            .orders
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = orders.write_all(text.as_bytes());
        written.map_err(|error| Failure::system("the router's orders", &error))
    }
}

/// A token file that others can read is refused.
fn only_mine(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}
