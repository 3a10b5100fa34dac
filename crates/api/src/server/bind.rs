//! Where the edge listens, and who may speak to it there.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use unisono_model::Digest;

use crate::limits::{TOKEN_BYTES_MAX, TOKEN_BYTES_MIN};

/// A secret that every request must bear. Only its digest is kept.
#[derive(Clone, Eq, PartialEq)]
pub struct BearerToken {
    digest: Digest,
}

/// Why the edge does not listen. Nothing was opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Reachable from elsewhere, and open to everybody.
    #[error(
        "{0} is reachable from other machines, and no bearer token is configured: name a token \
         file (--http-token-file), or listen on 127.0.0.1"
    )]
    TokenNeeded(SocketAddr),
    /// The system refused.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Why a token file is none.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("the token file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Its content cannot be a token.
    #[error("a token is one word of {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} visible characters")]
    Unusable,
}

impl BearerToken {
    /// From the word itself.
    pub fn new(word: &str) -> Result<Self, TokenError> {
        let fits = (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&word.len());
        if !fits || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unusable);
        }
        Ok(Self {
            digest: digest(word.as_bytes()),
        })
    }

    /// From a file that holds the word, with or without a line end.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        Self::new(std::fs::read_to_string(path)?.trim())
    }

    /// Whether `word` is the token. The time that it takes depends on neither: digests are
    /// compared, all of their bytes.
    pub fn admits(&self, word: &[u8]) -> bool {
        let offered = digest(word);
        let mut difference = 0;
        for (ours, theirs) in self.digest.0.iter().zip(offered.0) {
            difference |= ours ^ theirs;
        }
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

fn digest(word: &[u8]) -> Digest {
    Digest::of("unisono/http-token/v1", &[word])
}

/// Listens. Beyond loopback only with a token.
pub async fn bind(
    address: SocketAddr,
    token: Option<&BearerToken>,
) -> Result<TcpListener, BindError> {
    if !address.ip().to_canonical().is_loopback() && token.is_none() {
        return Err(BindError::TokenNeeded(address));
    }
    let refused = |source| BindError::Refused { address, source };
    TcpListener::bind(address).await.map_err(refused)
}
