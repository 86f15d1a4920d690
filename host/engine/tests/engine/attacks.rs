//! Hostile guests. The host survives, the call gets its own reason, and no other call is disturbed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backstay_core::contract::{Failure, PodRun};
use backstay_engine::{CallError, Called, Component, Engine, EngineConfig, Limits};
use serde_json::{Value, json};

use crate::guest::Guest;
use crate::requests::{NOW, request};

/// Small limits, so that an attack ends soon; unlimited fuel, for attacks on the time.
const LIMITS: Limits = Limits { fuel: 100_000_000, wall: Duration::from_secs(60), ..DEFAULT };
const DEFAULT: Limits = Limits {
    fuel: 1_000_000_000,
    wall: Duration::from_secs(5),
    memory_bytes: 64 << 20,
    table_elements: 20_000,
    input_bytes: 8 << 20,
    output_bytes: 1 << 20,
    json_values: 50_000,
    component_bytes: 16 << 20,
    log_lines: 100,
    log_line_bytes: 1 << 10,
};
const MIB: usize = 1 << 20;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let limits = Limits { fuel: u64::MAX, wall: Duration::from_secs(600), ..DEFAULT };
    Engine::new(EngineConfig { concurrent_calls: 4, limits, code_cache: None }).unwrap()
});

/// Loads a guest under [`LIMITS`].
pub(crate) fn load(guest: Guest) -> Component {
    ENGINE.load(&guest.build()).unwrap().with_limits(LIMITS)
}

/// Calls `render` of a guest with this body.
fn render(body: &str) -> CallError {
    fails(&load(Guest::pod().body("render", body)))
}

/// Calls `render` of a guest with this answer.
fn answering(value: &Value) -> CallError {
    fails(&load(Guest::pod().answers("render", value)))
}

fn fails(component: &Component) -> CallError {
    match component.render(&request(), None) {
        Err(error) => error,
        Ok(called) => panic!("answered {:?}", called.value),
    }
}

