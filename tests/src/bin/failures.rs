//! Prints the page `docs/operations/failures.md`. Run by `make generate`.

use std::io::Write;

use backstay_tests::bad_inputs::{Table, page};

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(page(&Table::load()).as_bytes())
}
