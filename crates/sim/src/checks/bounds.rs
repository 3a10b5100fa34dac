//! I10: queues stay bounded, and a cluster with nothing to do is quiet.

/// Most frames that a node may send in a quiet second, for each peer: gossip, digests, heads.
const QUIET_FRAMES_PER_PEER: u64 = 60;
/// Most ticks in one virtual second.
const TICKS_MAX: u32 = 700;

/// Most batches that a node may write in one virtual second: an action asks for one or two, a head
/// for one, and no disk here takes more than a few hundred.
const BATCHES_MAX: u32 = 250;

/// Most frames that a node may send in one virtual second, for each peer.
const FRAMES_PER_PEER_MAX: usize = 375;

/// Remembers how much was sent while nothing was asked.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    frames: u64,
    since: Option<u64>,
}

impl Bounds {
    /// A frame was sent.
    pub fn sent(&mut self) {
        self.frames += 1;
    }

    /// From now on nothing is asked.
    pub fn quiet_from(&mut self, now: u64) {
        self.since = Some(now);
        self.frames = 0;
    }

    /// Whether what was sent since then is no storm.
    pub fn check(&self, now: u64, nodes: usize) -> Result<(), String> {
        let Some(since) = self.since else {
            return Ok(());
        };
        let seconds = (now - since) / 1_000_000_000 + 1;
        let links = (nodes * nodes.saturating_sub(1)) as u64;
        if self.frames > seconds * links.max(1) * QUIET_FRAMES_PER_PEER {
            return Err(format!("{} frames in {seconds} quiet seconds", self.frames));
        }
        Ok(())
    }

    /// Whether a node wants to be woken more often than makes sense.
    pub fn ticks(host: usize, ticks: u32) -> Result<(), String> {
        if ticks > TICKS_MAX {
            return Err(format!(
                "machine {host} asked for {ticks} ticks in one second"
            ));
        }
        Ok(())
    }

    /// Whether a node writes more than anything that it was asked for can be the reason of.
    pub fn batches(host: usize, batches: u32) -> Result<(), String> {
        if batches > BATCHES_MAX {
            return Err(format!(
                "machine {host} wrote {batches} batches in one second: a storm"
            ));
        }
        Ok(())
    }

    /// Whether a node sends more than anything that it was asked for can be the reason of.
    pub fn frames(host: usize, frames: u32, peers: usize) -> Result<(), String> {
        if frames as usize > FRAMES_PER_PEER_MAX * peers.max(1) {
            return Err(format!(
                "machine {host} sent {frames} frames in one second: a storm"
            ));
        }
        Ok(())
    }

    /// Whether a node says that more requests wait than anybody has sent.
    pub fn waiting(host: usize, said: u64, sent: usize) -> Result<(), String> {
        if said > sent as u64 {
            return Err(format!(
                "machine {host} keeps {said} requests waiting, {sent} are open"
            ));
        }
        Ok(())
    }
}
