//! The iterations in which nobody is in anybody's way.

use unisono_api::client::Actor;
use unisono_api::client::chronicle::Chronicle;
use unisono_api::client::compression::sentence;
use unisono_api::client::flow::{Emitting, Flow, Seen, Sensed, Working};
use unisono_api::dto::{
    ActionBody, AdvanceBody, ClaimBody, DecideBody, DecideWord, ImportanceWord, MarkBody,
    PhaseWord, SettingWord, SettingsBody, SeverityWord, Signal, SignalBody, SignalKindWord,
    UrgencyWord,
};
use unisono_model::{Code, Digest};

use super::{ORCHESTRA, PATIENCE_MS, Stage};
use crate::failure::{Exit, Failure};

/// What is made in the iterations between, and by whom it is looked at.
const PIECES: [(u32, &str); 4] = [
    (3, "enemy-waves"),
    (4, "upgrade-tree"),
    (5, "sound-design"),
    (6, "particle-effects"),
];

/// Design: two intents, two offers with marks, two decisions.
pub(super) async fn first(stage: &mut Stage) -> Result<(), Failure> {
    stage.story.begin(1);
    rules(stage).await?;
    let (creative, seen) = clear(&stage.creative).await?;
    stage.story.step("creative", "senses");
    let none = seen.signals.is_empty();
    let shown = format!("{} signals", seen.signals.len());
    stage.story.check("no signals", none, shown);
    stage
        .story
        .step("creative", "emits INTENT \"Mood board and architecture\"");
    let text = "Mood board and architecture";
    creative.intend("mood-board", text).await?;
    unproven(stage).await?;
    let made = make(stage, "creative", creative, "mood-board", &[]).await?;
    offer(stage, "creative", made, "mood-board").await?;

    let (adversarial, seen) = clear(&stage.adversarial).await?;
    stage.story.step("adversarial", "senses");
    let intent = find(&seen, SignalKindWord::Intent, "mood-board");
    stage.story.check(
        "sees CREATIVE's INTENT",
        intent.is_some_and(|one| one.name == "creative"),
        format!("{:?}", topics(&seen)),
    );
    stage.story.step(
        "adversarial",
        "emits INTENT \"Analyzing architecture options\"",
    );
    let text = "Analyzing architecture options";
    adversarial.intend("spec-analysis", text).await?;
    let made = make(stage, "adversarial", adversarial, "spec-analysis", &[]).await?;
    offer(stage, "adversarial", made, "spec-analysis").await?;
    stage.story.step("orchestra", "looks for drift");
    coherent(stage, 950).await?;
    decide(stage).await?;
    advance(stage, "adversarial", 1).await?;
    remembered(stage).await
}

/// What is over is compressed, the same on every node: what was made, what was decided.
async fn remembered(stage: &mut Stage) -> Result<(), Failure> {
    for index in 0..stage.eyes.len() {
        let chronicle = Chronicle::read(&stage.eyes[index], ORCHESTRA, None).await?;
        let told = sentence(&chronicle.chapter(1));
        let what = format!("history of iteration 1 on {}", stage.region(index));
        let wanted = "made mood-board, spec-analysis; decisions: DD-1, DD-2";
        stage.story.same(&what, told.as_str(), wanted);
    }
    Ok(())
}

/// What is agreed before anything begins: how long a need may wait, and whose the game is.
async fn rules(stage: &mut Stage) -> Result<(), Failure> {
    stage.story.step("orchestra", "begins");
    let settings = [(SettingWord::NeedPatienceMs, PATIENCE_MS)];
    let body = SettingsBody {
        settings: settings.into(),
    };
    stage.creative.act(ActionBody::Settings(body)).await?;
    stage.share();
    for index in 0..stage.eyes.len() {
        let state = stage.eyes[index].state(ORCHESTRA).await?.body;
        let found = (state.iteration, state.phase);
        let what = format!("iteration 1, phase DESIGN on {}", stage.region(index));
        stage.story.same(&what, found, (1, PhaseWord::Design));
    }
    coherent(stage, 1_000).await
}

