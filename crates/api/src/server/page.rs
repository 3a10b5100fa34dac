//! Pages of lists: an answer is as long as was asked for, whether the core gives all of it or a page.

use utoipa::IntoParams;

use super::refusal::Refusal;
use super::terms::Terms;
use crate::limits::PAGE_MAX;

/// Terms of a list that can be had page by page.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the query to readers of the OpenAPI document"
)]
pub(crate) struct PageParams {
    /// At most so many, 1 to 1000; 1000 if left out.
    pub(crate) limit: Option<usize>,
    /// The `next_after` of the page before, as of the same moment.
    pub(crate) after: Option<String>,
}

/// Which part of a list was asked for.
#[derive(Debug)]
pub(crate) struct Page {
    limit: usize,
    pub(super) after: Option<String>,
}

impl Page {
    /// What the query says.
    pub(crate) fn of(terms: &mut Terms) -> Result<Self, Refusal> {
        Ok(Self {
            limit: terms.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_MAX),
            after: terms.text("after")?,
        })
    }

    /// How many are looked for: one more than are shown, so that another page shows.
    pub(super) fn looked_for(&self) -> usize {
        self.limit + 1
    }

    /// The page of a list that is in the order of its names, and where there are more, the name of its
    /// last item. What a page continues may have gone.
    pub(crate) fn cut<T>(
        mut self,
        mut items: Vec<T>,
        name: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        if let Some(after) = self.after.take() {
            items.retain(|item| name(item) > after);
        }
        self.first(items, name)
    }

    /// The page of what the core gave from its beginning on, and where there are more, the name of its
    /// last item.
    pub(super) fn first<T>(
        &self,
        mut items: Vec<T>,
        name: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next = items.last().filter(|_| more).map(name);
        (items, next)
    }
}
