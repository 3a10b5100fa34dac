//! Iteration 7: the player needs something that blocks, the maker yields to it, resolves it and goes
//! on; with three nodes the player is cut off while it says so.

use std::time::{Duration, Instant};

use unisono_api::client::Client;
use unisono_api::client::flow::{Flow, Sensed, Yielding};
use unisono_api::client::rounds::Rounds;
use unisono_api::client::rounds::player::{Advise, Idle, Play};
use unisono_api::dto::{
    FlowShown, FlowWord, Interference, InterferenceWord, Interferences, MarkBody, NamedByWord,
    ResolutionWord, SignalKindWord, UrgencyWord,
};
use unisono_model::Digest;

use super::acts::{clear, coherent, find, make, off_script, offer, topics};
use super::{ORCHESTRA, Stage};
use crate::failure::Failure;

/// What the player needs, under the glob that the maker holds.
const NEEDED: &str = "game/balance";
/// What the maker says to it.
const OUTCOME: &str = "Adding debug death key + damage cap";
/// What it makes meanwhile, when it cannot know of the need.
const MEANWHILE: &str = "title-screen";
/// How long views may take to show what was said.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// How long somebody may take who waits for nobody.
const UNHINDERED: Duration = Duration::from_secs(5);
/// In the trace the need is resolved in two minutes.
const RESOLVED_WITHIN_MS: u64 = 120_000;
/// What goes under way before a cut arrives or is lost in this time.
const SETTLE: Duration = Duration::from_millis(300);

/// Plays it.
pub(super) async fn seventh(stage: &mut Stage) -> Result<(), Failure> {
    stage.story.begin(7);
    let (creative, _) = clear(&stage.creative).await?;
    let made = make(stage, "creative", creative, "build-ready", &[]).await?;
    offer(stage, "creative", made, "build-ready").await?;
    let playing = play(stage).await?;
    if stage.has_regions() {
        // What is known on one side only could not be read on the other before the heal.
        for eye in &stage.eyes {
            eye.state(ORCHESTRA).await?;
        }
        stage.story.step("tokyo", "is cut off from the others");
        stage.cluster.cut(2, true).await?;
        tokio::time::sleep(SETTLE).await;
    }
    let need = need(stage).await?;
    if stage.has_regions() {
        beyond_the_cut(stage, need).await?;
        stage.story.step("tokyo", "is back");
        stage.cluster.cut(2, false).await?;
    }
    let yielding = yield_to(stage, need).await?;
    resolve(stage, yielding, need).await?;
    go_on(stage, need).await?;
    advise(stage, playing).await?;
    end(stage).await
}

/// The player sees the build, and plays it: a turn of its own loop.
async fn play(stage: &mut Stage) -> Result<Rounds<Play>, Failure> {
    let idle = Rounds::<Idle>::begin(stage.player.clone(), "waits for a build").await?;
    stage.story.step("player", "senses");
    let (_, seen) = clear(&stage.player).await?;
    let ready = find(&seen, SignalKindWord::Offer, "build-ready");
    stage.story.check(
        "sees OFFER \"build-ready\"",
        ready.is_some_and(|one| one.name == "creative" && one.evidence.is_some()),
        format!("{:?}", topics(&seen)),
    );
    stage.story.step("player", "plays");
    let playing = idle.go::<Play>("plays the build").await?;
    let told = stage.player.client().presence(ORCHESTRA).await?.body;
    let focus = told.presence.iter().find(|one| one.name == "player");
    let focus = focus.map(|one| one.focus.clone()).unwrap_or_default();
    stage
        .story
        .same("its presence says that it plays", focus.as_str(), "play");
    stage.share();
    Ok(playing)
}

/// The player says what keeps it from playing on. Gives the interference that this becomes.
async fn need(stage: &mut Stage) -> Result<Digest, Failure> {
    let words = "emits NEED \"balance broken\" urgency=blocking";
    stage.story.step("player", words);
    let (player, _) = clear(&stage.player).await?;
    let urgency = UrgencyWord::Blocking;
    let said = player.need(NEEDED, urgency, "balance broken").await?;
    let record = said.body.record;
    if !stage.has_regions() {
        stage.share();
    }
    let own = stage.player.client().clone();
    let found = shown(&own, |all| {
        all.iter()
            .find(|one| one.sides.iter().any(|side| side.place.record == record))
            .cloned()
    })
    .await?;
    stage.story.check(
        "an interference: unanswered, blocking, open",
        found.kind == InterferenceWord::Unanswered && found.blocking && found.resolution.is_none(),
        format!("{found:?}"),
    );
    let flow = own.flow(ORCHESTRA, "creative").await?.body;
    stage.story.check(
        "its node says that CREATIVE is to yield, as it holds game/**",
        yields_by_glob(&flow, found.id),
        format!("{flow:?}"),
    );
    Ok(found.id)
}

