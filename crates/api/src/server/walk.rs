//! Every record that a node holds of an orchestra, page by page.

use unisono_core::node::Question;
use unisono_core::orchestra::view::{RecordView, View};
use unisono_model::OrchestraId;

use super::edge::{Edge, Told};
use super::refusal::Refusal;
use super::terms::ReadTerms;
use crate::limits::RECORDS_PAGE;

impl Edge {
    /// Takes each record up to the moment that is asked for; gives what the last answer says of itself.
    pub(crate) async fn each_record(
        &self,
        orchestra: OrchestraId,
        read: &ReadTerms,
        mut take: impl FnMut(RecordView),
    ) -> Result<Told, Refusal> {
        let mut after = None;
        loop {
            let question = Question::Records {
                after,
                limit: RECORDS_PAGE,
                task: None,
            };
            let (told, view) = self.ask(orchestra, question, read.clone()).await?;
            let View::Records(page) = view else {
                return Err(Refusal::mismatch());
            };
            page.records.into_iter().for_each(&mut take);
            if !page.more {
                return Ok(told);
            }
            after = Some(page.next);
        }
    }
}