/// Execution: what the one offered goes into what the other makes.
pub(super) async fn second(stage: &mut Stage) -> Result<(), Failure> {
    stage.story.begin(2);
    let (creative, _) = clear(&stage.creative).await?;
    // An OFFER ends with its iteration; the history keeps it, with the mark that proves it.
    stage
        .story
        .step("creative", "senses, and reads the history");
    let chronicle = Chronicle::read(stage.creative.client(), ORCHESTRA, None).await?;
    let before = chronicle.chapter(1).artifacts;
    let offered = before.iter().find(|one| one.name == "spec-analysis");
    let analysis = offered.and_then(|one| one.mark);
    stage.story.check(
        "sees ADVERSARIAL's OFFER \"spec-analysis\" with its mark",
        offered.is_some_and(|one| one.by == "adversarial") && analysis.is_some(),
        format!("{offered:?}"),
    );
    stage.story.step("creative", "takes the game as its own");
    let body = ClaimBody {
        topic: "game/**".to_owned(),
        lease_ms: None,
    };
    let told = stage.creative.act(ActionBody::Claim(body)).await?.body;
    let holder = told.claim.map(|claim| claim.holder);
    stage
        .story
        .same("holds game/**", holder.as_deref(), Some("creative"));
    let insight: Vec<Digest> = analysis.into_iter().collect();
    let topic = "component-interfaces";
    let made = make(stage, "creative", creative, topic, &insight).await?;
    offer(stage, "creative", made, topic).await?;
    advance(stage, "creative", 2).await
}

/// The iterations that the trace passes over: one makes, the other looks at it, one ends it.
pub(super) async fn until_the_seventh(stage: &mut Stage) -> Result<(), Failure> {
    for (iteration, piece) in PIECES {
        stage.story.begin(iteration);
        let (creative, _) = clear(&stage.creative).await?;
        let made = make(stage, "creative", creative, piece, &[]).await?;
        offer(stage, "creative", made, piece).await?;
        let (adversarial, seen) = clear(&stage.adversarial).await?;
        stage
            .story
            .step("adversarial", format!("senses, and reviews {piece}"));
        let mark = find(&seen, SignalKindWord::Offer, piece).and_then(|one| one.evidence);
        stage.story.check(
            "sees the OFFER",
            mark.is_some(),
            format!("{:?}", topics(&seen)),
        );
        let review = MarkBody {
            about: piece.to_owned(),
            text: format!("reviewed {piece}: holds against the analysis"),
            reasoning: "DD-2 asks for it".to_owned(),
            tags: vec!["review".to_owned()],
            evidence: mark.into_iter().collect(),
        };
        let _ = adversarial.produced(review).await?.keep();
        stage.share();
        let by = if iteration % 2 == 0 {
            "creative"
        } else {
            "adversarial"
        };
        advance(stage, by, iteration).await?;
    }
    Ok(())
}

/// Somebody senses, and nothing that blocks names it.
pub(super) async fn clear(actor: &Actor) -> Result<(Flow<Working>, Seen), Failure> {
    match Flow::of(actor.clone()).sense().await? {
        Sensed::Clear(working) => {
            let seen = working.seen().clone();
            Ok((working, seen))
        }
        Sensed::Blocked(yielding) => Err(off_script(&format!(
            "{} yields to {:?}",
            actor.name(),
            yielding.yields_to()
        ))),
        Sensed::Over(_) => Err(off_script("the run is over")),
    }
}

/// The run cannot go on as it is written.
pub(super) fn off_script(words: &str) -> Failure {
    Failure::new(Exit::Failed, "demo_failed", words.to_owned())
}

/// Somebody makes something, which leaves a mark.
pub(super) async fn make(
    stage: &mut Stage,
    who: &'static str,
    working: Flow<Working>,
    what: &str,
    evidence: &[Digest],
) -> Result<Flow<Emitting>, Failure> {
    stage.story.step(who, format!("works: {what}"));
    let mark = MarkBody {
        about: what.to_owned(),
        text: format!("made {what}"),
        reasoning: String::new(),
        tags: vec!["orchestra".to_owned()],
        evidence: evidence.to_vec(),
    };
    let made = working.produced(mark).await?;
    let marks = made.actor().client().marks(ORCHESTRA).await?.body.marks;
    let mark = marks.iter().find(|one| one.place.record == made.mark());
    stage.story.check(
        "a mark proves it",
        mark.is_some_and(|one| one.name == who),
        made.mark().to_string(),
    );
    Ok(made)
}

/// Somebody offers what it made: everybody sees that, with the mark.
pub(super) async fn offer(
    stage: &mut Stage,
    who: &'static str,
    made: Flow<Emitting>,
    topic: &str,
) -> Result<(), Failure> {
    let mark = made.mark();
    stage.story.step(who, format!("emits OFFER \"{topic}\""));
    let _ = made.offer(topic, "").await?;
    stage.share();
    for index in 0..stage.eyes.len() {
        let signals = stage.eyes[index].signals(ORCHESTRA).await?.body.signals;
        let seen = signals
            .iter()
            .find(|one| one.kind == SignalKindWord::Offer && one.topic == topic);
        let what = format!("{} shows the OFFER with its mark", stage.region(index));
        let evidence = seen.and_then(|one| one.evidence);
        stage.story.same(&what, evidence, Some(mark));
    }
    Ok(())
}

