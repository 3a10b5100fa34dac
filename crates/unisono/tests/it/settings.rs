//! Configuration: where values come from, what is refused, and how clear the refusal is.

use crate::process::Place;

#[test]
fn files_environment_and_flags_count_in_this_order() {
    let place = Place::new();
    std::fs::create_dir_all(place.path(".config/unisono")).unwrap();
    let home = "region = \"home\"\nname = \"home\"\norchestra = \"home\"\n";
    std::fs::write(place.path(".config/unisono/unisono.toml"), home).unwrap();
    std::fs::write(
        place.path("unisono.toml"),
        "\nname = \"here\"\norchestra = \"here\"\n",
    )
    .unwrap();
    let mut command = place.command();
    command.env("UNISONO_ORCHESTRA", "environment");
    command.args(["config", "show", "--origin", "-o", "json", "--as", "ada"]);
    let said = crate::process::said(command.output().unwrap());
    let shown: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let of = |name: &str| {
        let settings = shown["settings"].as_array().unwrap();
        let one = settings.iter().find(|one| one["setting"] == name).unwrap();
        (
            one["value"].as_str().unwrap().to_owned(),
            one["origin"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(of("http"), ("127.0.0.1:7420".into(), "default".into()));
    assert!(of("region").0 == "home" && of("region").1.ends_with(".config/unisono/unisono.toml:1"));
    assert_eq!(of("name"), ("here".into(), "unisono.toml:2".into()));
    assert_eq!(
        of("orchestra"),
        ("environment".into(), "UNISONO_ORCHESTRA".into())
    );
    assert_eq!(of("as"), ("ada".into(), "--as".into()));
}

#[test]
fn every_wrong_setting_is_told_with_its_place() {
    let place = Place::new();
    let text = "http = \"nowhere\"\ncolour = \"red\"\nregion = \"Not A Region\"\npeer = 7\n";
    std::fs::write(place.path("unisono.toml"), text).unwrap();
    let refused = place.fails(2, &["config", "check"]);
    let words = refused["error"].as_str().unwrap();
    for place in [
        "unisono.toml:1: http",
        "unisono.toml:2: unknown",
        "unisono.toml:3: region",
        "unisono.toml:4: peer",
    ] {
        assert!(words.contains(place), "{place} is not in: {words}");
    }
    assert_eq!(place.fails(2, &["serve"])["code"], "config");
    std::fs::write(place.path("broken.toml"), "name = \n").unwrap();
    let refused = place.fails(2, &["config", "check", "--config", "broken.toml"]);
    assert!(
        refused["error"].as_str().unwrap().contains("broken.toml:1"),
        "{refused}"
    );
}

#[test]
fn http_beyond_this_machine_needs_a_token() {
    let place = Place::new();
    place.found("a");
    let wide = [
        "serve",
        "--data",
        "a",
        "--http",
        "0.0.0.0:0",
        "--peer",
        "127.0.0.1:0",
    ];
    assert_eq!(place.fails(4, &wide)["code"], "token_needed");
    std::fs::write(place.path("token"), "a-word-that-nobody-guesses\n").unwrap();
    let more = ["--http-token-file", "token"];
    let node = place
        .start("serve", "a", "0.0.0.0:0", "127.0.0.1:0", &more)
        .ok()
        .unwrap();
    let url = node.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(
        place.fails(4, &["state", "--node", &url])["code"],
        "token_needed"
    );
    place.json(&[
        "state",
        "--create",
        "--node",
        &url,
        "--http-token-file",
        "token",
    ]);
}

#[test]
fn usage_errors_are_told_in_the_format_that_was_asked_for() {
    let place = Place::new();
    assert_eq!(
        place.fails(2, &["claim", "--lease-ms", "soon"])["code"],
        "usage"
    );
    assert_eq!(place.run(&["fly"]).code, 2);
    assert_eq!(
        place.fails(6, &["state", "--node", "127.0.0.1:9"])["code"],
        "unreachable"
    );
}
