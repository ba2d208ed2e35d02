//! The daemon.

fn main() -> std::process::ExitCode {
    handset::daemon::main()
}
