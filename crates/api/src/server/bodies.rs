//! How much of the memory the bodies of all requests take together, from their first bytes until they
//! are answered: before that nobody knows who sends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::{BODIES_BYTES_MAX, BODY_BYTES_FREE};

/// What is left of it for all.
#[derive(Clone, Debug)]
pub(crate) struct Bodies(Arc<AtomicUsize>);

/// What the body of one request takes of it; given back with the last copy.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    left: Arc<AtomicUsize>,
    bytes: AtomicUsize,
}

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(BODIES_BYTES_MAX)))
    }
}

impl Bodies {
    /// For one more request, of which nothing has come yet.
    pub(crate) fn share(&self) -> Share {
        Share(Arc::new(Taken {
            left: Arc::clone(&self.0),
            bytes: AtomicUsize::new(0),
        }))
    }
}

impl Share {
    /// Whether there is room for so many bytes of this body in all. Its first ones are free, so that
    /// whoever fills the room with files keeps nobody from anything else.
    pub(crate) fn holds(&self, bytes: usize) -> bool {
        let Taken { left, bytes: taken } = &*self.0;
        let wanted = bytes.saturating_sub(BODY_BYTES_FREE);
        let more = wanted.saturating_sub(taken.load(Ordering::Relaxed));
        let took = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(more)
        });
        if took.is_ok() {
            taken.fetch_add(more, Ordering::Relaxed);
        }
        took.is_ok()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.left
            .fetch_add(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bodies_hold_together_is_bounded_and_comes_back() {
        let bodies = Bodies::default();
        let (one, other) = (bodies.share(), bodies.share());
        assert!(one.holds(BODY_BYTES_FREE) && one.holds(BODIES_BYTES_MAX));
        assert!(
            other.holds(2 * BODY_BYTES_FREE),
            "the free part of the first"
        );
        assert!(!other.holds(2 * BODY_BYTES_FREE + 1));
        assert!(other.holds(2 * BODY_BYTES_FREE), "what it has, it has");
        let copy = one.clone();
        drop(one);
        assert!(!bodies.share().holds(BODY_BYTES_FREE + 1));
        drop((copy, other));
        assert!(bodies.share().holds(BODIES_BYTES_MAX + BODY_BYTES_FREE));
        assert!(!bodies.share().holds(BODIES_BYTES_MAX + BODY_BYTES_FREE + 1));
    }
}
