//! How far it is, at which rate, and how long it will take: one line on standard error.

use std::io::IsTerminal;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::report::Tally;

/// Cells of the bar.
const CELLS: usize = 30;

/// Tells until it is dropped.
pub(crate) async fn tell(tally: &Tally, total: usize) {
    let terminal = std::io::stderr().is_terminal();
    let pause = Duration::from_secs(if terminal { 1 } else { 10 });
    let started = Instant::now();
    loop {
        tokio::time::sleep(pause).await;
        let done = tally.events.load(Relaxed);
        let line = line(done, total as u64, started.elapsed());
        if terminal {
            // Nobody is left to tell if this fails.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr().lock(),
                format!("\r{line}\x1b[K").as_bytes(),
            );
        } else {
            crate::output::say(&line);
        }
    }
}

/// Ends the line of a terminal.
pub(crate) fn end() {
    if std::io::stderr().is_terminal() {
        crate::output::say("");
    }
}

fn line(done: u64, total: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64();
    let cells = usize::try_from(done * CELLS as u64 / total.max(1)).unwrap_or(CELLS);
    let bar: String = (0..CELLS)
        .map(|cell| if cell < cells { '#' } else { '.' })
        .collect();
    let left = if done == 0 {
        "?".to_owned()
    } else {
        let seconds = (total.saturating_sub(done) as f64 / rate).ceil() as u64;
        format!("{}:{:02}", seconds / 60, seconds % 60)
    };
    format!("[{bar}] {done}/{total} events, {rate:.0}/s, {left} left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_rate_and_time_left() {
        let line = line(500, 2_000, Duration::from_secs(10));
        assert!(line.ends_with("500/2000 events, 50/s, 0:30 left"), "{line}");
        assert!(line.starts_with("[#######......"), "{line}");
    }
}
