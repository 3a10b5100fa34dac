//! Hostile changes against a living document: honest ones are falsified, field by field and byte by
//! byte. Whatever comes, nothing panics, a refused change leaves no trace, an accepted one is
//! accepted by every replica with the same result, and the document still saves and loads.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Once, OnceLock};

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue};
use proptest::prelude::*;
use unisono_document::{Actor, Edit, LivingDocument, Refusal, limits};

use crate::living::edits;
use crate::world::{Dice, living, node};

/// Panics inside Automerge's decoder are expected here and caught; their traces would only cost
/// time.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let inside = info
                .location()
                .is_some_and(|place| !place.file().contains("tests/it"));
            if !inside {
                usual(info);
            }
        }));
    });
}

/// What the falsifier starts from: a document, one honest change that follows, and a second
/// document that holds all else that happened meanwhile.
struct Scene {
    narrow: Vec<u8>,
    narrow_heads: Vec<unisono_model::Digest>,
    wide: Vec<u8>,
    wide_heads: Vec<unisono_model::Digest>,
    actor: Actor,
    honest: Edit,
    /// All changes of the story, to take fields from.
    known: Vec<ExpandedChange>,
}

fn set(seed: u64) -> Scene {
    let (made, _) = edits(50, seed + 1);
    let at = 30 + usize::try_from(seed % 15).unwrap();
    let (actor, honest) = made[at].clone();
    let mut narrow = LivingDocument::new(living());
    for (writer, edit) in &made[..at] {
        narrow.apply_remote(writer, &edit.bytes).unwrap();
    }
    let mut wide =
        LivingDocument::load(living(), &narrow.save().unwrap(), &narrow.heads()).unwrap();
    for (writer, edit) in made
        .iter()
        .skip(at + 1)
        .filter(|(writer, _)| *writer != actor)
    {
        wide.apply_remote(writer, &edit.bytes).unwrap();
    }
    Scene {
        narrow: narrow.save().unwrap(),
        narrow_heads: narrow.heads(),
        wide: wide.save().unwrap(),
        wide_heads: wide.heads(),
        actor,
        honest,
        known: made.iter().map(|(_, edit)| decode(&edit.bytes)).collect(),
    }
}

/// The scene of this seed, 0 to 23, made once.
fn scene(seed: usize) -> &'static Scene {
    static SCENES: OnceLock<Vec<Scene>> = OnceLock::new();
    &SCENES.get_or_init(|| (0..24).map(set).collect())[seed]
}

impl Scene {
    fn narrow(&self) -> LivingDocument {
        LivingDocument::load(living(), &self.narrow, &self.narrow_heads).unwrap()
    }

    fn wide(&self) -> LivingDocument {
        LivingDocument::load(living(), &self.wide, &self.wide_heads).unwrap()
    }
}

/// Two documents that take the same blows.
struct Target<'a> {
    scene: &'a Scene,
    narrow: LivingDocument,
    wide: LivingDocument,
    refused: usize,
    accepted: usize,
}

impl<'a> Target<'a> {
    fn new(scene: &'a Scene) -> Self {
        let (narrow, wide) = (scene.narrow(), scene.wide());
        Self {
            scene,
            narrow,
            wide,
            refused: 0,
            accepted: 0,
        }
    }

    fn strike(&mut self, bytes: &[u8]) {
        let outcome = self.narrow.apply_remote(&self.scene.actor, bytes).unwrap();
        let elsewhere = self.wide.apply_remote(&self.scene.actor, bytes).unwrap();
        if outcome.applied.is_empty() {
            assert_eq!(self.narrow.heads(), self.scene.narrow_heads);
        }
        if elsewhere.applied.is_empty() {
            assert_eq!(self.wide.heads(), self.scene.wide_heads);
        }
        // What the smaller document can judge, the larger judges alike.
        if outcome.held + outcome.duplicates == 0 {
            assert_eq!(
                outcome.applied, elsewhere.applied,
                "{outcome:?} {elsewhere:?}"
            );
        }
        if outcome.applied.is_empty() && elsewhere.applied.is_empty() {
            self.refused += 1;
            return;
        }
        self.accepted += 1;
        sound(&self.narrow);
        sound(&self.wide);
        self.narrow = self.scene.narrow();
        self.wide = self.scene.wide();
    }