#[derive(Clone, Copy)]
struct Attack {
    name: &'static str,
    reason: &'static str,
    /// Part of the message.
    says: &'static str,
    run: fn() -> CallError,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "endless loop, on fuel",
        reason: "StrategyOutOfFuel",
        says: "100000000 units of fuel",
        run: || render("(loop $again (br $again)) unreachable"),
    },
    Attack {
        name: "endless loop, on the wall clock",
        reason: "StrategyTimedOut",
        says: "after 200ms",
        run: || {
            let limits = Limits { fuel: u64::MAX, wall: Duration::from_millis(200), ..LIMITS };
            fails(
                &load(Guest::pod().body("render", "(loop $again (br $again)) unreachable"))
                    .with_limits(limits),
            )
        },
    },
    Attack {
        name: "memory bomb, page by page, filled",
        reason: "StrategyOutOfMemory",
        says: "bytes of linear memory where 67108864 are allowed",
        run: || {
            render(
                "(loop $again
                   (memory.fill (i32.shl (memory.grow (i32.const 1)) (i32.const 16)) (i32.const 7) (i32.const 65536))
                   (br $again))
                 unreachable",
            )
        },
    },
    Attack {
        name: "memory bomb, at once",
        reason: "StrategyOutOfMemory",
        says: "asked for 4294901760 bytes of linear memory",
        run: || render("(drop (memory.grow (i32.const 65533))) unreachable"),
    },
    Attack {
        name: "table bomb",
        reason: "StrategyOutOfMemory",
        says: "table elements where 20000 are allowed",
        run: || {
            let guest = Guest::pod().with("(table $t 1 funcref)").body(
                "render",
                "(loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)) unreachable",
            );
            fails(&load(guest))
        },
    },
    Attack {
        name: "output bomb, a string of 50 MiB",
        reason: "StrategyOutputTooLarge",
        says: "too many bytes where 1048576 are allowed",
        run: || {
            let mut guest = Guest::pod().pages(900);
            let at = guest.put("render", &json!({"ok": {"template": {"at": 1024, "len": 50 * MIB}}}));
            fails(&load(guest.body("render", format!("(i32.const {at})"))))
        },
    },
    Attack {
        name: "output bomb, a list of a million",
        reason: "StrategyOutputTooLarge",
        says: "too many bytes",
        run: || {
            let mut guest = Guest::pod().pages(900);
            let at = guest.put("render", &json!({"ok": {"findings": {"at": 1024, "len": 1_000_000}}}));
            fails(&load(guest.body("render", format!("(i32.const {at})"))))
        },
    },
    Attack {
        name: "output bomb, one text a thousand times",
        reason: "StrategyOutputTooLarge",
        says: "too many bytes",
        run: || {
            let message = json!({"at": 100_000, "len": 4096});
            answering(&json!({"ok": {"template": "{}", "findings": vec![json!({"message": message}); 1000]}}))
        },
    },
    Attack {
        name: "output bomb, JSON that swells when it is parsed",
        reason: "StrategyBadAnswer",
        says: "`template` takes the answer over 50000 JSON values in all",
        run: || {
            let bomb = format!("{{\"a\":[{}0]}}", r#"{"":0},"#.repeat(140_000));
            answering(&json!({"ok": {"template": bomb}}))
        },
    },
    Attack {
        name: "log bomb, lines without end",
        reason: "StrategyOutOfFuel",
        says: "units of fuel",
        run: || {
            render(
                "(loop $again (call $log (i32.const 1) (i32.const 65536) (i32.const 65536)) (br $again)) unreachable",
            )
        },
    },
    Attack {
        name: "log bomb, one line of 50 MiB",
        reason: "StrategyOutputTooLarge",
        says: "too many bytes",
        run: || {
            let log =
                format!("(call $log (i32.const 1) (i32.const 65536) (i32.const {})) unreachable", 50 * MIB);
            fails(&load(Guest::pod().pages(900).body("render", log)))
        },
    },
    Attack {
        name: "trap",
        reason: "StrategyTrapped",
        says: "`unreachable` instruction executed",
        run: || render("unreachable"),
    },
    Attack {
        name: "read outside its memory",
        reason: "StrategyTrapped",
        says: "out of bounds memory access",
        run: || render("(i32.load (i32.const -8))"),
    },
    Attack {
        name: "division by zero",
        reason: "StrategyTrapped",
        says: "divide by zero",
        run: || render("(i32.div_u (i32.const 1) (i32.const 0))"),
    },
    Attack {
        name: "endless recursion",
        reason: "StrategyStackExhausted",
        says: "exhausted its call stack",
        run: || {
            let guest = Guest::pod()
                .with("(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))")
                .body("render", "(call $deep (i32.const 0))");
            fails(&load(guest))
        },
    },
    Attack {
        name: "invalid JSON",
        reason: "StrategyBadAnswer",
        says: "`template` must be JSON: EOF while parsing",
        run: || answering(&json!({"ok": {"template": "{\"spec\":"}})),
    },
    Attack {
        name: "JSON of another shape",
        reason: "StrategyBadAnswer",
        says: "`template` must be a JSON object, is an array",
        run: || answering(&json!({"ok": {"template": "[]"}})),
    },
    Attack {
        name: "JSON nested a hundred thousand deep",
        reason: "StrategyBadAnswer",
        says: "nested more than 100 levels deep",
        run: || answering(&json!({"ok": {"template": "[".repeat(100_000)}})),
    },
    Attack {
        name: "text that is not UTF-8",
        reason: "StrategyBadAnswer",
        says: "breaks the canonical ABI: invalid utf-8",
        run: || answering(&json!({"ok": {"template": {"bytes": [0x7b, 0xff, 0x7d]}}})),
    },
    Attack {
        name: "a case that does not exist",
        reason: "StrategyBadAnswer",
        says: "breaks the canonical ABI",
        run: || answering(&json!({"ok": {"template": "{}", "findings": [{"severity": "#9"}]}})),
    },
    Attack {
        name: "a string that ends outside its memory",
        reason: "StrategyBadAnswer",
        says: "out of bounds of memory",
        run: || answering(&json!({"ok": {"template": {"at": 1024, "len": 4_000_000_000u64}}})),
    },
    Attack {
        name: "an answer outside its memory",
        reason: "StrategyBadAnswer",
        says: "breaks the canonical ABI: pointer out of bounds",
        run: || render("(i32.const -8)"),
    },
    Attack {
        name: "a misaligned answer",
        reason: "StrategyBadAnswer",
        says: "not aligned",
        run: || render("(i32.const 1025)"),
    },
    Attack {
        name: "allocation outside its memory",
        reason: "StrategyBadAnswer",
        says: "realloc return: beyond end of memory",
        run: || fails(&load(Guest::pod().realloc("(i32.const -16)"))),
    },
    Attack {
        name: "allocation without end",
        reason: "StrategyOutOfFuel",
        says: "units of fuel",
        run: || fails(&load(Guest::pod().realloc("(loop $again (br $again)) unreachable"))),
    },
    Attack {
        name: "logging while it allocates",
        reason: "StrategyTrapped",
        says: "cannot leave component instance",
        run: || {
            let log = "(call $log (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 1024)";
            fails(&load(Guest::pod().realloc(log)))
        },
    },
    Attack {
        name: "trap after the answer",
        reason: "StrategyTrapped",
        says: "unreachable",
        run: || {
            let post = r#"(func (export "cabi_post_backstay:strategy/pod-driver@0.1.0#render") (param i32) unreachable)"#;
            fails(&load(Guest::pod().with(post)))
        },
    },
    Attack {
        name: "good until a certain day",
        reason: "StrategyTrapped",
        says: "unreachable",
        run: || {
            let component = time_bomb();
            let mut request = request();
            request.now = NOW - 1;
            component.render(&request, None).unwrap();
            request.now = NOW;
            component.render(&request, None).unwrap_err()
        },
    },
];

