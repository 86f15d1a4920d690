//! Limits of one component: an administrator lowers the host's limits by `NAME.limits.yaml` beside `NAME.wasm`.
//! `docs/limits.md` lists the limits.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine::{Component, Limits};
use serde::Deserialize;

/// Why the limits of a component are refused.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// The file exists and cannot be read.
    #[error("limits {path:?} cannot be read: let the controller read it, or remove it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a YAML map of limits.
    #[error("limits {path:?} are not a map of limits and whole numbers (wall may be a fraction)")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        source: Box<serde_saphyr::Error>,
    },
    /// A limit is zero or negative, or above the host's.
    #[error(
        "limits {path:?} set {limit} to {given}, which is not above 0 and at most {maximum}: the host allows no component more, and none can do with nothing"
    )]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// Name of the limit.
        limit: &'static str,
        /// The limit in the file.
        given: String,
        /// The host's limit.
        maximum: String,
    },
}

/// The file. The host's limit applies where it gives none. The size of the component's file is not a limit of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    fuel: Option<u64>,
    wall: Option<f64>,
    memory_bytes: Option<u64>,
    table_elements: Option<u64>,
    input_bytes: Option<u64>,
    output_bytes: Option<u64>,
    json_values: Option<u64>,
    log_lines: Option<u64>,
    log_line_bytes: Option<u64>,
}

/// Returns the component that was loaded from `wasm`, under the limits of the file beside it.
///
/// # Errors
/// See [`LimitsError`]. A limit above the host's is an error and is not lowered: its author relies on it.
pub fn apply(component: Component, wasm: &Path) -> Result<Component, LimitsError> {
    let path = wasm.with_extension("limits.yaml");
    let text = match optional(&path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(component),
        Err(source) => return Err(LimitsError::Unreadable { path, source }),
    };
    let limits = read(&text, &path, *component.limits())?;
    Ok(component.with_limits(limits))
}

/// Returns the text of a file; `None` if the file does not exist.
///
/// # Errors
/// The file exists and cannot be read.
pub fn optional(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Returns the limits in `text`, the content of `path`; none may be above `maximum`.
///
/// # Errors
/// See [`LimitsError`].
pub fn read(text: &str, path: &Path, maximum: Limits) -> Result<Limits, LimitsError> {
    let given: Given = serde_saphyr::from_str(text)
        .map_err(|source| LimitsError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
    let out_of_range = |limit, given: String, maximum: String| LimitsError::OutOfRange {
        path: path.to_owned(),
        limit,
        given,
        maximum,
    };
    let wall = match given.wall {
        None => maximum.wall,
        Some(seconds) => match Duration::try_from_secs_f64(seconds) {
            Ok(wall) if !wall.is_zero() && wall <= maximum.wall => wall,
            _ => {
                let most = maximum.wall.as_secs_f64().to_string();
                return Err(out_of_range("wall", seconds.to_string(), most));
            }
        },
    };
    let fuel = match given.fuel {
        None => maximum.fuel,
        Some(fuel) if (1..=maximum.fuel).contains(&fuel) => fuel,
        Some(fuel) => return Err(out_of_range("fuel", fuel.to_string(), maximum.fuel.to_string())),
    };
    let size = |limit, given: Option<u64>, maximum: usize| match given {
        None => Ok(maximum),
        Some(size) => match usize::try_from(size) {
            Ok(size) if (1..=maximum).contains(&size) => Ok(size),
            _ => Err(out_of_range(limit, size.to_string(), maximum.to_string())),
        },
    };
    Ok(Limits {
        fuel,
        wall,
        memory_bytes: size("memory_bytes", given.memory_bytes, maximum.memory_bytes)?,
        table_elements: size("table_elements", given.table_elements, maximum.table_elements)?,
        input_bytes: size("input_bytes", given.input_bytes, maximum.input_bytes)?,
        output_bytes: size("output_bytes", given.output_bytes, maximum.output_bytes)?,
        json_values: size("json_values", given.json_values, maximum.json_values)?,
        component_bytes: maximum.component_bytes,
        log_lines: size("log_lines", given.log_lines, maximum.log_lines)?,
        log_line_bytes: size("log_line_bytes", given.log_line_bytes, maximum.log_line_bytes)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Result<Limits, String> {
        read(text, Path::new("job.limits.yaml"), Limits::default()).map_err(|e| {
            let source = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
            format!("{e}: {source}")
        })
    }

    #[test]
    fn what_is_given_holds_and_the_rest_is_as_for_all() {
        let all = Limits::default();
        assert_eq!(limits("{}"), Ok(all));
        assert_eq!(
            limits("fuel: 5000000\nwall: 0.5\nmemory_bytes: 8388608\noutput_bytes: 65536\n"),
            Ok(Limits {
                fuel: 5_000_000,
                wall: Duration::from_millis(500),
                memory_bytes: 8 << 20,
                output_bytes: 64 << 10,
                ..all
            })
        );
    }

    #[test]
    fn a_limit_above_the_hosts_or_of_nothing_is_refused_by_name() {
        for (text, parts) in [
            ("fuel: 1000000001", ["fuel to 1000000001", "at most 1000000000"]),
            ("fuel: 0", ["fuel to 0", "at most 1000000000"]),
            ("wall: 5.1", ["wall to 5.1", "at most 5"]),
            ("wall: -1", ["wall to -1", "at most 5"]),
            ("wall: 0", ["wall to 0", "at most 5"]),
            ("memory_bytes: 67108865", ["memory_bytes to 67108865", "at most 67108864"]),
            ("output_bytes: 18446744073709551615", ["output_bytes to 1844", "at most 1048576"]),
        ] {
            let error = limits(text).expect_err(text);
            assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_limit_is_refused_with_its_name() {
        for (text, part) in [
            ("memory: 5", "memory"),
            ("component_bytes: 5", "component_bytes"),
            ("fuel: much", "fuel"),
            ("- fuel", "map"),
        ] {
            let error = limits(text).expect_err(text);
            assert!(error.contains("job.limits.yaml") && error.contains(part), "{text}: {error}");
        }
    }
}
