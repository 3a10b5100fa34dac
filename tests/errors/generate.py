#!/usr/bin/env python3
"""Makes errors with the tools of this machine and writes them down with what caused them.

Each kind of error is made in several variants: other directories, file names, identifiers, numbers
and lines in front. Variants of one kind are the same error with the same cause; two kinds are two.

    python3 tests/errors/generate.py > tests/errors/corpus.jsonl

Tools that are not here are left out and named on standard error. TSC may name a TypeScript compiler.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

VARIANTS = 4
HALF_CHARS_MAX = 450
WORDS = ("queue user index parser buffer session config token cache order report shard ledger "
         "planner window packet cursor bucket merge invoice tenant graph lexer socket").split()
DIRS = "/src/app /build/job-{n} /opt/{w}/core /{w}/v{n} /tmp/tmp{h} /{w}-{n}/lib".split()


class Variant:
    """Names and numbers of one variant."""

    def __init__(self, kind, number):
        chance = random.Random(f"{kind}/{number}")
        style = number % 5
        words = chance.sample(WORDS, 12)
        make = [
            lambda a, b: f"{a}_{b}",
            lambda a, b: a + b.title(),
            lambda a, b: f"{a}{chance.randint(2, 9)}",
            lambda a, b: a,
            lambda a, b: f"{a}_{b}_{chance.randint(10, 99)}",
        ][style]
        self.names = {letter: make(words[i], words[i + 6]) for i, letter in enumerate("abcdef")}
        title = [word.title() for word in words]
        self.names |= {letter: title[i] + title[i + 3] for i, letter in enumerate("ABC")}
        self.names |= {
            "f": make(words[6], words[7]).lower(),
            "n": str(chance.randint(2, 60)),
            "m": str(chance.randint(61, 4000)),
            "h": f"{chance.getrandbits(40):010x}",
            "s": " ".join(chance.sample(words, 1 + style % 3)),
        }
        self.pad = chance.randint(0, 25)
        self.dir = chance.choice(DIRS).format(n=chance.randint(1, 99), w=words[9], h=self.names["h"])

    def fill(self, text, comment):
        """Fills in the names; `@pad` becomes lines in front."""
        text = text.replace("@pad\n", f"{comment} {self.names['s']}\n" * self.pad)
        for letter, name in self.names.items():
            text = text.replace(f"<{letter}>", name)
        return text


def run(command, directory, **given):
    environment = {"PATH": os.environ["PATH"], "HOME": directory, "LC_ALL": "C.UTF-8"}
    for name in ("RUSTUP_HOME", "CARGO_HOME"):
        home = os.path.join(os.path.expanduser("~"), "." + name.split("_")[0].lower())
        environment[name] = os.environ.get(name, home)
    environment |= given.pop("env", {})
    done = subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def in_file(name, *command):
    """A chain whose tool reads one file: `{}` is its name."""

    def make(variant, source, directory):
        path = variant.fill(name, "")
        comment = {"py": "#", "sh": "#", "pl": "#", "awk": "#", "sql": "--"}.get(path.split(".")[-1], "//")
        with open(os.path.join(directory, path), "w") as file:
            file.write(variant.fill(source, comment))
        return run([variant.fill(part.replace("{}", path), "") for part in command], directory)

    return make


def shell(variant, source, directory):
    """A chain whose tool is asked by a shell."""
    return run(["bash", "-c", variant.fill(source, "#")], directory)


def make_file(variant, source, directory):
    with open(os.path.join(directory, "Makefile"), "w") as file:
        file.write(variant.fill(source, "#"))
    return run(["make"], directory)


GIT = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; "
REPO = GIT + "git init -q -b main . && echo <a> > <a>.txt && git add . && git commit -qm '<s>' && "

CHAINS = {
    "rustc": in_file("<f>.rs", "rustc", "--edition=2021", "--emit=metadata", "{}"),
    "rust-run": lambda v, s, d: (
        in_file("<f>.rs", "rustc", "--edition=2021", "-o", "program", "{}")(v, s, d),
        run(["./program"], d))[1],
    "gcc": in_file("<f>.c", "gcc", "-Wall", "{}", "-o", "program"),
    "python": in_file("<f>.py", "python3", "{}"),
    "unittest": in_file("test_<f>.py", "python3", "-m", "unittest", "test_<f>"),
    "bash": in_file("<f>.sh", "bash", "-u", "{}"),
    "shell": shell,
    "perl": in_file("<f>.pl", "perl", "{}"),
    "node": in_file("<f>.js", "node", "{}"),
    "javac": in_file("<A>.java", "javac", "{}"),
    "java": lambda v, s, d: (in_file("<A>.java", "javac", "{}")(v, s, d),
                             run(["java", v.fill("<A>", "")], d))[1],
    "tsc": in_file("<f>.ts", "node", os.environ.get("TSC", "tsc"), "--noEmit", "--strict", "{}"),
    "git": shell,
    "make": make_file,
    "sqlite": shell,
    "awk": shell,
    "jq": shell,
}


def shortened(text):
    """The beginning and the end, where errors say what they are."""
    if len(text) <= 2 * HALF_CHARS_MAX:
        return text
    head, tail = text[:HALF_CHARS_MAX], text[-HALF_CHARS_MAX:]
    return head[:head.rfind("\n") + 1] + "...\n" + tail[tail.find("\n") + 1:]


def unittest_of(body):
    return f"@pad\nimport unittest\nclass <A>(unittest.TestCase):\n    def test_<a>(self):\n        {body}\n"


def rust_main(body):
    return f"@pad\nfn main() {{\n{body}\n}}\n"


def java_main(body):
    return ("@pad\npublic class <A> {\n  public static void main(String[] args) throws Exception {\n"
            f"{body}\n  }}\n}}\n")


KINDS = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "kinds.json")))
WRAPPED = {"unittest": unittest_of, "rust-run": rust_main, "java": java_main}


def main():
    random.seed(1)
    missing = set()
    for chain in sys.argv[1:] or KINDS:
        kinds = KINDS[chain]
        make = CHAINS[chain]
        for kind, source in kinds.items():
            if chain in WRAPPED:
                source = WRAPPED[chain](source)
            if chain == "git" and not source.startswith("!"):
                source = REPO + source
            source = source.removeprefix("!")
            for number in range(VARIANTS):
                variant = Variant(f"{chain}/{kind}", number)
                root = tempfile.mkdtemp()
                directory = root + variant.dir
                os.makedirs(directory)
                try:
                    code, text = make(variant, source, directory)
                except FileNotFoundError as error:
                    missing.add(str(error))
                    continue
                finally:
                    shutil.rmtree(root, ignore_errors=True)
                # The directory under which this was made is a place of this machine.
                text = text.replace(root, "/srv/" + variant.names["a"] if number % 2 else "")
                text = text.replace(os.path.expanduser("~"), "/srv/tools")
                if code == 0 and chain not in ("jq", "awk"):
                    print(f"{chain}/{kind}: no error\n{text}", file=sys.stderr)
                    continue
                print(json.dumps({"chain": chain, "kind": kind, "text": shortened(text)}))
    for what in missing:
        print(f"left out: {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
