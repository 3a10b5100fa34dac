//! Writes the seeds of every target into `tests/fuzz/corpus`, or lists the targets with `--list`.

use std::path::Path;
use std::{env, fs, io};

use unisono_fuzz::TARGETS;

fn main() -> io::Result<()> {
    if env::args().any(|argument| argument == "--list") {
        for target in TARGETS {
            println!("{}", target.name);
        }
        return Ok(());
    }
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target.name);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in (target.seeds)() {
            // One that is there and good stays as it is: some are drawn at random.
            let path = folder.join(name);
            if !fs::read(&path).is_ok_and(|old| (target.feed)(&old)) {
                fs::write(path, bytes)?;
            }
        }
    }
    Ok(())
}
