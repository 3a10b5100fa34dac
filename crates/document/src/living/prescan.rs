//! A first look at a raw change, in bounded time and memory, before any parser of Automerge sees
//! it: run-length encoding lets a few bytes stand for billions of operations.

use crate::error::Refusal;
use crate::limits::{
    CONFIG_PATH_BYTES_MAX, COUNTER_MAX, DEPENDENCIES_MAX, LIVING_ACTORS_MAX,
    LIVING_CHANGE_BYTES_MAX, LIVING_OPERATIONS_MAX, LIVING_PREDECESSORS_MAX, NOTE_NAME_BYTES_MAX,
};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;
const OBJECT_ACTOR: u64 = 0x01;
const OBJECT_COUNTER: u64 = 0x02;
const KEY_ACTOR: u64 = 0x11;
const ACTION: u64 = 0x42;
const VALUE_LENGTHS: u64 = 0x56;
const VALUES: u64 = 0x57;
const PREDECESSOR_COUNTS: u64 = 0x70;
/// Object (actor, counter), key (actor, counter, text), insert, action, value (lengths, bytes),
/// predecessors (counts, actors, counters). Marks and whatever comes later are not among them.
const COLUMNS: [u64; 12] = [
    OBJECT_ACTOR,
    OBJECT_COUNTER,
    KEY_ACTOR,
    0x13,
    0x15,
    0x34,
    ACTION,
    VALUE_LENGTHS,
    VALUES,
    PREDECESSOR_COUNTS,
    0x71,
    0x73,
];
const PUT: u64 = 1;
const DELETE: u64 = 3;

type Scan<T> = Result<T, Refusal>;

fn wrong<T>(what: &'static str) -> Scan<T> {
    Err(Refusal::Encoding(what))
}

/// Refuses everything that is not one plain change within the limits.
pub(crate) fn prescan(bytes: &[u8]) -> Scan<()> {
    if bytes.len() > LIVING_CHANGE_BYTES_MAX {
        return Err(Refusal::TooLarge("bytes of a change"));
    }
    let mut rest = Reader(bytes);
    if rest.take(4)? != MAGIC {
        return wrong("magic");
    }
    rest.take(4)?;
    if rest.take(1)? != [CHANGE_CHUNK] {
        return wrong("only uncompressed changes are taken");
    }
    if rest.unsigned()? != rest.0.len() as u64 {
        return wrong("length");
    }
    head(&mut rest)?;
    let columns = columns(&mut rest)?;
    let mut operations = 0;
    for (column, length) in columns {
        let count = scan_column(column, rest.take(length)?)?;
        if column == ACTION {
            operations = count;
        }
    }
    if !rest.0.is_empty() {
        return wrong("extra bytes");
    }
    if operations == 0 {
        Err(Refusal::Empty)
    } else {
        Ok(())
    }
}

fn head(rest: &mut Reader<'_>) -> Scan<()> {
    let dependencies = rest.unsigned()?;
    if dependencies > DEPENDENCIES_MAX as u64 {
        return Err(Refusal::TooLarge("dependencies"));
    }
    rest.take(dependencies * 32)?;
    rest.actor()?;
    for _sequence_and_start in 0..2 {
        if !(1..COUNTER_MAX).contains(&rest.unsigned()?) {
            return Err(Refusal::TooLarge("counter"));
        }
    }
    if rest.signed()? != 0 {
        return wrong("time");
    }
    let message = rest.unsigned()?;
    if message > NOTE_NAME_BYTES_MAX as u64 {
        return Err(Refusal::TooLarge("message"));
    }
    rest.take(message)?;
    let actors = rest.unsigned()?;
    if actors > LIVING_ACTORS_MAX {
        return Err(Refusal::TooLarge("actors"));
    }
    (0..actors).try_for_each(|_| rest.actor())
}

fn columns(rest: &mut Reader<'_>) -> Scan<Vec<(u64, u64)>> {
    let count = rest.unsigned()?;
    if count > COLUMNS.len() as u64 {
        return wrong("columns");
    }
    let mut columns: Vec<(u64, u64)> = Vec::new();
    for _ in 0..count {
        let column = (rest.unsigned()?, rest.unsigned()?);
        if !COLUMNS.contains(&column.0) || columns.last().is_some_and(|last| last.0 >= column.0) {
            return wrong("columns");
        }
        columns.push(column);
    }
    Ok(columns)
}