    fn finish(self) -> (usize, usize) {
        sound(&self.narrow);
        sound(&self.wide);
        assert!(self.narrow.held().0 <= limits::HELD_PER_ACTOR_MAX);
        (self.refused, self.accepted)
    }
}

fn sound(document: &LivingDocument) {
    let saved = document.save().unwrap();
    let loaded = LivingDocument::load(living(), &saved, &document.heads()).unwrap();
    assert_eq!(loaded.config().unwrap(), document.config().unwrap());
    assert_eq!(loaded.notes(), document.notes());
    for name in loaded.notes() {
        assert_eq!(loaded.note(&name).unwrap(), document.note(&name).unwrap());
    }
}

fn decode(bytes: &[u8]) -> ExpandedChange {
    Change::from_bytes(bytes.to_vec()).unwrap().decode()
}

/// The raw bytes of a change with a right checksum; `None` if Automerge cannot write it.
fn encode(change: ExpandedChange) -> Option<Vec<u8>> {
    let change = catch_unwind(AssertUnwindSafe(|| Change::from(change))).ok()?;
    Some(change.raw_bytes().to_vec())
}

fn verdict(scene: &Scene, change: impl FnOnce(&mut ExpandedChange)) -> Option<Refusal> {
    let mut expanded = decode(&scene.honest.bytes);
    change(&mut expanded);
    let bytes = encode(expanded).unwrap();
    let mut document = scene.narrow();
    let outcome = document.apply_remote(&scene.actor, &bytes).unwrap();
    assert_eq!(
        document.heads() == scene.narrow_heads,
        outcome.applied.is_empty()
    );
    sound(&document);
    outcome.refused.first().map(|refused| refused.2)
}

fn put(path: &str, value: ScalarValue) -> Op {
    Op {
        action: OpType::Put(value),
        obj: ObjectId::Id(OpId(1, ActorId::from([0u8; 16]))),
        key: Key::Map(path.into()),
        pred: Vec::new().into(),
        insert: false,
    }
}

