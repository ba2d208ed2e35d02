//! The daemon.

/// Gives memory back to the system after a look at a large site, which other allocators do not.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    handset::daemon::main()
}
