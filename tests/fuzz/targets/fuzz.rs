//! The fuzzer: libFuzzer's loop around the target that `FUZZ_TARGET` names. Built by `tests/fuzz/run`.
#![no_main]
#![allow(missing_docs, reason = "libFuzzer's macro writes the entry point")]

use std::sync::OnceLock;
use std::{env, panic};

use unisono_fuzz::{Target, target};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let chosen = TARGET.get_or_init(|| {
        // libFuzzer's own hook ends the process at any panic, even one that is caught on purpose, as
        // those inside Automerge are. An uncaught one it notices anyway.
        panic::set_hook(Box::new(|what| {
            let place = what.location().map_or("", |place| place.file());
            if !place.contains("automerge") {
                eprintln!("{what}");
            }
        }));
        let name = env::var("FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name:?} is no target"))
    });
    (chosen.feed)(bytes);
});