#[test]
fn each_falsified_field_is_refused_for_what_it_is() {
    hush();
    let scene = scene(5);
    assert_eq!(verdict(scene, |_| ()), None);
    let expected = Some(Refusal::StartOp {
        expected: decode(&scene.honest.bytes).start_op.get(),
    });
    assert_eq!(verdict(scene, |c| c.start_op = NonZeroU64::MIN), expected);
    let high = NonZeroU64::new(u64::from(u32::MAX) - 1).unwrap();
    assert_eq!(
        verdict(scene, |c| c.start_op = high),
        Some(Refusal::TooLarge("counter"))
    );
    let high = NonZeroU64::new(limits::COUNTER_MAX - 1).unwrap();
    assert_eq!(verdict(scene, |c| c.start_op = high), expected);
    assert_eq!(
        verdict(scene, |c| c.seq = 0),
        Some(Refusal::TooLarge("counter"))
    );
    let gap = verdict(scene, |c| c.seq += 1);
    assert!(matches!(gap, Some(Refusal::Sequence { .. })), "{gap:?}");
    assert_eq!(verdict(scene, |c| c.seq = 1), Some(Refusal::Forked));
    let other = node(&living(), 9);
    assert_eq!(
        verdict(scene, |c| c.actor_id = ActorId::from(other.0)),
        Some(Refusal::Actor)
    );
    assert_eq!(
        verdict(scene, |c| c.time = 1),
        Some(Refusal::Encoding("time"))
    );
    let extra = verdict(scene, |c| c.extra_bytes = vec![1]);
    assert_eq!(extra, Some(Refusal::Encoding("extra bytes")));
    let message = verdict(scene, |c| {
        c.message = Some("nothing of that name".to_owned());
    });
    assert_eq!(message, Some(Refusal::Dependencies));
    assert_eq!(
        verdict(scene, |c| c.deps = vec![]),
        Some(Refusal::Dependencies)
    );
    assert_eq!(
        verdict(scene, |c| c.deps.push(c.deps[0])),
        Some(Refusal::Dependencies)
    );
    assert_eq!(
        verdict(scene, |c| c.operations.clear()),
        Some(Refusal::Empty)
    );
    let operation = |op: Op| verdict(scene, |c| c.operations.push(op));
    assert_eq!(operation(put("new", ScalarValue::Int(1))), None);
    let bad_values = [
        ScalarValue::Null,
        ScalarValue::Uint(1),
        ScalarValue::counter(1),
        ScalarValue::Timestamp(1),
        ScalarValue::Unknown {
            type_code: 12,
            bytes: vec![1],
        },
    ];
    for value in bad_values {
        assert_eq!(operation(put("new", value)), Some(Refusal::Shape("value")));
    }
    let nan = operation(put("new", ScalarValue::F64(f64::NAN)));
    assert!(
        matches!(nan, Some(Refusal::Shape(_) | Refusal::Encoding(_))),
        "{nan:?}"
    );
    for path in ["", "/", "a//b", "a\u{0}", &"a/".repeat(100)] {
        assert_eq!(
            operation(put(path, ScalarValue::Int(1))),
            Some(Refusal::Shape("path"))
        );
    }
    let root = Op {
        obj: ObjectId::Root,
        ..put("new", ScalarValue::Int(1))
    };
    assert_eq!(
        operation(root),
        Some(Refusal::Shape("operation in the root"))
    );
    for action in [
        OpType::Make(ObjType::Map),
        OpType::Make(ObjType::Text),
        OpType::Increment(1),
    ] {
        let made = Op {
            action,
            ..put("new", ScalarValue::Int(1))
        };
        assert_eq!(operation(made), Some(Refusal::Shape("action")));
    }
    let notes = Op {
        obj: ObjectId::Id(OpId(2, ActorId::from([0u8; 16]))),
        ..put("new", ScalarValue::Int(1))
    };
    assert!(matches!(operation(notes), Some(Refusal::Shape(_))));
}

#[test]
fn bytes_that_are_no_plain_change_are_refused_before_they_are_parsed() {
    hush();
    let scene = scene(6);
    let mut target = Target::new(scene);
    let honest = &scene.honest.bytes;
    for end in 0..honest.len() {
        target.strike(&honest[..end]);
    }
    for at in 0..honest.len() {
        for bit in 0..8 {
            let mut flipped = honest.clone();
            flipped[at] ^= 1 << bit;
            target.strike(&flipped);
        }
    }
    // Two changes at once, something behind, another chunk, a compressed chunk, a whole document.
    target.strike(&[honest.as_slice(), honest].concat());
    target.strike(&[honest.as_slice(), &[0]].concat());
    for chunk in [0, 2, 3, 4, 255] {
        let mut other = honest.clone();
        other[8] = chunk;
        target.strike(&other);
    }
    target.strike(&scene.narrow[56..]);
    target.strike(&vec![0; limits::LIVING_CHANGE_BYTES_MAX + 1]);
    let mut long = decode(honest);
    let paste = ScalarValue::Str("x".repeat(4000).into());
    long.operations = vec![put("new", paste)];
    let mut change = Change::from(long);
    let deflated = change.bytes().into_owned();
    assert_eq!(deflated[8], 2, "a compressed change");
    target.strike(&deflated);
    assert_eq!(target.finish().1, 0);
}

/// A change that claims more operations than its bytes could hold.
#[test]
fn run_length_bombs_are_refused_unopened() {
    let actor = node(&living(), 1);
    let mut document = LivingDocument::new(living());
    let heads = document.heads();
    for count in [20_000u64, 1 << 31, 1 << 40, 1 << 62] {
        for bomb in bombs(&actor, &heads[0].0, count) {
            let outcome = document.apply_remote(&actor, &bomb).unwrap();
            assert_eq!(outcome.refused.len(), 1);
            assert_eq!(document.heads(), heads);
        }
    }
    sound(&document);
}

