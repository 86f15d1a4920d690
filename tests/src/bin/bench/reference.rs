//! The program that renders like the Go controller.

use std::path::PathBuf;
use std::process::Command;

use backstay_core::contract::Json;
use serde::Deserialize;

use crate::Outcome;
use crate::call::{folder, typical};
use crate::figures::Subject;
use crate::side::{RENDER, Side, warm_up};

/// The program.
pub(crate) struct Reference {
    program: PathBuf,
}

/// Its output.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    rendered: Json,
    p50_micros: f64,
    p99_micros: f64,
}

impl Reference {
    /// Builds the program beside this one.
    pub(crate) fn build() -> Outcome<Self> {
        let program = std::env::current_exe()?.with_file_name("bench-reference");
        let built = Command::new("go")
            .args(["build", "-trimpath", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(folder().join("reference"))
            .status()
            .map_err(|e| format!("cannot run go, which builds the program to compare with: {e}"))?;
        if built.success() {
            Ok(Self { program })
        } else {
            Err("go could not build tests/bench/reference".into())
        }
    }
}

impl Side for Reference {
    fn round(&mut self, calls: usize) -> Outcome<Vec<Subject>> {
        let output = Command::new(&self.program)
            .arg("-fixture")
            .arg(typical())
            .args(["-runs", &calls.to_string(), "-warm", &warm_up(calls).to_string()])
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let printed: Printed = serde_json::from_slice(&output.stdout)?;
        Ok(vec![Subject {
            name: RENDER.to_owned(),
            p50: printed.p50_micros,
            p99: printed.p99_micros,
            cost: None,
            answer: Some(printed.rendered.to_string()),
        }])
    }
}
