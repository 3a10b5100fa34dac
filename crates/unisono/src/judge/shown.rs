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
    let claims = client.read::<Claims>(orchestra, "claims", &as_of).await?;
    let mut tasks: Vec<Task> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = as_of.to_vec();
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = client.read::<Tasks>(orchestra, "tasks", &query).await?.body;
        tasks.extend(page.tasks);
        after = page.next_after;
        if after.is_none() {
            break;
        }
    }
    let mut dump = client.dump(orchestra, None).await?;
    let mut records: Vec<RecordEvent> = Vec::new();
    while let Some(record) = dump.next().await? {
        records.push(record);
    }
    Ok(Shown {
        claims: claims.body,
        tasks,
        dump: Dump::of(records),
    })
}