/// Hand-made changes whose columns repeat one value `count` times, each column on its own.
fn bombs(actor: &Actor, dependency: &[u8; 32], count: u64) -> Vec<Vec<u8>> {
    let run = |value: u8| {
        let mut data = leb(count);
        data.push(value);
        data
    };
    let nulls = || [vec![0], leb(count)].concat();
    let columns: Vec<Vec<(u8, Vec<u8>)>> = vec![
        vec![(0x42, run(1))],
        vec![(0x42, run(3))],
        vec![(0x01, run(0)), (0x02, run(1)), (0x42, run(1))],
        vec![(0x01, nulls()), (0x42, vec![1, 1])],
        vec![(0x34, leb(count)), (0x42, vec![1, 1])],
        vec![(0x42, vec![1, 1]), (0x56, run(0))],
        vec![
            (0x42, vec![1, 1]),
            (0x56, [vec![1], leb(count << 4)].concat()),
        ],
        vec![(0x42, vec![1, 1]), (0x70, [vec![1], leb(count)].concat())],
        vec![
            (0x42, vec![1, 1]),
            (0x70, vec![1, 1]),
            (0x71, run(0)),
            (0x73, run(1)),
        ],
        vec![(0x13, run(1)), (0x42, vec![1, 1])],
    ];
    columns
        .into_iter()
        .map(|columns| raw(actor, dependency, &columns))
        .collect()
}

fn raw(actor: &Actor, dependency: &[u8; 32], columns: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![1];
    body.extend_from_slice(dependency);
    body.push(16);
    body.extend_from_slice(&actor.0);
    body.extend_from_slice(&[1, 3, 0, 0, 0]);
    body.extend(leb(columns.len() as u64));
    for (column, data) in columns {
        body.extend(leb(u64::from(*column)));
        body.extend(leb(data.len() as u64));
    }
    for (_, data) in columns {
        body.extend_from_slice(data);
    }
    let mut bytes = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1];
    bytes.extend(leb(body.len() as u64));
    bytes.extend(body);
    bytes
}

fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        // A set bit 6 in the last byte would make the number negative where it is read signed.
        if value == 0 && low & 0x40 == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn a_flood_without_a_past_is_bounded() {
    let mut document = LivingDocument::new(living());
    for n in 1..12 {
        let mut writer = LivingDocument::new(living());
        let actor = node(&living(), n);
        writer.note_set(&actor, "n", "lost").unwrap();
        for round in 0..300 {
            let edit = writer.note_splice(&actor, "n", 0, 0, "x").unwrap().unwrap();
            let outcome = document.apply_remote(&actor, &edit.bytes).unwrap();
            assert_eq!(outcome.held == 1, round < 256 && outcome.refused.is_empty());
            assert!(document.held().0 <= limits::HELD_MAX);
        }
    }
    sound(&document);
    document
        .note_set(&node(&living(), 20), "n", "still here")
        .unwrap()
        .unwrap();
}

