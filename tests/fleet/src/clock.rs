//! The wall clock of the daemon alone, moved by a small library that is loaded before it (`clock.c`):
//! a time namespace does not reach that clock.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A clock that can be moved while the program runs.
#[derive(Debug)]
pub struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// Builds the library in `dir`.
    ///
    /// # Errors
    /// There is no C compiler (`cc`), or the folder cannot be written.
    pub fn build(dir: &Path) -> io::Result<Self> {
        let (file, library) = (dir.join("clock"), dir.join("clock.so"));
        std::fs::write(&file, 0i64.to_ne_bytes())?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clock.c");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        let out = command.output()?;
        match out.status.success() {
            true => Ok(Self { file, library }),
            false => Err(io::Error::other(String::from_utf8_lossy(&out.stderr).into_owned())),
        }
    }

    /// What the program must find in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pair = |key: &str, path: &Path| (key.to_owned(), path.display().to_string());
        vec![pair("LD_PRELOAD", &self.library), pair("FLEET_CLOCK", &self.file)]
    }

    /// From now on it is so many milliseconds ahead of the real one.
    ///
    /// # Errors
    /// The file has gone.
    pub fn set(&self, ahead: i64) -> io::Result<()> {
        // Not truncated: the program has it mapped.
        std::fs::File::options().write(true).open(&self.file)?.write_all_at(&ahead.to_ne_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Clock;

    #[test]
    fn the_clock_of_a_program_is_moved() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::build(dir.path()).unwrap();
        let year = || {
            let out = Command::new("date").arg("+%Y").envs(clock.environment()).output().unwrap();
            String::from_utf8(out.stdout).unwrap().trim().parse::<i32>().unwrap()
        };
        let now = year();
        clock.set(-30 * 365 * 86_400_000).unwrap();
        assert!((29..=31).contains(&(now - year())), "{now} {}", year());
    }
}
