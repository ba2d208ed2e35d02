//! The daemon.

/// Gives memory back to the system after a look at a large site, which glibc's does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    handset::daemon::main()
}
