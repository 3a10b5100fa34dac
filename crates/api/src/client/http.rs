//! One request to one node: sent or not sent, answered or not answered.

#[cfg(feature = "https")]
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
#[cfg(feature = "https")]
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::error::ClientError;
use crate::limits::ANSWER_BYTES_MAX;

/// Connections to nodes, kept open.
#[derive(Clone, Debug)]
pub(crate) struct Http<C = HttpConnector> {
    pool: Pool<C, Full<Bytes>>,
    token: Option<HeaderValue>,
}

/// What is asked, of whichever node.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) method: Method,
    /// Path and query, both encoded.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) within: Duration,
}

impl Wanted {
    pub(crate) fn new(
        method: Method,
        path: String,
        body: Option<(&'static str, Bytes)>,
        within: Duration,
    ) -> Self {
        Self {
            method,
            path,
            headers: HeaderMap::new(),
            body,
            within,
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why nothing came back.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The connection did not come about: nothing can have happened.
    NotSent(String),
    /// It may have happened.
    Unanswered(String),
}

fn connector(within: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(within));
    connector
}

fn pool<C: Connect + Clone>(connector: C) -> Pool<C, Full<Bytes>> {
    let mut pool = Pool::builder(TokioExecutor::new());
    pool.pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(20));
    pool.build(connector)
}

impl Http {
    pub(crate) fn new(token: Option<&str>, connect_within: Duration) -> Result<Self, ClientError> {
        let bearer = |token: &str| -> Result<HeaderValue, ClientError> {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| ClientError::Usage("the token is not one word".to_owned()))?;
            value.set_sensitive(true);
            Ok(value)
        };
        Ok(Self {
            pool: pool(connector(connect_within)),
            token: token.map(bearer).transpose()?,
        })
    }
}

#[cfg(feature = "https")]
impl Http<HttpsConnector<HttpConnector>> {
    /// Over TLS, to whomever the machine's store of authorities believes (`SSL_CERT_FILE` names
    /// another one).
    fn sealed(connect_within: Duration) -> io::Result<Self> {
        let mut tcp = connector(connect_within);
        tcp.enforce_http(false);
        let provider = rustls::crypto::ring::default_provider();
        let sealed = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)?
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            pool: pool(sealed),
            token: None,
        })
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> Http<C> {
    /// Asks one node, and reads the whole answer.
    pub(crate) async fn send(&self, base: &str, wanted: &Wanted) -> Result<Got, Failure> {
        let exchange = async {
            let response = self.open(base, wanted).await?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body
                .map_err(|error| Failure::Unanswered(error.to_string()))?
                .to_bytes();
            Ok(Got {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        match tokio::time::timeout(wanted.within, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Unanswered(format!(
                "{base} did not answer in time"
            ))),
        }
    }

    /// Asks one node, and leaves the answer's body to be read.
    pub(crate) async fn open(
        &self,
        base: &str,
        wanted: &Wanted,
    ) -> Result<Response<Incoming>, Failure> {
        let body = wanted
            .body
            .as_ref()
            .map(|(_, bytes)| bytes.clone())
            .unwrap_or_default();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = wanted.method.clone();
        *request.uri_mut() = format!("{base}{}", wanted.path)
            .parse()
            .map_err(|error| Failure::NotSent(format!("{base}: {error}")))?;
        *request.headers_mut() = wanted.headers.clone();
        if let Some((media_type, _)) = wanted.body {
            request
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        self.pool.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let words = format!("{base}: {}", cause.unwrap_or_else(|| error.to_string()));
            if error.is_connect() {
                Failure::NotSent(words)
            } else {
                Failure::Unanswered(words)
            }
        })
    }
}

/// Posts JSON once to any program, and says with which status it answered; its words are not read.
///
/// # Errors
/// Why there is no answer. The address is not in it: it may be a secret.
pub async fn post_json(url: &str, body: Vec<u8>, within: Duration) -> Result<u16, String> {
    let wanted = Wanted::new(
        Method::POST,
        String::new(),
        Some(("application/json", body.into())),
        within,
    );
    #[cfg(feature = "https")]
    if url.starts_with("https://") {
        let http = Http::sealed(within).map_err(|error| error.to_string())?;
        return post(&http, url, &wanted).await;
    }
    let http = Http::new(None, within).map_err(|error| error.to_string())?;
    post(&http, url, &wanted).await
}

async fn post<C>(http: &Http<C>, url: &str, wanted: &Wanted) -> Result<u16, String>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let without = |words: String| match words.strip_prefix(&format!("{url}: ")) {
        Some(words) => words.to_owned(),
        None => words,
    };
    match tokio::time::timeout(wanted.within, http.open(url, wanted)).await {
        Ok(Ok(response)) => Ok(response.status().as_u16()),
        Ok(Err(Failure::NotSent(words) | Failure::Unanswered(words))) => Err(without(words)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// One segment of a path, or one value of a query, percent-encoded (RFC 3986, unreserved only).
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).expect("four bits");
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_with_slashes_stay_one_segment() {
        assert_eq!(
            super::encoded("src/auth/** ü?"),
            "src%2Fauth%2F%2A%2A%20%C3%BC%3F"
        );
    }
}
