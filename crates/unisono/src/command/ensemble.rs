//! How punctual everybody is.

use super::session::Session;
use crate::failure::Failure;
use crate::output::Table;

/// Shows how punctual everybody is.
pub(crate) async fn ensemble(session: &Session) -> Result<(), Failure> {
    let columns = &[
        ("PLAYER", "name"),
        ("ACTIONS", "actions"),
        ("MEAN MS", "mean_ms"),
        ("OFF MS", "off_ms"),
        ("SPREAD MS", "spread_ms"),
        ("WORST MS", "worst_ms"),
        ("DRIFT MS/MIN", "drift_ms_per_minute"),
        ("CLOCK MS", "unsure_ms"),
        ("HEALTH", "health"),
    ];
    let list = "players";
    session
        .show_read("ensemble", &[], Some(Table { list, columns }))
        .await
}