/// On the other side nobody can know of the need: the maker is not held up, and goes on.
async fn beyond_the_cut(stage: &mut Stage, need: Digest) -> Result<(), Failure> {
    stage.story.step("creative", "senses, beyond the cut");
    let began = Instant::now();
    let (creative, seen) = clear(&stage.creative).await?;
    stage.story.check(
        "nothing that it can know of names it: it works",
        seen.flow.place == FlowWord::Working && seen.flow.yields_to.is_empty(),
        format!("{:?}", seen.flow),
    );
    let made = creative.produced(MarkBody {
        about: MEANWHILE.to_owned(),
        text: format!("made {MEANWHILE}"),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    });
    let made = made.await?;
    let _ = made.offer(MEANWHILE, "").await?;
    stage.story.check(
        "it is not held up by a player who cannot answer",
        began.elapsed() < UNHINDERED,
        format!("{} ms", began.elapsed().as_millis()),
    );
    let cut_off = stage.eyes[2].signals(ORCHESTRA).await?.body.signals;
    let unseen = cut_off.iter().all(|one| one.topic != MEANWHILE);
    stage.story.check(
        "tokyo does not know what is made meanwhile",
        unseen,
        format!("{} signals", cut_off.len()),
    );
    let near: Interferences = stage.eyes[0].interference(ORCHESTRA).await?.body;
    let unknown = near.interferences.iter().all(|one| one.id != need);
    stage.story.check(
        "paris does not know of the need",
        unknown,
        format!("{} open", near.open),
    );
    Ok(())
}

/// The maker senses, and yields: every node names it, and nobody else who has not said it.
async fn yield_to(stage: &mut Stage, need: Digest) -> Result<Flow<Yielding>, Failure> {
    stage.story.step("creative", "senses");
    let end = Instant::now() + SHOWN_WITHIN;
    let yielding = loop {
        let sensed = Flow::of(stage.creative.clone()).sense().await;
        match sensed? {
            Sensed::Blocked(yielding) => break yielding,
            Sensed::Clear(_) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Sensed::Clear(_) | Sensed::Over(_) => {
                return Err(off_script("CREATIVE never learned that it is to yield"));
            }
        }
    };
    let flow = yielding.seen().flow.clone();
    stage.story.check(
        "a blocking need of PLAYER's names it",
        yields_by_glob(&flow, need) && flow.yields_to[0].interference.agents == ["player"],
        format!("{:?}", flow.yields_to),
    );
    stage.story.step("creative", "YIELDS");
    stage.share();
    for index in 0..stage.eyes.len() {
        let region = stage.region(index);
        let eye = stage.eyes[index].clone();
        shown(&eye, |all| all.iter().find(|one| one.id == need).cloned()).await?;
        let flow = eye.flow(ORCHESTRA, "creative").await?.body;
        let what = format!("{region} says that CREATIVE yields to this one need");
        stage
            .story
            .check(&what, yields_by_glob(&flow, need), format!("{flow:?}"));
        let other = eye.flow(ORCHESTRA, "adversarial").await?.body;
        let what = format!("{region} says that ADVERSARIAL does not");
        let free = other.yields_to.is_empty() && other.place != FlowWord::Yielding;
        stage.story.check(&what, free, format!("{other:?}"));
    }
    Ok(yielding)
}

