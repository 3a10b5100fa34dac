//! What a service manager hears from a node: a socket of the test stands for it.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::Place;

/// A manager that hears nothing for so long fails the test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(20);

fn heard(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let count = socket.recv(&mut buffer).expect("the node says something");
    String::from_utf8(buffer[..count].to_vec()).unwrap()
}

#[test]
fn a_supervisor_hears_that_the_node_serves_is_well_and_ends() {
    let place = Place::new();
    place.found("a");
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let words = ["serve", "--data", "a", "--http", "127.0.0.1:0"];
    let mut child = place
        .command()
        .args(words)
        .args(["--peer", "127.0.0.1:0", "-o", "json"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(heard(&socket).starts_with("READY=1"), "first of all");
    let mut ready = [0; 1];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut ready).unwrap();
    for _ in 0..3 {
        assert_eq!(heard(&socket), "WATCHDOG=1", "again and again");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let mut last = heard(&socket);
    while last == "WATCHDOG=1" {
        last = heard(&socket);
    }
    assert!(last.starts_with("STOPPING=1"), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
