//! Sources as people write them, with complexity and length counted by hand.

use unisono_measure::{Language, TOP_LEVEL, language_of, measure};

use crate::functions;

fn expect(path: &str, source: &str, expected: &[(&str, u32, u32)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, complexity, length)| ((*name).to_owned(), *complexity, *length))
        .collect();
    assert_eq!(functions(path, source), expected, "{path}\n{source}");
}

#[test]
fn rust_is_counted_as_by_hand() {
    expect(
        "src/lease.rs",
        r"//! Leases.
use std::time::Duration;

const LONGEST: Duration = Duration::from_secs(60);

/// Whether a lease may be taken.
pub fn may_take(lease: Option<&Lease>, now: u64, agent: &str) -> Result<bool, Error> {
    // Nobody has it.
    let Some(lease) = lease else {
        return Ok(true);
    };
    if lease.holder == agent || now > lease.until {
        return Ok(true);
    }
    for waiting in &lease.queue {
        match waiting.rank {
            Rank::High if waiting.since < now => return Ok(false),
            Rank::High | Rank::Normal => {}
            _ => continue,
        }
    }
    Ok(lease.read()?.is_free())
}

impl Lease {
    fn free(&self) -> bool {
        self.holder.is_empty()
    }

    fn ranks(&self) -> Vec<u8> {
        self.queue
            .iter()
            .filter(|one| one.live && one.rank > 0)
            .map(|one| one.rank)
            .collect()
    }
}

trait Held {
    fn held(&self) -> bool;
}
",
        // let-else, if, ||, for, two arms of three, a guard.
        &[
            ("may_take", 8, 16),
            ("free", 1, 3),
            ("ranks", 2, 7),
            ("(closure)", 2, 1),
            ("(closure)", 1, 1),
        ],
    );
    expect(
        "a.rs",
        "fn wait(mut n: u32) {\n    loop {\n        while let Some(m) = n.checked_sub(1) {\n            n = m;\n        }\n        if n == 0 && done() || stop() {\n            break;\n        } else if n == 1 {\n            n = 0;\n        }\n    }\n}\n",
        // loop, while, if, &&, ||, if.
        &[("wait", 7, 12)],
    );
}

#[test]
fn python_is_counted_as_by_hand() {
    expect(
        "tools/report.py",
        r#""""Reports."""
import sys
from pathlib import Path

LIMIT = 10
NAMES = ["a", "b"]


class Report:
    """One report."""

    width = 80

    def __init__(self, rows):
        self.rows = rows

    @property
    def wide(self):
        """Whether it is wide.

        Or not.
        """
        return self.width > 100 and bool(self.rows)

    async def lines(self, only=None):
        kept = [row for row in self.rows if row.ok if not row.old]
        for row in kept:
            try:
                yield row.text if row.text else "-"
            except (KeyError, ValueError) as error:
                print(error)
            finally:
                row.close()
        else:
            print("done")
        match only:
            case "first":
                return
            case ["x", *rest] if rest:
                pass
            case _:
                pass
        key = lambda row: row.a or row.b
        while kept and key(kept[0]):
            kept.pop()


def main():
    if len(sys.argv) < 2:
        return 1
    elif sys.argv[1] == "-":
        return 2
    else:
        return 0


if __name__ == "__main__":
    sys.exit(main())
"#,
        &[
            ("__init__", 1, 2),
            ("wide", 2, 2),
            // Comprehension with two ifs, for, ternary, except, two cases, a guard, or, while, and.
            ("lines", 13, 21),
            ("(closure)", 2, 1),
            ("main", 3, 7),
            (TOP_LEVEL, 2, 2),
        ],
    );
}