/// Walks one column; answers how many values it holds. The low three bits of a column's number say
/// how it is encoded.
fn scan_column(column: u64, data: &[u8]) -> Scan<u64> {
    let of_predecessors = matches!(column, 0x71 | 0x73);
    let limit = if of_predecessors {
        LIVING_PREDECESSORS_MAX
    } else {
        LIVING_OPERATIONS_MAX
    };
    match column & 7 {
        7 => Ok(0),
        4 => scan_booleans(data, limit),
        _ => scan_runs(column, data, limit),
    }
}

fn scan_booleans(data: &[u8], limit: u64) -> Scan<u64> {
    let (mut rest, mut total) = (Reader(data), 0u64);
    while !rest.0.is_empty() {
        total = bounded(total, rest.unsigned()?, limit)?;
    }
    Ok(total)
}

fn scan_runs(column: u64, data: &[u8], limit: u64) -> Scan<u64> {
    let (mut rest, mut total, mut weight) = (Reader(data), 0u64, 0u64);
    while !rest.0.is_empty() {
        let run = rest.signed()?;
        let (values, repeats) = match run {
            0 => (0, rest.unsigned()?),
            run if run > 0 => (1, run.unsigned_abs()),
            run => (run.unsigned_abs(), 1),
        };
        total = bounded(total, values.max(1).saturating_mul(repeats), limit)?;
        for _ in 0..values {
            weight = weight.saturating_add(scan_value(column, &mut rest)?.saturating_mul(repeats));
        }
    }
    let weighs_too_much = match column {
        PREDECESSOR_COUNTS => weight > LIVING_PREDECESSORS_MAX,
        VALUE_LENGTHS => weight > LIVING_CHANGE_BYTES_MAX as u64,
        _ => false,
    };
    if weighs_too_much {
        Err(Refusal::TooLarge("run"))
    } else {
        Ok(total)
    }
}

/// Reads one value of a run; answers what it stands for in predecessors or bytes.
fn scan_value(column: u64, rest: &mut Reader<'_>) -> Scan<u64> {
    match column & 7 {
        3 => {
            let step = rest.signed()?;
            if step.unsigned_abs() > COUNTER_MAX {
                wrong("counter")
            } else {
                Ok(0)
            }
        }
        5 => {
            let length = rest.unsigned()?;
            if length > CONFIG_PATH_BYTES_MAX as u64 {
                return Err(Refusal::TooLarge("key"));
            }
            rest.take(length).map(|_| 0)
        }
        _ => {
            let value = rest.unsigned()?;
            if column == ACTION && !matches!(value, PUT | DELETE) {
                return Err(Refusal::Shape("action"));
            }
            if matches!(column, OBJECT_COUNTER | OBJECT_ACTOR | KEY_ACTOR) && value > COUNTER_MAX {
                return wrong("counter");
            }
            Ok(if column == VALUE_LENGTHS {
                value >> 4
            } else {
                value
            })
        }
    }
}

fn bounded(total: u64, more: u64, limit: u64) -> Scan<u64> {
    let total = total.saturating_add(more);
    if total > limit {
        Err(Refusal::TooLarge("run"))
    } else {
        Ok(total)
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Scan<&'a [u8]> {
        let length = usize::try_from(length).or(wrong("length"))?;
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return wrong("too short");
        };
        self.0 = rest;
        Ok(taken)
    }

    fn actor(&mut self) -> Scan<()> {
        if self.unsigned()? != 16 {
            return wrong("length of an actor");
        }
        self.take(16).map(|_| ())
    }

    fn unsigned(&mut self) -> Scan<u64> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = self.take(1)?[0];
            if shift >= 63 && byte > 1 {
                return wrong("number");
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    fn signed(&mut self) -> Scan<i64> {
        let (mut value, mut shift) = (0i64, 0);
        loop {
            let byte = self.take(1)?[0];
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let negative = byte & 0x40 != 0;
                return Ok(if negative && shift < 64 {
                    value | (-1 << shift)
                } else {
                    value
                });
            }
            if shift > 56 {
                // Nothing within the limits needs more than eight bytes.
                return wrong("number");
            }
        }
    }
}
