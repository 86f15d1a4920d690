//! Templates of both dialects, with every context and under all bounds.

use backstay_sdk::template::{
    BackupRef, Bounds, Context, Dialect, MAX_FINDINGS, Options, Rendered, check, render,
};
use backstay_sdk::{Artifact, Finding, GroupKind, Mode, NamespacedName};
use serde_json::{Value, json};

use crate::allocations::cost_of;
use crate::choose::Choose;
use crate::corpus::CORPUS;
use crate::{grammar, mutate};

/// Usual bound on steps: a tenth of the Job strategy's, so that many inputs can run.
const STEPS: u64 = 20_000;
/// The root of the pointers of findings.
const ROOT: &str = "/strategy/template";
/// Memory of a render at a time, in addition to the bounds of strings, lists and output.
const FREE_BYTES: usize = 8 << 20;
/// Allocations of a render, in addition to some for each step: a list prints up to a MiB, item by item.
const FREE_ALLOCATIONS: u64 = 600_000;

/// A render.
#[derive(Clone, Debug)]
pub struct Input {
    /// The object whose strings are templates.
    pub template: Value,
    /// The language.
    pub dialect: Dialect,
    /// The context of the templates.
    pub context: Context<'static>,
    /// Options of the render.
    pub options: Options,
}

impl Input {
    /// Makes the render of the bytes.
    #[must_use]
    pub fn of(dialect: Dialect, input: &[u8]) -> Self {
        let mut choose = Choose::new(input);
        let template = object(&mut choose, dialect);
        let options = options(&mut choose);
        let context = context(&mut choose);
        Self { template, dialect, context, options }
    }

    fn render(&self, options: &Options) -> Result<Rendered, Vec<Finding>> {
        render(&self.template, ROOT, self.dialect, &self.context, options)
    }
}