#[test]
fn c_is_counted_as_by_hand() {
    expect(
        "src/ring.c",
        r"#include <stddef.h>
#define SIZE 16
#define MAX(a, b) ((a) > (b) ? (a) : (b))

struct ring {
    size_t head;
    int *slots;
};

static const int table[] = {1, 2, 3};

/* Puts one in. */
static int *ring_put(struct ring *ring, int value)
{
    size_t i;

    for (i = 0; i < SIZE; i++) {
        if (ring->slots[i] == value && value)
            return NULL;
    }
    do {
        ring->head++;
    } while (ring->head < SIZE || !value);
    switch (value) {
    case 1:
    case 2:
        ring->head = 0;
        break;
    default:
        break;
    }
#ifdef DEBUG
    print(value);
#endif
    return value ? &ring->slots[0] : NULL; // the first
}

int main(void) { return 0; }
",
        &[
            // A macro's question mark.
            ("MAX", 2, 1),
            // for, if, &&, do, ||, two cases, #ifdef, ternary.
            ("ring_put", 10, 23),
            ("main", 1, 1),
        ],
    );
}

#[test]
fn cpp_is_counted_as_by_hand() {
    expect(
        "src/pool.cpp",
        r"#include <vector>
namespace pool {

template <typename T>
class Pool {
  public:
    explicit Pool(size_t n) : slots_(n) {}
    ~Pool() = default;

    T *take() {
        for (auto &slot : slots_) {
            if (slot.free and slot.ready) {
                return &slot.value;
            }
        }
        return nullptr;
    }

  private:
    std::vector<Slot<T>> slots_;
};

int run(Pool<int> &pool) {
    auto odd = [&](int x) { return x % 2 == 1 || x < 0; };
    try {
        while (auto *slot = pool.take()) {
            *slot = odd(*slot) ? 1 : 2;
        }
    } catch (const Empty &) {
        return 1;
    } catch (...) {
        return 2;
    }
    return 0;
}

}  // namespace pool
",
        &[
            ("Pool", 1, 1),
            ("take", 4, 8),
            // The closure's ||, while, ternary, two catches.
            ("run", 6, 13),
            ("(closure)", 2, 1),
        ],
    );
}

#[test]
fn go_is_counted_as_by_hand() {
    expect(
        "cmd/serve.go",
        r#"package main

import "fmt"

type server struct {
	name string
}

// serve answers until it is told to stop.
func (s *server) serve(in <-chan int, stop chan bool) error {
	for {
		select {
		case n := <-in:
			if err := s.one(n); err != nil && n > 0 {
				return err
			} else if n == 0 {
				continue
			}
		case <-stop:
			return nil
		default:
		}
	}
}

func (s *server) one(n int) error {
	switch n {
	case 1, 2:
		go func() { fmt.Println(n) }()
	case 3:
		for i := range n {
			fmt.Println(i)
		}
	default:
		return fmt.Errorf("n")
	}
	var x any = n
	switch x.(type) {
	case int:
	}
	return nil
}
"#,
        &[
            // for, two cases, if, &&, if.
            ("serve", 7, 15),
            // Two cases, for, one type.
            ("one", 5, 17),
            ("(closure)", 1, 1),
        ],
    );
}

#[test]
fn java_is_counted_as_by_hand() {
    expect(
        "src/Desk.java",
        r#"package desk;

import java.util.List;

public class Desk {
    private final int size = 3;

    static {
        System.out.println("up");
    }

    Desk() {
        super();
    }

    @Override
    public int rank(Object o, List<String> names) throws Exception {
        switch (size) {
            case 1:
            case 2:
                return 1;
            default:
                break;
        }
        int kind = switch (o) {
            case String s when s.isEmpty() -> 0;
            case String s -> 1;
            case null, default -> 2;
        };
        for (String name : names) {
            if (name == null || name.isEmpty()) {
                continue;
            }
        }
        try {
            Runnable r = () -> System.out.println(kind > 0 ? "a" : "b");
            r.run();
        } catch (IllegalStateException | Error e) {
            throw e;
        } finally {
            System.out.println();
        }
        return kind;
    }
}
"#,
        &[
            ("(static)", 1, 3),
            ("Desk", 1, 3),
            // Two labels; two labels and a guard; for, if, ||, ternary, catch.
            ("rank", 11, 29),
            ("r", 2, 1),
        ],
    );
}

