//! What one node shows of an orchestra as of a stamp, and all records that it has.

use unisono_api::client::Client;
use unisono_api::dto::{Claims, RecordEvent, Task, Tasks};
use unisono_model::Stamp;

use super::dump::Dump;
use crate::failure::Failure;

/// What a node shows.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Who holds what.
    pub(crate) claims: Claims,
    /// All tasks.
    pub(crate) tasks: Vec<Task>,
    /// All records, also those above the stamp.
    pub(crate) dump: Dump,
}

/// Asks the node for all of it.
pub(crate) async fn shown(client: &Client, orchestra: &str, at: Stamp) -> Result<Shown, Failure> {
    let text = at.to_string();
    let as_of = [("as_of", text.as_str())];
    let claims = client
        .read_whole::<Claims>(orchestra, "claims", &as_of)
        .await?;
    let tasks = client
        .read_whole::<Tasks>(orchestra, "tasks", &as_of)
        .await?;
    let mut dump = client.dump(orchestra, None).await?;
    let mut records: Vec<RecordEvent> = Vec::new();
    while let Some(record) = dump.next().await? {
        records.push(record);
    }
    Ok(Shown {
        claims: claims.body,
        tasks: tasks.body.tasks,
        dump: Dump::of(records),
    })
}
