//! The `planwright` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    planwright::cli::main(std::env::args_os())
}
