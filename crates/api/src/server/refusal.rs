//! Refusals on their way out: from the core's vocabulary, and from the edge's own few rules.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use unisono_model::{Category, Code, Rejection};

use crate::dto::Problem;

/// What a refused request gets.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(Box<Problem>);

impl Refusal {
    /// A refusal by one of the edge's own rules. Nothing changed.
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            kind: format!("urn:unisono:problem:{code}"),
            title: code.replace('_', " "),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            hint: String::new(),
            next: Vec::new(),
            retry_after_ms: None,
            changed: Some(false),
            held_by: None,
            incident: None,
        }))
    }

    /// The request itself is wrong.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        let mut refusal = Self::new(StatusCode::BAD_REQUEST, Code::Malformed.as_str(), detail)
            .hint("the request's shape stands in the OpenAPI document of this node");
        refusal.0.next = vec!["GET /openapi.json".to_owned()];
        refusal
    }

    /// The node or the edge is full.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        let busy = Rejection::new(Code::Busy, detail).hint("wait, then send the same again");
        Self::from(busy.retry_after(crate::limits::RETRY_AFTER_MS))
    }

    /// Somebody asks more often than one may.
    pub(crate) fn too_often(detail: impl Into<String>, wait: Duration) -> Self {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let rejection = Rejection::new(Code::RateLimited, detail)
            .hint("wait as long as it says, then send the same again; docs/security.md has the limits")
            .retry_after(wait_ms);
        Self::from(rejection)
    }

    /// The process is going down.
    pub(crate) fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "this node is stopping",
        )
        .hint("ask another node")
    }

    /// The core answered something else than what was asked: a fault of ours, told as such.
    pub(crate) fn mismatch() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let mut refusal = Self::new(status, "mismatch", "the node answered another question");
        refusal.0.changed = None;
        refusal
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = hint.into();
        self
    }

    pub(crate) fn problem(&self) -> &Problem {
        &self.0
    }

    pub(crate) fn problem_mut(&mut self) -> &mut Problem {
        &mut self.0
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let status = status(rejection.code.category());
        let mut refusal = Self::new(status, rejection.code.as_str(), rejection.detail);
        refusal.0.hint = rejection.hint;
        refusal.0.next = next(rejection.code);
        refusal.0.retry_after_ms = rejection.retry_after_ms;
        refusal.0.incident = rejection.incident;
        // Only here may the asked-for thing have happened all the same.
        refusal.0.changed = (rejection.code != Code::Unknown).then_some(false);
        refusal
    }
}

/// The HTTP status of a refusal.
pub fn status(category: Category) -> StatusCode {
    match category {
        Category::Usage => StatusCode::BAD_REQUEST,
        Category::NotFound => StatusCode::NOT_FOUND,
        Category::Denied => StatusCode::FORBIDDEN,
        Category::Conflict => StatusCode::CONFLICT,
        Category::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Category::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Category::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Category::Verification => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Commands that help whoever was refused by this rule.
fn next(code: Code) -> Vec<String> {
    let commands: &[&str] = match code {
        Code::OrchestraUnknown => &["unisono orchestras"],
        Code::AgentUnknown | Code::NotHeld => &["unisono agent --help"],
        Code::InterferenceUnknown | Code::InterferenceResolved => &["unisono interference"],
        Code::DecisionUnknown | Code::DecisionSuperseded => &["unisono decisions"],
        Code::RemedyUnknown => &["unisono fix --help"],
        Code::TaskUnknown | Code::TaskExists => &["unisono task list"],
        Code::EvidenceMissing => &["unisono mark --help"],
        Code::ClaimUnknown | Code::ClaimExpired => &["unisono claim --help"],
        Code::ClaimHeld | Code::NotHolder => &["unisono sense"],
        Code::FileNotAllowed | Code::PhaseNotActive | Code::PlanMissing | Code::PlanStale => {
            &["unisono plan show"]
        }
        Code::ContentConflict => &["unisono files"],
        Code::IterationWrong => &["unisono iteration"],
        Code::DiskFull | Code::DiskFailed | Code::ClockOff | Code::Behind => &["unisono status"],
        _ => &[],
    };
    commands.iter().map(|&command| command.to_owned()).collect()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let status =
            StatusCode::from_u16(problem.status).expect("made from a status code in this file");
        let body = serde_json::to_vec(&problem).expect("a problem holds only texts and numbers");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(ms) = problem.retry_after_ms {
            headers.insert(header::RETRY_AFTER, ms.div_ceil(1000).max(1).into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.insert(
            HeaderName::from_static("unisono-code"),
            code_value(&problem.code),
        );
        response
    }
}

fn code_value(code: &str) -> HeaderValue {
    HeaderValue::from_str(code).expect("a code is one word of letters")
}
