//! `docs/limits.md` matches the code.

use backstay_engine::{Limits, limits};

const DOCUMENT: &str = include_str!("../../../../docs/limits.md");

/// Returns the cells of the row that begins with this one.
fn row(name: &str) -> Vec<String> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with('|'));
    let cells =
        rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect());
    let mut found: Vec<Vec<String>> =
        cells.filter(|cells: &Vec<String>| cells[0].trim_matches('`') == name).collect();
    assert_eq!(found.len(), 1, "rows for {name}");
    found.remove(0)
}

/// Parses a number of the document: digits in groups, with a binary unit or none.
fn number(cell: &str) -> u64 {
    let digits: String = cell.chars().filter(char::is_ascii_digit).collect();
    let digits: u64 = digits.parse().unwrap_or_else(|e| panic!("{cell}: {e}"));
    let unit = if cell.ends_with("MiB") {
        1 << 20
    } else if cell.ends_with("KiB") {
        1 << 10
    } else {
        1
    };
    digits * unit
}

#[test]
fn every_default_is_published() {
    let Limits {
        fuel,
        wall,
        memory_bytes,
        table_elements,
        input_bytes,
        output_bytes,
        json_values,
        component_bytes,
        log_lines,
        log_line_bytes,
    } = Limits::default();
    for (name, value) in [
        ("fuel", fuel),
        ("wall", wall.as_secs()),
        ("memory_bytes", memory_bytes as u64),
        ("table_elements", table_elements as u64),
        ("input_bytes", input_bytes as u64),
        ("output_bytes", output_bytes as u64),
        ("json_values", json_values as u64),
        ("component_bytes", component_bytes as u64),
        ("log_lines", log_lines as u64),
        ("log_line_bytes", log_line_bytes as u64),
    ] {
        assert_eq!(number(&row(name)[1]), value, "{name}");
    }
}

#[test]
fn every_fixed_bound_is_published() {
    for (name, value) in [
        ("STACK_BYTES", limits::STACK_BYTES),
        ("CORE_INSTANCES", limits::CORE_INSTANCES as usize),
        ("MEMORIES", limits::MEMORIES as usize),
        ("TABLES", limits::TABLES as usize),
        ("JSON_DEPTH", limits::JSON_DEPTH),
        ("NAME_BYTES", limits::NAME_BYTES),
        ("MESSAGE_BYTES", limits::MESSAGE_BYTES),
        ("FAILURE_MESSAGE_BYTES", limits::FAILURE_MESSAGE_BYTES),
        ("LIST_ENTRIES", limits::LIST_ENTRIES),
        ("JSON_BYTES", limits::JSON_BYTES),
        ("POINTER_BYTES", limits::POINTER_BYTES),
        ("REASON_BYTES", limits::REASON_BYTES),
        ("PAIRS_ENTRIES", limits::PAIRS_ENTRIES),
        ("PAIRS_BYTES", limits::PAIRS_BYTES),
        ("DESCRIPTOR_BYTES", limits::DESCRIPTOR_BYTES),
        ("COMPONENT_NAME_BYTES", limits::COMPONENT_NAME_BYTES),
        ("KINDS", limits::KINDS),
        ("ACCESSES", limits::ACCESSES),
        ("STAGES", limits::STAGES),
        ("POD_DATA_BYTES", limits::POD_DATA_BYTES),
        ("LOG_TAIL_LINES", limits::LOG_TAIL_LINES as usize),
        ("UNDERLYING_RESOURCES_BYTES", limits::UNDERLYING_RESOURCES_BYTES),
        ("PRIVATE_DATA_BYTES", limits::PRIVATE_DATA_BYTES),
        ("CHECKPOINT_BYTES", limits::CHECKPOINT_BYTES),
        ("STEP_CONDITIONS", limits::STEP_CONDITIONS),
        ("STEP_EVENTS", limits::STEP_EVENTS),
        ("ACTIONS", limits::ACTIONS),
        ("WATCHES", limits::WATCHES),
        ("LISTED_OBJECTS", limits::LISTED_OBJECTS as usize),
        ("POD_RUN_NAME_BYTES", limits::POD_RUN_NAME_BYTES),
    ] {
        assert_eq!(number(&row(name)[1]), value as u64, "{name}");
    }
}

#[test]
fn every_reason_is_published() {
    let source = concat!(include_str!("../../src/call_error.rs"), include_str!("../../src/load_error.rs"));
    let reasons: Vec<_> = source
        .lines()
        .filter_map(|line| line.split_once("=> \"")?.1.split_once('"'))
        .map(|(word, _)| word)
        .collect();
    assert!(reasons.len() > 20, "{reasons:?}");
    for reason in reasons {
        assert!(DOCUMENT.contains(&format!("`{reason}`")), "{reason}");
    }
}
