//! The command line: asks the daemon, checks and renders without it.

fn main() -> std::process::ExitCode {
    handset::cli::main()
}