/// An OFFER that nothing proves is refused, and nothing changes.
async fn unproven(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .story
        .step("creative", "tries to offer what it has not made");
    let body = SignalBody {
        kind: SignalKindWord::Offer,
        topic: "mood-board".to_owned(),
        urgency: UrgencyWord::Normal,
        text: String::new(),
        lifetime_ms: None,
        evidence: None,
        to_orchestra: None,
        from_orchestra: None,
    };
    let told = stage.creative.act(ActionBody::Emit(body)).await;
    let refused = told
        .as_ref()
        .is_err_and(|error| error.is_code(Code::EvidenceMissing));
    stage.story.check(
        "an OFFER without a mark is refused",
        refused,
        format!("{:?}", told.err()),
    );
    Ok(())
}

/// Two decisions that bind.
async fn decide(stage: &mut Stage) -> Result<(), Failure> {
    stage.story.step("creative", "decides DD-1 and DD-2");
    let decisions = [
        ("DD-1", "one screen, no menus", ImportanceWord::High),
        (
            "DD-2",
            "every piece is held against the analysis",
            ImportanceWord::Normal,
        ),
    ];
    for (topic, text, importance) in decisions {
        let body = DecideBody {
            kind: DecideWord::Decision,
            topic: topic.to_owned(),
            question: String::new(),
            text: text.to_owned(),
            reason: "the mood board and the analysis agree".to_owned(),
            importance,
            confidence_permille: 1_000,
            rejected: Vec::new(),
            supersedes: Vec::new(),
        };
        stage.creative.act(ActionBody::Decide(body)).await?;
    }
    stage.share();
    for index in 0..stage.eyes.len() {
        let told = stage.eyes[index].decisions(ORCHESTRA).await?.body.decisions;
        let mut bind: Vec<&str> = told
            .iter()
            .filter(|one| one.stands && one.iteration == 1)
            .map(|one| one.topic.as_str())
            .collect();
        bind.sort_unstable();
        let what = format!("DD-1 and DD-2 bind on {}", stage.region(index));
        stage.story.same(&what, bind, vec!["DD-1", "DD-2"]);
    }
    Ok(())
}

/// Somebody ends the iteration; all nodes are in the next one.
async fn advance(stage: &mut Stage, by: &'static str, from: u32) -> Result<(), Failure> {
    stage.story.step(by, format!("ends iteration {from}"));
    let actor = if by == "creative" {
        &stage.creative
    } else {
        &stage.adversarial
    };
    let body = AdvanceBody { from };
    actor.act(ActionBody::Advance(body)).await?;
    stage.share();
    for index in 0..stage.eyes.len() {
        let told = stage.eyes[index].iteration(ORCHESTRA).await?.body;
        let what = format!("iteration {} on {}", from + 1, stage.region(index));
        let found = (told.iteration, told.phase);
        stage
            .story
            .same(&what, found, (from + 1, PhaseWord::Execution));
    }
    Ok(())
}

/// No drift that counts, and so coherent at least (‰), on every node.
pub(super) async fn coherent(stage: &mut Stage, least: u64) -> Result<(), Failure> {
    for index in 0..stage.eyes.len() {
        let told = stage.eyes[index].coherence(ORCHESTRA).await?.body;
        let drift: Vec<String> = told
            .drift
            .iter()
            .filter(|one| one.severity != SeverityWord::Info)
            .map(|one| {
                format!(
                    "{:?} of {}: {}",
                    one.kind,
                    one.agents.join(", "),
                    one.evidence
                )
            })
            .collect();
        let region = stage.region(index);
        let none = drift.is_empty();
        let what = format!("no drift on {region}");
        stage.story.check(&what, none, drift.join("; "));
        let what = format!(
            "coherence at least {:.2} on {region}",
            least as f64 / 1_000.0
        );
        let found = format!("{:.3}", told.coherence);
        stage.story.check(&what, told.score >= least, found);
    }
    Ok(())
}

pub(super) fn find<'a>(seen: &'a Seen, kind: SignalKindWord, topic: &str) -> Option<&'a Signal> {
    let mut signals = seen.signals.iter();
    signals.find(|one| one.kind == kind && one.topic == topic)
}

pub(super) fn topics(seen: &Seen) -> Vec<&str> {
    seen.signals.iter().map(|one| one.topic.as_str()).collect()
}

impl Stage {
    pub(super) fn region(&self, index: usize) -> &'static str {
        self.cluster.nodes[index].region
    }
}
