//! What a Widget holds: every feature of schemas.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::kinds::{rare, some};

/// `spec`, sometimes `status` and `data`.
pub(crate) fn content(dice: &mut Dice, whole: bool) -> Value {
    let mut out = Map::new();
    if whole || dice.percent(85) {
        out.insert("spec".into(), spec(dice));
    }
    some(
        dice,
        &mut out,
        8,
        &[
            ("data", &[json!({"a": "1"}), json!({"a": "1", "b": "2"}), json!({"a": 1}), json!({})]),
            ("status", &[json!({"phase": "Sent"}), json!({"phase": 1})]),
        ],
    );
    rare(dice, &mut out, 2, &[("spec", &[json!(null), json!("x"), json!([])]), ("odd", &[json!(1)])]);
    out.into()
}

fn spec(dice: &mut Dice) -> Value {
    let mut spec = Map::new();
    scalars(dice, &mut spec);
    lists(dice, &mut spec);
    // What is refused, dropped or warned of.
    rare(
        dice,
        &mut spec,
        1,
        &[
            ("size", &[json!(-1), json!(101), json!("3"), json!(1.5), json!(null), json!(true)]),
            ("big", &[json!("x"), json!(1.5)]),
            ("on", &[json!("true"), json!(1)]),
            ("color", &[json!("pink"), json!(""), json!(1), json!(null)]),
            ("code", &[json!("ABC"), json!("abcdef"), json!(""), json!("ABCDEFG")]),
            ("word", &[json!("x"), json!("")]),
            ("replicas", &[json!(null), json!("1")]),
            ("limit", &[json!(true), json!(1.5), json!({})]),
            ("when", &[json!("yesterday"), json!("2019-01-02"), json!("")]),
            ("day", &[json!("2019-1-2"), json!("x")]),
            ("lasting", &[json!("x"), json!("5")]),
            ("blob", &[json!("!"), json!("")]),
            ("tags", &[json!(["a", "a"]), json!("a"), json!([1]), json!([null])]),
            ("steps", &[json!(["1", "2", "3", "4"]), json!([1])]),
            (
                "ports",
                &[
                    json!([{"protocol": "TCP"}]),
                    json!([{"port": 80}, {"port": 80}]),
                    json!([{"port": 70_000}]),
                    json!([{"port": "80"}]),
                    json!([null]),
                ],
            ),
            ("pairs", &[json!({"a": 1}), json!([]), json!({"a": null})]),
            ("span", &[json!({"low": 9, "high": 5}), json!({"low": 2, "high": 1}), json!({"low": "x"})]),
            ("ref", &[json!({"kind": "K"}), json!({"name": null}), json!({"name": "n", "odd": 1})]),
            (
                "made",
                &[
                    json!({"kind": "K"}),
                    json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "Not Valid"}}),
                    json!({"apiVersion": "a/b/c", "kind": ""}),
                ],
            ),
            ("odd", &[json!(1), json!({"deep": [1]})]),
            ("Size", &[json!(1)]),
        ],
    );
    spec.into()
}

fn scalars(dice: &mut Dice, spec: &mut Map<String, Value>) {
    some(
        dice,
        spec,
        30,
        &[
            ("size", &[json!(0), json!(1), json!(5), json!(100)]),
            ("color", &[json!("red"), json!("green"), json!("blue")]),
        ],
    );
    some(
        dice,
        spec,
        7,
        &[
            ("big", &[json!(9_007_199_254_740_993_i64), json!(-1), json!(3)]),
            ("small", &[json!(7), json!(2_147_483_648_i64)]),
            ("ratio", &[json!(1), json!("$float:1.5"), json!("$float:2.0"), json!("$float:1e3")]),
            ("on", &[json!(true), json!(false)]),
            ("code", &[json!("abc"), json!("z")]),
            ("word", &[json!("ok"), json!("more")]),
            ("replicas", &[json!(1), json!(2), json!(0)]),
            ("note", &[json!(null), json!("n"), json!("")]),
            ("mood", &[json!(null), json!("calm"), json!("wild")]),
            ("flat", &[json!("plain"), json!("round"), json!(null)]),
            ("limit", &[json!(5), json!("5%"), json!("5")]),
            ("when", &[json!("2019-01-02T03:04:05Z"), json!("2019-01-02t03:04:05.5z")]),
            ("day", &[json!("2019-01-02")]),
            ("lasting", &[json!("1h"), json!("3 days")]),
            ("oddly", &[json!("any"), json!("")]),
            ("blob", &[json!("aGk=")]),
            ("fixed", &[json!("one"), json!("two"), json!("one")]),
            ("still", &[json!("one"), json!("one"), json!("three")]),
            ("span", &[json!({"low": 1, "high": 5}), json!({"low": 3}), json!({"high": 2}), json!({})]),
        ],
    );
}

fn lists(dice: &mut Dice, spec: &mut Map<String, Value>) {
    some(
        dice,
        spec,
        10,
        &[
            ("tags", &[json!(["a"]), json!(["a", "b"]), json!(["c", "a"]), json!([])]),
            (
                "ports",
                &[
                    json!([{"port": 80}]),
                    json!([{"port": 80, "name": "web"}, {"port": 443, "protocol": "TCP"}]),
                    json!([{"port": 80, "protocol": "UDP", "name": "dns"}]),
                    json!([{"port": 443, "name": "tls"}]),
                    json!([]),
                ],
            ),
            ("pairs", &[json!({"a": "1"}), json!({"a": "2", "b": "3"}), json!({"c": "x"}), json!({})]),
            (
                "free",
                &[
                    json!({"a": 1, "b": {"c": [1, "x", null], "d": null}}),
                    json!({"b": {"c": []}, "e": true}),
                    json!({"a": "$float:1.50", "n": "$float:1e3", "z": 9_223_372_036_854_775_807_i64}),
                    json!({}),
                ],
            ),
        ],
    );
    some(
        dice,
        spec,
        6,
        &[
            ("steps", &[json!(["1"]), json!(["1", "1", "2"]), json!([])]),
            ("selector", &[json!({"a": "1"}), json!({"b": "2", "c": "3"}), json!({})]),
            ("ref", &[json!({"name": "n"}), json!({"name": "m", "kind": "K"})]),
            (
                "made",
                &[
                    json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "in"}, "more": {"x": 1}}),
                    json!({"apiVersion": "g/v1", "kind": "K"}),
                ],
            ),
        ],
    );
}

/// A status.
pub(crate) fn status(dice: &mut Dice) -> Value {
    let mut status = Map::new();
    some(
        dice,
        &mut status,
        50,
        &[
            ("phase", &[json!("Up"), json!("Down"), json!("")]),
            ("count", &[json!(1), json!(2)]),
            (
                "conditions",
                &[
                    json!([{"type": "Ready", "status": "True"}]),
                    json!([{"type": "Ready", "status": "False", "reason": "R"}, {"type": "Done", "status": "True"}]),
                    json!([]),
                ],
            ),
        ],
    );
    some(dice, &mut status, 20, &[("observedGeneration", &[json!(1), json!(2)])]);
    rare(
        dice,
        &mut status,
        4,
        &[
            ("count", &[json!("x"), json!(1.5), json!(null)]),
            (
                "conditions",
                &[json!([{"status": "True"}]), json!([{"type": "Ready"}, {"type": "Ready"}]), json!({})],
            ),
            ("odd", &[json!(1)]),
        ],
    );
    status.into()
}