/// Traps from [`NOW`] on.
fn time_bomb() -> Component {
    let mut guest = Guest::pod();
    let good = guest.put("render", &json!({"ok": {"template": "{}"}}));
    load(guest.body("render", format!(
        "(if (i64.ge_s (i64.load offset=64 (local.get $args)) (i64.const {NOW})) (then unreachable)) (i32.const {good})"
    )))
}

fn is_good(called: Result<Called<Result<PodRun, Failure>>, CallError>) -> bool {
    called.is_ok_and(|called| called.value.is_ok_and(|run| run.template == json!({"spec": {}})))
}

/// Returns the resident memory of this process, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Limit of the memory that attacks leave behind; one attack may use 64 MiB while it lasts.
const GROWTH_KIB: usize = 128 << 10;

#[test]
fn every_attack_ends_its_own_call_with_its_own_reason_and_touches_nobody() {
    let good = load(Guest::pod());
    assert!(is_good(good.render(&request(), None)));
    let over = AtomicBool::new(false);
    let mut table = format!(
        "\n{:<48} {:<24} {:>9} {:>12} {:>10} {:>10}\n",
        "attack", "reason", "ms", "fuel", "KiB before", "KiB after"
    );
    let first = resident();
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| {
            let mut calls = 0u64;
            while !over.load(Ordering::Relaxed) {
                assert!(
                    is_good(good.render(&request(), Some(&json!({"kind": "App"})))),
                    "call {calls} of the neighbour"
                );
                calls += 1;
            }
            calls
        });
        let attacked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut rows = String::new();
            for attack in ATTACKS {
                let before = resident();
                let error = (attack.run)();
                let after = resident();
                assert_eq!(error.reason(), attack.reason, "{}: {}", attack.name, error.error);
                let message = error.error.to_string();
                assert!(message.contains(attack.says), "{}: {message}", attack.name);
                assert!(is_good(good.render(&request(), None)), "after: {}", attack.name);
                assert!(
                    after.saturating_sub(before) < GROWTH_KIB,
                    "{}: {before} KiB, then {after}",
                    attack.name
                );
                writeln!(
                    rows,
                    "{:<48} {:<24} {:>9.1} {:>12} {before:>10} {after:>10}",
                    attack.name,
                    error.reason(),
                    error.elapsed.as_secs_f64() * 1e3,
                    error.fuel,
                )
                .unwrap();
            }
            rows
        }));
        over.store(true, Ordering::Relaxed);
        let calls = neighbour.join().unwrap();
        assert!(calls > 0);
        table += &attacked.unwrap();
        writeln!(table, "{} attacks; meanwhile {calls} calls of a neighbour, all answered", ATTACKS.len())
            .unwrap();
    });
    let last = resident();
    writeln!(table, "resident: {first} KiB before all, {last} KiB after all").unwrap();
    // Bypasses the test harness, which shows the output of failed tests only.
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    assert!(last.saturating_sub(first) < GROWTH_KIB, "{first} KiB, then {last}");
}

#[test]
fn an_attack_may_be_repeated_without_end() {
    let bomb = load(Guest::pod().body(
        "render",
        "(memory.fill (i32.shl (memory.grow (i32.const 900)) (i32.const 16)) (i32.const 7) (i32.const 58982400))
         (drop (memory.grow (i32.const 900))) unreachable",
    ));
    let reason = || bomb.render(&request(), None).unwrap_err().reason();
    assert_eq!(reason(), "StrategyOutOfMemory");
    let before = resident();
    assert!((0..50).all(|_| reason() == "StrategyOutOfMemory"));
    let after = resident();
    assert!(after.saturating_sub(before) < GROWTH_KIB, "{before} KiB, then {after}");
}

#[test]
fn a_failed_call_still_says_what_it_cost_and_logged() {
    let error = render("(call $log (i32.const 2) (i32.const 1024) (i32.const 0)) unreachable");
    assert_eq!((error.call, error.log.len(), error.log_dropped), ("render", 1, 0));
    assert!(error.fuel > 0 && error.memory_bytes > 0 && error.elapsed > Duration::ZERO);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!((error.to_string().as_str(), source.contains("trapped")), ("render failed", true));
}

#[test]
fn a_component_may_have_less_than_the_hosts_maximum_and_never_more() {
    let component = ENGINE.load(&Guest::pod().build()).unwrap();
    let greedy = Limits { memory_bytes: usize::MAX, output_bytes: usize::MAX, ..DEFAULT };
    assert_eq!(component.with_limits(greedy).limits().memory_bytes, 64 << 20);
    assert_eq!(component.with_limits(greedy).limits().output_bytes, 1 << 20);
    let small = component.with_limits(Limits { memory_bytes: 65536, ..DEFAULT });
    assert_eq!(fails(&small).reason(), "StrategyOutOfMemory");
    let poor = component.with_limits(Limits { fuel: 10, ..DEFAULT });
    assert_eq!(fails(&poor).reason(), "StrategyOutOfFuel");
    assert!(is_good(component.render(&request(), None)));
}