/// Returns a text: a changed known one, one by the grammar, or raw bytes.
pub(crate) fn text(choose: &mut Choose<'_>, dialect: Dialect) -> String {
    let (known, made): (_, fn(&mut Choose<'_>) -> String) = match dialect {
        Dialect::Go => (&CORPUS.go, grammar::go),
        Dialect::Minijinja => (&CORPUS.minijinja, grammar::minijinja),
    };
    match choose.up_to(9) {
        9 => format!("{{{{{}}}}}", choose.raw(60)),
        0..=5 => mutate::mutated(choose, known),
        _ => made(choose),
    }
}

fn object(choose: &mut Choose<'_>, dialect: Dialect) -> Value {
    let first = text(choose, dialect);
    match choose.up_to(7) {
        0 => {
            json!({"args": [first, text(choose, dialect), 3], "a/b~c": {"d": text(choose, dialect)}, "n": null})
        }
        1 => json!([first, choose.json(3)]),
        _ => json!(first),
    }
}

fn options(choose: &mut Choose<'_>) -> Options {
    let usual = Bounds { work: STEPS, ..Bounds::default() };
    let bounds = match choose.up_to(5) {
        0 => Bounds {
            output_bytes: choose.up_to(2000),
            string_bytes: choose.up_to(2000),
            items: choose.up_to(100),
            work: choose.up_to(2000) as u64,
            depth: choose.up_to(40),
        },
        1 => Bounds { work: 10 * STEPS, ..usual },
        _ => usual,
    };
    Options { strict: choose.once_in(4), bounds }
}

/// Returns a context from a table, sometimes changed.
pub(crate) fn context(choose: &mut Choose<'_>) -> Context<'static> {
    let data = choose.one(&CORPUS.contexts);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| {
        value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
    };
    let name =
        |value: &Value| NamespacedName { namespace: text(&value["Namespace"]), name: text(&value["Name"]) };
    let mut application = data.get("Application").cloned();
    if let Some(application) = application.as_mut().filter(|_| choose.once_in(3)) {
        application["spec"] = choose.json(4);
    }
    let mut parameters: std::collections::BTreeMap<String, String> = texts(&data["Parameters"]);
    if choose.once_in(3) {
        parameters.insert("days".to_owned(), choose.text());
    }
    Context {
        application: application.map(std::borrow::Cow::Owned),
        release: data.get("Release").map(name),
        mode: Some(if data["Mode"] == "restore" { Mode::Restore } else { Mode::Backup }),
        parameters,
        backup: data.get("Backup").map(|backup| BackupRef {
            name: name(backup),
            application: GroupKind {
                group: text(&backup["ApplicationRef"]["APIGroup"]),
                kind: text(&backup["ApplicationRef"]["Kind"]),
            },
            application_name: text(&backup["ApplicationRef"]["Name"]),
            artifact: choose.once_in(2).then(|| Artifact {
                uri: choose.text(),
                size_bytes: Some(u64::MAX),
                checksum: None,
            }),
            metadata: texts(&backup["Metadata"]),
        }),
        started_at: if choose.once_in(4) { choose.integer() } else { 1_700_000_000 },
        ..Context::default()
    }
}

/// Checks templates of the Go dialect.
///
/// # Errors
/// The fault.
pub fn go(input: &[u8]) -> Result<(), String> {
    judge(&Input::of(Dialect::Go, input))
}

/// Checks templates of minijinja.
///
/// # Errors
/// The fault.
pub fn minijinja(input: &[u8]) -> Result<(), String> {
    judge(&Input::of(Dialect::Minijinja, input))
}

fn judge(input: &Input) -> Result<(), String> {
    let (outcome, cost) = cost_of(|| input.render(&input.options));
    let bounds = input.options.bounds;
    let input_text = || format!("{}\nin {:?}", input.template, input.dialect);
    // Building a string holds several copies of it; an item takes some hundred bytes.
    let held = FREE_BYTES
        + 8 * bounds.string_bytes
        + 4 * bounds.output_bytes
        + 600 * bounds.items.min(bounds.work as usize);
    if cost.peak > held as i64 {
        return Err(format!("it held {} bytes, more than {held}: {}", cost.peak, input_text()));
    }
    let asked = FREE_ALLOCATIONS + 24 * bounds.work;
    if cost.allocations > asked {
        return Err(format!(
            "it asked for memory {} times, more than {asked}: {}",
            cost.allocations,
            input_text()
        ));
    }
    match &outcome {
        Ok(rendered) => well_rendered(input, rendered),
        Err(findings) => check_findings(input, findings),
    }
    .map_err(|fault| format!("{fault}: {}", input_text()))?;
    if outcome != input.render(&input.options) {
        return Err(format!("it renders otherwise a second time: {}", input_text()));
    }
    Ok(())
}

/// Checks a successful render.
fn well_rendered(input: &Input, rendered: &Rendered) -> Result<(), String> {
    same_shape(&input.template, &rendered.value)?;
    let (mut made, mut kept) = (0, 0);
    strings(&input.template, &rendered.value, &mut |before, after| {
        if before.contains("{{") || before.contains("{%") {
            made += after.len()
        } else {
            kept += usize::from(before != after)
        }
    });
    if made > input.options.bounds.output_bytes || kept > 0 {
        return Err(format!("{made} bytes were put out, and {kept} plain strings changed"));
    }
    if let Some(finding) = check(&input.template, ROOT, input.dialect).first() {
        return Err(format!("it renders, and the check says {finding:?}"));
    }
    if rendered.warnings.iter().any(|finding| finding.severity != backstay_sdk::Severity::Warning) {
        return Err("a render that went well has an error among its warnings".to_owned());
    }
    if input.options.strict && !rendered.warnings.is_empty() {
        return Err("a strict render has warnings".to_owned());
    }
    well_placed(input, &rendered.warnings)?;
    // Larger bounds and less strictness change no successful render.
    let more = Options {
        strict: false,
        bounds: Bounds { work: 4 * input.options.bounds.work + 4 * STEPS, ..Bounds::default() },
    };
    match input.render(&more) {
        Ok(again) if again.value == rendered.value => Ok(()),
        other => Err(format!("with wider bounds it is {other:?}, not {:?}", rendered.value)),
    }
}

/// Checks a refused render.
fn check_findings(input: &Input, findings: &[Finding]) -> Result<(), String> {
    if findings.is_empty() {
        return Err("it was refused without a cause".to_owned());
    }
    if findings.iter().any(|finding| finding.severity != backstay_sdk::Severity::Error) {
        return Err("it was refused for a warning".to_owned());
    }
    well_placed(input, findings)
}

/// Checks that findings are few, short, and point at an existing place.
fn well_placed(input: &Input, findings: &[Finding]) -> Result<(), String> {
    if findings.len() > MAX_FINDINGS + 1 {
        return Err(format!("{} findings", findings.len()));
    }
    for finding in findings {
        if finding.message.is_empty() || finding.message.len() > 1003 || finding.at.len() > 512 {
            return Err(format!("too long or empty: {finding:?}"));
        }
        let at = finding
            .at
            .strip_prefix(ROOT)
            .ok_or_else(|| format!("it does not begin at the root: {finding:?}"))?;
        let source = input.template.pointer(at).ok_or_else(|| format!("it points nowhere: {finding:?}"))?;
        let mut numbers = finding.message.splitn(3, ':').map(str::parse::<usize>);
        // A finding about the whole object has no line.
        if let (Some(Ok(line)), Some(Ok(column)), Some(source)) =
            (numbers.next(), numbers.next(), source.as_str())
        {
            let length = source.split('\n').nth(line.wrapping_sub(1)).map(|line| line.chars().count());
            if length.is_none_or(|length| column == 0 || column > length + 1) {
                return Err(format!("there is no place {line}:{column}"));
            }
        }
    }
    Ok(())
}

/// Checks that only strings have changed.
fn same_shape(before: &Value, after: &Value) -> Result<(), String> {
    match (before, after) {
        (Value::String(_), Value::String(_)) => Ok(()),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            before.iter().zip(after).try_for_each(|(before, after)| same_shape(before, after))
        }
        (Value::Object(before), Value::Object(after)) if before.keys().eq(after.keys()) => {
            before.values().zip(after.values()).try_for_each(|(before, after)| same_shape(before, after))
        }
        _ if before == after => Ok(()),
        _ => Err(format!("{before} became {after}")),
    }
}

fn strings(before: &Value, after: &Value, each: &mut impl FnMut(&str, &str)) {
    match (before, after) {
        (Value::String(before), Value::String(after)) => each(before, after),
        (Value::Array(before), Value::Array(after)) => {
            before.iter().zip(after).for_each(|(before, after)| strings(before, after, each));
        }
        (Value::Object(before), Value::Object(after)) => {
            before.values().zip(after.values()).for_each(|(before, after)| strings(before, after, each));
        }
        _ => {}
    }
}