/// Falsifies one field of a change, whatever may come of it.
fn falsify(change: &mut ExpandedChange, dice: &mut Dice, scene: &[ExpandedChange]) {
    let other = &scene[dice.below(scene.len())];
    match dice.below(14) {
        0 => change.seq = change.seq.wrapping_add([1, u64::MAX, 5][dice.below(3)]),
        1 => {
            let start = change.start_op.get();
            let near = [
                start + 1,
                start.saturating_sub(1),
                1,
                u64::from(u32::MAX),
                1 << 31,
            ];
            change.start_op = NonZeroU64::new(near[dice.below(5)]).unwrap_or(NonZeroU64::MIN);
        }
        2 => {
            let at = dice.below(change.deps.len().max(1));
            if at < change.deps.len() {
                change.deps.remove(at);
            }
        }
        3 => change.deps.extend(other.deps.first().copied()),
        4 => change.deps.push(ChangeHash([dice.below(256) as u8; 32])),
        5 => change.actor_id = other.actor_id.clone(),
        6 => change
            .message
            .clone_from(&[None, Some("a".to_owned()), Some("zz".to_owned())][dice.below(3)]),
        7 => change.operations.extend(other.operations.first().cloned()),
        8 => change.operations.clone_from(&other.operations),
        9 => {
            let at = dice.below(change.operations.len());
            change.operations.remove(at);
        }
        10 => {
            let (left, right) = (
                dice.below(change.operations.len()),
                dice.below(change.operations.len()),
            );
            change.operations.swap(left, right);
        }
        _ => {
            let at = dice.below(change.operations.len());
            let model = &other.operations[dice.below(other.operations.len())];
            falsify_operation(&mut change.operations[at], dice, model, other);
        }
    }
    if change.operations.is_empty() {
        change.operations.clone_from(&other.operations);
    }
}

fn falsify_operation(operation: &mut Op, dice: &mut Dice, model: &Op, other: &ExpandedChange) {
    let somewhere = OpId(
        other.start_op.get() + dice.below(3) as u64,
        other.actor_id.clone(),
    );
    match dice.below(12) {
        0 => operation.obj = model.obj.clone(),
        1 => operation.key = model.key.clone(),
        2 => operation.action = model.action.clone(),
        3 => operation.pred = model.pred.clone(),
        4 => operation.insert = !operation.insert,
        5 => operation.pred = Vec::new().into(),
        6 => operation.pred = vec![somewhere].into(),
        7 => operation.key = Key::Seq(ElementId::Id(somewhere)),
        8 => operation.key = Key::Seq(ElementId::Head),
        9 => operation.obj = ObjectId::Id(somewhere),
        10 => {
            let list = OpType::Make(ObjType::List);
            let odd = [
                OpType::Delete,
                OpType::Increment(1),
                list,
                OpType::MarkEnd(true),
            ];
            operation.action = odd[dice.below(4)].clone();
        }
        _ => {
            let text = ["x", "", "xy", "\u{e9}"][dice.below(4)];
            operation.action = OpType::Put(ScalarValue::Str(text.into()));
        }
    }
}

#[test]
fn thousands_of_falsified_changes_leave_every_replica_sound() {
    hush();
    let (mut refused, mut accepted) = (0, 0);
    for seed in 0..24 {
        let scene = scene(seed);
        let mut target = Target::new(scene);
        let mut dice = Dice::new(seed as u64 + 1);
        for _ in 0..200 {
            let mut change = decode(&scene.honest.bytes);
            for _ in 0..=dice.below(3) {
                falsify(&mut change, &mut dice, &scene.known);
            }
            if let Some(bytes) = encode(change) {
                target.strike(&bytes);
            }
        }
        let (more_refused, more_accepted) = target.finish();
        refused += more_refused;
        accepted += more_accepted;
    }
    // Some falsifications are what their author might have done; most are not.
    assert!(
        refused > 2500 && accepted > 20,
        "{refused} refused, {accepted} accepted"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes are changed anywhere, and the checksum is made right again by reading the change and
    /// writing it anew where it can still be read.
    #[test]
    fn mutated_bytes_never_break_a_document(
        seed in 0usize..24,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        hush();
        let scene = scene(seed);
        let mut target = Target::new(scene);
        let mut bytes = scene.honest.bytes.clone();
        for (at, value) in edits {
            let at = 9 + at.index(bytes.len() - 9);
            bytes[at] = value;
            target.strike(&bytes);
            let read = catch_unwind(|| Change::from_bytes(bytes.clone()).map(|c| c.decode()));
            if let Ok(Ok(expanded)) = read
                && expanded.operations.len() < 100_000
                && let Some(again) = encode(expanded)
            {
                target.strike(&again);
            }
        }
        target.finish();
    }
}