#[test]
fn javascript_is_counted_as_by_hand() {
    expect(
        "web/list.js",
        r#"import { a } from "./a.js";

const LIMIT = 3;

export function pick(list, by = null) {
  const key = by ?? ((one) => one.id || one.name);
  for (const one of list) {
    if (!one) continue;
    switch (key(one)) {
      case 1:
      case 2:
        return one;
      default:
        break;
    }
  }
  try {
    a?.b();
  } catch {
    return null;
  }
  return list.length > LIMIT ? list[0] : undefined;
}

class List {
  #size = 0;
  get size() {
    return this.#size;
  }
}

const View = ({ on }) => <div>{on && <b>yes</b>}</div>;

pick([]);
"#,
        &[
            // ??, the closure's ||, for, if, two cases, catch, ternary.
            ("pick", 9, 19),
            ("(closure)", 2, 1),
            ("size", 1, 3),
            ("View", 2, 1),
            (TOP_LEVEL, 1, 1),
        ],
    );
}

#[test]
fn typescript_is_counted_as_by_hand() {
    expect(
        "web/store.ts",
        r"export interface Store<T> {
  get(key: string): T | undefined;
}

type Name<T> = T extends string ? T : never;

export class Memory<T> implements Store<T> {
  private items = new Map<string, T>();
  constructor(private limit: number) {}

  get(key: string): T | undefined {
    let i = 0;
    do {
      i++;
    } while (i < this.limit && !this.items.has(key));
    this.last ||= key;
    return this.items.get(key) as T;
  }

  each = async (f: (one: T) => void): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      for (const key in this.items) f(this.items[key]!);
    }
  };
}

namespace inner {
  export function one<T>(x: T): x is NonNullable<T> {
    return x !== undefined;
  }
}
",
        &[
            ("constructor", 1, 1),
            // do, &&, ||=.
            ("get", 4, 8),
            ("each", 3, 5),
            ("one", 1, 3),
            (TOP_LEVEL, 1, 1),
        ],
    );
    expect(
        "web/view.tsx",
        "export const View = <T,>(p: { on: T }) => {\n  return <b>{p.on ? 1 : 2}</b>;\n};\n",
        &[("View", 2, 3)],
    );
}

#[test]
fn a_language_is_told_by_the_ending_alone() {
    for (path, language) in [
        ("src/a.rs", Some(Language::Rust)),
        ("a.pyi", Some(Language::Python)),
        ("include/a.h", Some(Language::Cpp)),
        ("a.c", Some(Language::C)),
        ("a.b/a.cxx", Some(Language::Cpp)),
        ("a.go", Some(Language::Go)),
        ("A.java", Some(Language::Java)),
        ("a.mjs", Some(Language::JavaScript)),
        ("a.d.ts", Some(Language::TypeScript)),
        ("a.tsx", Some(Language::TypeScript)),
        ("a.PY", None),
        ("a.rs/README", None),
        (".rs", None),
        ("rs", None),
        ("a.", None),
        ("", None),
        ("run.sh", None),
    ] {
        assert_eq!(language_of(path), language, "{path}");
    }
}

#[test]
fn a_header_is_what_it_can_be_read_as() {
    let c = measure("a.h", b"int f(class) int class; { return 1; }\n").expect("it is C");
    assert_eq!(c.language, Language::C);
    let source = b"class A { int f() { return x ? 1 : 2; } };\n";
    let cpp = measure("a.h", source).expect("it is C++");
    assert_eq!((cpp.language, cpp.complexity_max), (Language::Cpp, 2));
}

#[test]
fn a_report_says_the_greatest_of_each_and_where() {
    let source = "fn a() {\n    if x {\n        y();\n    }\n}\n\nfn b() {\n    z();\n    z();\n    z();\n    z();\n}\n";
    let report = measure("a.rs", source.as_bytes()).expect("it is Rust");
    assert_eq!((report.complexity_max, report.length_max), (2, 6));
    assert_eq!(report.lines, 12);
    let lines: Vec<_> = report
        .functions
        .iter()
        .map(|f| (f.first_line, f.last_line))
        .collect();
    assert_eq!(lines, [(1, 5), (7, 12)]);
    let nothing = measure("a.rs", b"").expect("it is Rust too");
    assert_eq!(
        (nothing.complexity_max, nothing.length_max, nothing.lines),
        (1, 0, 0)
    );
}