/// The maker resolves it: one outcome and one mark, on every node.
async fn resolve(stage: &mut Stage, yielding: Flow<Yielding>, need: Digest) -> Result<(), Failure> {
    stage
        .story
        .step("creative", format!("resolves: \"{OUTCOME}\""));
    let mark = MarkBody {
        about: NEEDED.to_owned(),
        text: OUTCOME.to_owned(),
        reasoning: "the player cannot go on".to_owned(),
        tags: vec!["resolution".to_owned()],
        evidence: Vec::new(),
    };
    let how = ResolutionWord::Synthesis;
    let _ = yielding.resolve(need, how, OUTCOME, mark).await?;
    stage.share();
    for index in 0..stage.eyes.len() {
        let eye = stage.eyes[index].clone();
        let found = shown(&eye, |all| all.iter().find(|one| one.id == need).cloned()).await?;
        let said = found.resolution.as_ref();
        let what = format!("{} shows the RESOLUTION with its mark", stage.region(index));
        let ok = said.is_some_and(|one| {
            one.name == "creative" && one.outcome == OUTCOME && one.mark.is_some()
        });
        stage.story.check(&what, ok, format!("{said:?}"));
        let flow = eye.flow(ORCHESTRA, "creative").await?.body;
        let what = format!("{} says that CREATIVE works again", stage.region(index));
        stage.story.same(&what, flow.place, FlowWord::Working);
        if let Some(said) = said.filter(|_| index == 0) {
            let (from, to) = (found.sides[0].place.stamp, said.place.stamp);
            let took_ms = to.stamp.as_ms().saturating_sub(from.stamp.as_ms());
            let what = "PLAYER reported blocking, CREATIVE resolved within two minutes";
            let found = format!("{:.1} s", took_ms as f64 / 1_000.0);
            stage
                .story
                .check(what, took_ms <= RESOLVED_WITHIN_MS, found);
        }
    }
    Ok(())
}

/// The maker goes on with its work, which answers the need: the interference ends.
async fn go_on(stage: &mut Stage, need: Digest) -> Result<(), Failure> {
    stage.story.step("creative", "continues to work");
    let (creative, _) = clear(&stage.creative).await?;
    let made = make(stage, "creative", creative, NEEDED, &[]).await?;
    offer(stage, "creative", made, NEEDED).await?;
    for index in 0..stage.eyes.len() {
        let told = stage.eyes[index].interference(ORCHESTRA).await?.body;
        let ended = told.interferences.iter().all(|one| one.id != need);
        let what = format!("the interference has ended on {}", stage.region(index));
        stage
            .story
            .check(&what, ended, format!("{} open", told.open));
    }
    Ok(())
}

/// The player senses what answers it, and says how it is now: the other turns of its loop.
async fn advise(stage: &mut Stage, playing: Rounds<Play>) -> Result<(), Failure> {
    stage.story.step("player", "senses");
    let (_, seen) = clear(&stage.player).await?;
    let answer = find(&seen, SignalKindWord::Offer, NEEDED);
    stage.story.check(
        "sees the OFFER that answers its NEED",
        answer.is_some_and(|one| one.name == "creative"),
        format!("{:?}", topics(&seen)),
    );
    stage.story.step("player", "advises, and is idle");
    let advising = playing.go::<Advise>("says how it is now").await;
    let advising = advising?;
    let idle = advising.go::<Idle>("waits for the next build").await;
    let idle = idle?;
    stage.story.same("its loop is closed", idle.name(), "idle");
    stage.share();
    Ok(())
}

/// At the end all is one again, and equal on every node.
async fn end(stage: &mut Stage) -> Result<(), Failure> {
    stage.story.step("orchestra", "looks for drift");
    coherent(stage, 950).await?;
    // Of one moment that is over for everybody.
    let moment = stage.eyes[0].state(ORCHESTRA).await?.as_of;
    let moment = moment.map(|stamp| stamp.to_string()).unwrap_or_default();
    let mut hashes = Vec::new();
    for eye in &stage.eyes {
        let query = [("as_of", moment.as_str())];
        let told = eye.read::<unisono_api::dto::Hashes>(ORCHESTRA, "hash", &query);
        hashes.push(told.await?.body.views);
    }
    let same = hashes.iter().all(|hash| *hash == hashes[0]);
    stage.story.check(
        "every node shows the same",
        same,
        format!("{hashes:?} as of {moment}"),
    );
    Ok(())
}

fn yields_by_glob(flow: &FlowShown, need: Digest) -> bool {
    let by_glob = flow.yields_to.iter().any(|one| {
        one.interference.id == need
            && one.named_by == NamedByWord::Holds
            && one.own_topic == "game/**"
    });
    flow.place == FlowWord::Yielding && flow.yields_to.len() == 1 && by_glob
}

/// Waits until a node shows an interference.
async fn shown(
    client: &Client,
    wanted: impl Fn(&[Interference]) -> Option<Interference>,
) -> Result<Interference, Failure> {
    let end = Instant::now() + SHOWN_WITHIN;
    loop {
        let told = client.interference(ORCHESTRA).await?.body;
        if let Some(found) = wanted(&told.interferences) {
            return Ok(found);
        }
        if Instant::now() > end {
            return Err(off_script("a node never showed the interference"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
