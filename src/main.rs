//! The `outpost` command.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    outpost::cli::main(std::env::args_os())
}
